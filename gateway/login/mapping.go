package login

import (
	"encoding/json"
	"strconv"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/jose"
)

// mapUser fills in what an identity says about the user. An address counts as
// verified when the claim beside it says so, the one that is called like it with
// _verified at the end: email_verified speaks of email, and of no other claim
// that the address may be taken from. Otherwise whoever can write his own
// address somewhere would be taken for its owner.
func mapUser(id *identity.Identity, cfg *config.Provider, claims map[string]any) {
	all := &jose.Claims{Raw: claims}
	said, _ := all.Lookup(cfg.EmailClaim + "_verified")
	verified, _ := said.(bool)
	id.Email = all.String(cfg.EmailClaim)
	id.EmailVerified = id.Email != "" && (verified || cfg.TrustEmail)
	id.Name = all.String(cfg.NameClaim)
	id.PreferredUsername = all.String(cfg.UsernameClaim)
	id.Groups = all.Strings(cfg.GroupsClaim)
	id.Method = cfg.Name
	id.Claims = identity.MapClaims(claims)
}

// subjectText is the text of a subject: a string, or the decimal digits of a
// whole number, exactly. Anything else names nobody; neither does 0, by which
// APIs mean that.
func subjectText(v any) string {
	text := ""
	switch v := v.(type) {
	case string:
		return v
	case json.Number: // what float64 would change
		text = v.String()
	case float64: // below 2^53, or with a fraction
		text = strconv.FormatFloat(v, 'f', -1, 64)
	}
	if text == "" || text[0] == '0' {
		return ""
	}
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return ""
		}
	}
	return text
}
