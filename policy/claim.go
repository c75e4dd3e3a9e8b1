package policy

import (
	"slices"
	"strings"
)

func (c *condition) claimFits(id *Identity) bool {
	switch c.claim {
	case "iss":
		return c.words.has(id.Issuer)
	case "sub":
		return c.words.has(id.Subject)
	case "email":
		return id.EmailVerified && c.words.has(id.Email)
	case "email_verified":
		return c.words.hasValue(id.EmailVerified)
	case "groups":
		return c.words.hasAny(id.Groups)
	}
	switch v := lookup(id.Claims, c.claim).(type) {
	case []any:
		return slices.ContainsFunc(v, c.words.hasValue)
	case []string:
		return c.words.hasAny(v)
	default:
		return c.words.hasValue(v)
	}
}

// lookup finds name in claims: the claim of that very name first, then the part
// before the first dot as an object that holds the rest.
func lookup(claims Claims, name string) any {
	if claims == nil {
		return nil
	}
	if v := claims.Claim(name); v != nil {
		return v
	}
	head, rest, ok := strings.Cut(name, ".")
	if !ok {
		return nil
	}
	object, ok := claims.Claim(head).(map[string]any)
	if !ok {
		return nil
	}
	return member(object, rest)
}

// member is lookup inside an object.
func member(object map[string]any, name string) any {
	for {
		if v, ok := object[name]; ok {
			return v
		}
		head, rest, ok := strings.Cut(name, ".")
		if !ok {
			return nil
		}
		if object, ok = object[head].(map[string]any); !ok {
			return nil
		}
		name = rest
	}
}
