package authn

import (
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/jose"
)

// mapClaims makes an identity of proven claims.
func mapClaims(m config.ClaimMapping, c *jose.Claims) *identity.Identity {
	// As at a sign-in: email_verified speaks of email, and of no other claim.
	said, _ := c.Lookup(m.EmailClaim + "_verified")
	verified, _ := said.(bool)
	return &identity.Identity{
		Issuer:            c.Issuer,
		Subject:           c.String(m.SubjectClaim),
		Email:             c.String(m.EmailClaim),
		EmailVerified:     verified,
		Name:              c.String(m.NameClaim),
		PreferredUsername: c.String(m.UsernameClaim),
		Groups:            c.Strings(m.GroupsClaim),
		ProviderSession:   c.String("sid"),
		AMR:               c.Strings("amr"),
		ACR:               c.String("acr"),
		AuthTime:          c.AuthTime,
		ExpiresAt:         c.Expires,
		Claims:            identity.MapClaims(c.Raw),
	}
}
