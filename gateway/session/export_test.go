package session

import (
	"encoding/hex"

	"github.com/sallyport/sallyport/gateway/identity"
)

// DecodeClaims decodes claims at once, as a record has them: what judging them
// unread and asking for one are compared with. ok is false for damage.
func DecodeClaims(encoded string) (all map[string]any, ok bool) {
	r := reader{record: encoded}
	if n := r.count(); n > 0 {
		all = r.object(n, 0)
	}
	return all, !r.failed
}

// EncodeClaims is how a record has claims.
func EncodeClaims(claims identity.Claims) ([]byte, error) {
	var w writer
	err := w.claims(claims)
	return w.buf, err
}

// What a gateway leaves in the store that dies while it renews tokens.
const (
	KindLease = kindLease
	LeaseLife = leaseLife
)

// LeaseName is the name of a session's lease.
func LeaseName(key Key) string { return hex.EncodeToString(key[:]) }
