package login

import (
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/jose"
)

// gitlab asks the userinfo endpoint for the groups: the ID token of GitLab has
// the address, and of the groups at most those of which the user is a direct
// member, under another name.
func gitlab(cfg *config.Provider) dialect {
	return dialect{lacking: func(c *jose.Claims) bool {
		_, ok := c.Lookup(cfg.GroupsClaim)
		return !ok
	}}
}
