package identity

import "maps"

// Claims are what a provider said of a user beyond the fields of Identity. Most
// requests never look at one, so an implementation may decode a claim each time
// it is asked for; whoever needs it twice keeps it. A nil Claims has none.
//
// Claims are safe for concurrent use and never change. The values in them may
// be shared and are read-only, also those in the map of All.
type Claims interface {
	// Claim returns the claim called name as JSON decodes it, or nil when there
	// is none. A claim that is null is nil too.
	Claim(name string) any

	// All returns every claim, also those that are null, in a map of the
	// caller's own; nil when there are none.
	All() map[string]any
}

// MapClaims are claims that are decoded already. Once in an Identity, the map
// must not be changed.
type MapClaims map[string]any

var _ Claims = MapClaims(nil)

// Claim implements Claims.
func (c MapClaims) Claim(name string) any { return c[name] }

// All implements Claims.
func (c MapClaims) All() map[string]any {
	if len(c) == 0 {
		return nil
	}
	return maps.Clone(map[string]any(c))
}

// Claim returns one of the provider's other claims, or nil when there is none.
func (i *Identity) Claim(name string) any {
	if i.Claims == nil {
		return nil
	}
	return i.Claims.Claim(name)
}

// AllClaims returns the provider's other claims in a map of the caller's own,
// or nil when there are none.
func (i *Identity) AllClaims() map[string]any {
	if i.Claims == nil {
		return nil
	}
	return i.Claims.All()
}
