package login

import (
	"context"
	"errors"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/pages"
)

// dev lets a developer be anybody on a list, without a password.
type dev struct{ cfg config.Provider }

var _ passwords = (*dev)(nil)

// newDev refuses where anybody but this machine could reach the gateway.
func newDev(cfg config.Provider, server config.Server) (*dev, error) {
	if !server.Loopback() || !server.ListensLocally() {
		return nil, errors.New("dev lets everybody in without a password, so server.listen and server.public_url must be loopback")
	}
	for _, who := range cfg.Identities {
		if who.Subject == "" {
			return nil, errors.New("an identity has no subject")
		}
	}
	return &dev{cfg: cfg}, nil
}

func (d *dev) name() string        { return d.cfg.Name }
func (d *dev) run(context.Context) {}
func (d *dev) ready() error        { return nil }

func (d *dev) choice() pages.ProviderChoice {
	c := pages.ProviderChoice{Name: d.cfg.Name, Title: d.cfg.Title, Kind: pages.KindPick}
	for _, who := range d.cfg.Identities {
		c.Identities = append(c.Identities, pages.IdentityChoice{
			Subject: who.Subject, Name: who.Name, Email: who.Email, Groups: who.Groups,
		})
	}
	return c
}

// verify takes the subject as the user name, and any password.
func (d *dev) verify(_ context.Context, username, _ string) (*identity.Identity, error) {
	for _, who := range d.cfg.Identities {
		if who.Subject == username {
			return localIdentity(d.cfg.Name, who.Subject, who.Email, who.Name, who.Groups), nil
		}
	}
	return nil, ErrWrongPassword
}
