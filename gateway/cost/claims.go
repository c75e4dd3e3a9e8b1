package cost

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/sallyport/sallyport/gateway/identity"
)

// Claims are what a credential says of its user, under a name for the report.
type Claims struct {
	Name   string
	values map[string]any
}

// Algorithms are the signatures that are measured.
func Algorithms() []string { return []string{"RS256", "PS256", "ES256", "EdDSA", "HS256"} }

// Profiles returns the claims that are always measured: the ten of a typical
// access token, and the same with fifty groups.
func Profiles() []Claims {
	ten := map[string]any{
		"iss": "https://id.example.com", "sub": "8c7f6d1e-5b3a-4c2d-9e0f-1a2b3c4d5e6f", "aud": "https://api.example.com",
		"jti": "0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0", "scope": "openid profile email", "email": "alice@example.com",
		"email_verified": true, "groups": []any{"users", "engineering", "staff"}, "iat": 0, "exp": 0,
	}
	fifty := maps.Clone(ten)
	var groups []any
	for _, unit := range []string{"payments", "platform", "search", "checkout", "identity", "mobile", "data", "support", "logistics", "finance"} {
		for _, role := range []string{"developers", "reviewers", "operators", "on-call", "managers"} {
			groups = append(groups, unit+"-"+role)
		}
	}
	fifty["groups"] = groups
	return []Claims{{"10 claims", ten}, {"50 groups", fifty}}
}

// ParseClaims reads a JSON object of claims. What an access token needs and the
// object lacks is taken from the typical claims.
func ParseClaims(name string, object []byte) (*Claims, error) {
	var values map[string]any
	err := json.Unmarshal(object, &values)
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); ok || err == nil && values == nil {
		return nil, errors.New("the claims are no JSON object, but another value")
	}
	if err != nil {
		return nil, fmt.Errorf("the claims are no JSON object: %w", err)
	}
	typical := Profiles()[0].values
	for _, claim := range []string{"iss", "sub", "aud"} {
		if _, ok := values[claim]; !ok {
			values[claim] = typical[claim]
		}
	}
	c := &Claims{printable(name), values}
	if c.Issuer() == "" || c.Subject() == "" || len(c.Audiences()) == 0 {
		return nil, errors.New("iss, sub and aud must be text, and not empty")
	}
	return c, nil
}

// printable makes a short name of a file's, which may be long or move the cursor.
func printable(name string) string {
	const most = 9
	runes := []rune(strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return '?'
		}
		return c
	}, name))
	if len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return string(runes)
}

// Issuer returns iss.
func (c *Claims) Issuer() string { return c.text("iss") }

// Subject returns sub.
func (c *Claims) Subject() string { return c.text("sub") }

// Audiences returns aud, as a list.
func (c *Claims) Audiences() []string {
	if one := c.text("aud"); one != "" {
		return []string{one}
	}
	return c.list("aud")
}

// At returns the claims of a token that is valid from one time to another. The
// map is the caller's; what is in it is not.
func (c *Claims) At(from, to time.Time) map[string]any {
	values := maps.Clone(c.values)
	values["iat"], values["exp"] = from.Unix(), to.Unix()
	if _, ok := values["nbf"]; ok {
		values["nbf"] = from.Unix()
	}
	return values
}

// Identity returns what a sign-in with these claims puts behind a session.
func (c *Claims) Identity() *identity.Identity {
	verified, _ := c.values["email_verified"].(bool)
	other := maps.Clone(c.values)
	maps.DeleteFunc(other, func(name string, _ any) bool {
		return slices.Contains([]string{"iss", "sub", "aud", "exp", "iat", "nbf", "email", "email_verified", "name", "preferred_username", "groups"}, name)
	})
	return &identity.Identity{
		Issuer: c.Issuer(), Subject: c.Subject(), Email: c.text("email"), EmailVerified: verified,
		Name: c.text("name"), PreferredUsername: c.text("preferred_username"), Groups: c.list("groups"),
		Claims: identity.MapClaims(other),
	}
}

func (c *Claims) text(name string) string {
	s, _ := c.values[name].(string)
	return s
}

func (c *Claims) list(name string) []string {
	values, _ := c.values[name].([]any)
	var out []string
	for _, v := range values {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}
