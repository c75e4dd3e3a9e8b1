package headers

import (
	"strconv"

	"github.com/sallyport/sallyport/gateway/identity"
)

// encoded is a value that needs no further escaping.
type encoded string

// claim finds what name means for id: a field of the identity, or one of the
// provider's other claims.
func claim(id *identity.Identity, name string) any {
	switch name {
	case "iss":
		return id.Issuer
	case "sub":
		return id.Subject
	case "email":
		if !id.EmailVerified {
			return nil
		}
		return id.Email
	case "email_verified":
		return id.EmailVerified
	case "name":
		return id.Name
	case "preferred_username":
		return id.PreferredUsername
	case "groups":
		return id.Groups
	case "amr":
		return id.AMR
	case "acr":
		return id.ACR
	case "method":
		return id.Method
	case "qualified_subject":
		if id.Subject == "" {
			return nil
		}
		return encoded(escape(id.Issuer, "#") + "#" + escape(id.Subject, "#"))
	}
	return lookup(id.Claim, name)
}

// lookup finds name among the members of an object: the member of that very name
// first, then what comes before a dot as something that holds the rest. Names may
// have dots of their own, as those that are URLs do; of two readings, the one with
// the shorter beginning wins.
func lookup(member func(name string) any, name string) any {
	if v := member(name); v != nil {
		return v
	}
	for i := range len(name) {
		if name[i] != '.' {
			continue
		}
		if v := inside(member(name[:i]), name[i+1:]); v != nil {
			return v
		}
	}
	return nil
}

// inside is lookup in a value: a member of an object, or an item of a list by its
// number, from 0.
func inside(value any, name string) any {
	switch v := value.(type) {
	case map[string]any:
		return lookup(func(name string) any { return v[name] }, name)
	case []any:
		return lookup(func(name string) any {
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(v) || strconv.Itoa(i) != name {
				return nil
			}
			return v[i]
		}, name)
	}
	return nil
}
