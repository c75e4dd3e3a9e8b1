package jose

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// maxDate is the last second of the year 9999. A date beyond it is a mistake
// of units, such as milliseconds.
const maxDate = 253402300799

// Claims are what a proven token says. They are read-only: Raw is shared.
//
// A registered claim that is absent leaves its field empty; one of the wrong
// type made the token invalid. Names are compared exactly, so that "GROUPS" is
// another claim than "groups".
type Claims struct {
	Issuer, Subject, ID string
	Audience            []string
	Expires             time.Time // zero when absent, as the other times
	NotBefore           time.Time
	IssuedAt            time.Time
	AuthTime            time.Time

	// Raw holds every claim: string, bool, nil, []any, map[string]any, and
	// float64 for numbers. Only numbers that float64 would change (whole ones
	// from 2^53 on, and those out of its range) are json.Number.
	Raw map[string]any
}

func newClaims(raw map[string]any) (*Claims, error) {
	c := &Claims{Raw: raw}
	for _, one := range []struct {
		name string
		to   *string
	}{{"iss", &c.Issuer}, {"sub", &c.Subject}, {"jti", &c.ID}} {
		if v, ok := raw[one.name]; ok {
			if *one.to, ok = v.(string); !ok {
				return nil, &Invalid{MalformedClaims, fmt.Errorf("%s is not a string", one.name)}
			}
		}
	}
	for _, one := range []struct {
		name string
		to   *time.Time
	}{{"exp", &c.Expires}, {"nbf", &c.NotBefore}, {"iat", &c.IssuedAt}, {"auth_time", &c.AuthTime}} {
		if v, ok := raw[one.name]; ok {
			if *one.to, ok = numericDate(v); !ok {
				return nil, &Invalid{MalformedClaims, fmt.Errorf("%s is not a date", one.name)}
			}
		}
	}
	if v, ok := raw["aud"]; ok {
		if c.Audience, ok = audience(v); !ok {
			return nil, &Invalid{MalformedClaims, errors.New("aud is neither a string nor a list of strings")}
		}
	}
	return c, nil
}

// numericDate reads seconds since 1970, with or without a fraction (RFC 7519
// section 2).
func numericDate(v any) (time.Time, bool) {
	f, ok := v.(float64)
	if !ok || !(f >= 0 && f <= maxDate) {
		return time.Time{}, false
	}
	whole, fraction := math.Modf(f)
	return time.Unix(int64(whole), int64(fraction*1e9)), true
}

func audience(v any) ([]string, bool) {
	switch v := v.(type) {
	case string:
		return []string{v}, true
	case []any:
		list := make([]string, len(v))
		for i, one := range v {
			s, ok := one.(string)
			if !ok {
				return nil, false
			}
			list[i] = s
		}
		return list, true
	}
	return nil, false
}

// Lookup finds a claim. A member with exactly that name comes first; otherwise
// dots lead into objects, as in realm_access.roles. Where that can be read in
// several ways, the longest member name wins.
func (c *Claims) Lookup(path string) (any, bool) { return lookup(c.Raw, path) }

func lookup(object map[string]any, path string) (any, bool) {
	if v, ok := object[path]; ok {
		return v, true
	}
	for cut := strings.LastIndexByte(path, '.'); cut > 0; cut = strings.LastIndexByte(path[:cut], '.') {
		inner, ok := object[path[:cut]].(map[string]any)
		if !ok {
			continue
		}
		if v, ok := lookup(inner, path[cut+1:]); ok {
			return v, true
		}
	}
	return nil, false
}

// String returns a claim that is a string, found as Lookup finds it, and
// nothing for any other type.
func (c *Claims) String(name string) string {
	v, _ := c.Lookup(name)
	s, _ := v.(string)
	return s
}

// Strings returns a claim that is a list of strings; a string is a list of one
// and is not taken apart. Empty strings are left out. A list that holds
// anything else gives nothing at all, for it is not what the reader takes it for.
func (c *Claims) Strings(name string) []string {
	v, _ := c.Lookup(name)
	list, ok := audience(v)
	if !ok {
		return nil
	}
	kept := list[:0]
	for _, s := range list {
		if s != "" {
			kept = append(kept, s)
		}
	}
	if len(kept) == 0 {
		return nil
	}
	return kept
}
