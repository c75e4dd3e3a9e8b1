package login

import (
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/jwks"
)

// ProviderStatus is how one provider is.
type ProviderStatus struct {
	Name, Type, Issuer string
	Ready              bool // people can sign in with it, as far as is known
	// Keys are those that its ID tokens are signed with; nil where it has none, or
	// was not reached yet.
	Keys *jwks.Status
}

// Status says how every provider is, in the order of the configuration.
func (s *Service) Status(configured []config.Provider) []ProviderStatus {
	all := make([]ProviderStatus, 0, len(configured))
	for i := range configured {
		c := &configured[i]
		one := ProviderStatus{Name: c.Name, Type: c.Type, Issuer: c.Issuer}
		if p := s.provider(c.Name); p != nil {
			one.Ready = p.ready() == nil
			if o, ok := p.(*oidc); ok {
				if d := o.current.Load(); d != nil {
					status := d.keys.Status()
					one.Keys = &status
				}
			}
		}
		all = append(all, one)
	}
	return all
}
