package assertion

import (
	"crypto/rand"
	"encoding/base64"
	"slices"
	"time"

	"github.com/sallyport/sallyport/gateway/identity"
)

// claimsOf says what both kinds of token tell about a user. idp is who proved
// him: the subject is unique only together with it.
func claimsOf(id *identity.Identity, issuer, audience string, now, expires time.Time) map[string]any {
	c := make(map[string]any, 16)
	c["iss"], c["aud"], c["sub"], c["jti"] = issuer, audience, id.Subject, tokenID()
	c["iat"], c["exp"] = now.Unix(), expires.Unix()
	for _, one := range [...]struct{ name, value string }{
		{"idp", id.Issuer}, {"name", id.Name}, {"preferred_username", id.PreferredUsername}, {"acr", id.ACR},
	} {
		if one.value != "" {
			c[one.name] = one.value
		}
	}
	if id.Email != "" {
		c["email"], c["email_verified"] = id.Email, id.EmailVerified
	}
	if len(id.Groups) > 0 {
		c["groups"] = id.Groups
	}
	if len(id.AMR) > 0 {
		c["amr"] = id.AMR
	}
	if !id.AuthTime.IsZero() {
		c["auth_time"] = id.AuthTime.Unix()
	}
	return c
}

func tokenID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the process rather than return weak bytes
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// sameClaims reports whether claimsOf would say the same of both.
func sameClaims(a, b *identity.Identity) bool {
	return a == b || a.Issuer == b.Issuer && a.Subject == b.Subject &&
		a.Email == b.Email && a.EmailVerified == b.EmailVerified &&
		a.Name == b.Name && a.PreferredUsername == b.PreferredUsername && a.ACR == b.ACR &&
		a.AuthTime.Equal(b.AuthTime) && a.ExpiresAt.Equal(b.ExpiresAt) &&
		slices.Equal(a.Groups, b.Groups) && slices.Equal(a.AMR, b.AMR)
}

// end cuts a token's end to that of the identity, in whole seconds.
func end(id *identity.Identity, now time.Time, lifetime time.Duration) (time.Time, error) {
	expires := now.Add(lifetime)
	if !id.ExpiresAt.IsZero() && id.ExpiresAt.Before(expires) {
		expires = id.ExpiresAt
	}
	expires = expires.Truncate(time.Second)
	if expires.Unix() <= now.Unix() {
		return time.Time{}, ErrExpired
	}
	return expires, nil
}
