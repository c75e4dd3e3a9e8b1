package login

import (
	"net/url"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/jose"
)

// google asks for accounts of one Workspace domain only, and checks that it got
// one: the parameter hd is a hint that anybody can take out of the URL, the claim
// hd is proven. The domain of an e-mail address says nothing, because personal
// accounts can have any.
func google(cfg *config.Provider) dialect {
	domain := cfg.HostedDomain
	if domain == "" {
		return dialect{}
	}
	return dialect{
		request: func(q url.Values) { q.Set("hd", domain) },
		accept: func(c *jose.Claims) error {
			if hd, _ := c.Raw["hd"].(string); hd != domain {
				return notMember("accounts of", []string{domain})
			}
			return nil
		},
	}
}
