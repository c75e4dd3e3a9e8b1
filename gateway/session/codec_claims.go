package session

import (
	"encoding/binary"
	"fmt"

	"github.com/sallyport/sallyport/gateway/identity"
)

// recordClaims are the claims of a decoded session: the part of the record that
// holds them, with their number in front, found good by claims. Decoded they
// would be most of a session in memory, and most requests ask for none.
type recordClaims string

var _ identity.Claims = (*recordClaims)(nil)

// Claim implements identity.Claims. It decodes nothing but the value, and that
// anew each time. Of two claims with one name the later counts, as in All.
func (c *recordClaims) Claim(name string) any {
	r := reader{record: string(*c), proven: true}
	found := 0
	for range r.count() {
		if r.text() == name {
			found = r.at
		}
		r.skip(0)
	}
	if found == 0 {
		return nil
	}
	r.at = found
	return r.value(0)
}

// All implements identity.Claims.
func (c *recordClaims) All() map[string]any {
	r := reader{record: string(*c), proven: true}
	return r.object(r.count(), 0)
}

// claims reads claims without decoding them. They are judged here, once and as
// strictly as decoding would, so that asking for one never fails.
func (r *reader) claims() recordClaims {
	from := r.at
	n := r.count()
	if n == 0 {
		return ""
	}
	r.skipMembers(n, 0)
	return recordClaims(r.record[from:r.at])
}

// claims writes claims; those of a record are a record's part already.
func (w *writer) claims(claims identity.Claims) error {
	var all map[string]any
	switch c := claims.(type) {
	case nil:
	case *recordClaims:
		w.buf = append(w.buf, *c...)
		return nil
	case identity.MapClaims:
		all = c
	default:
		all = c.All()
	}
	w.buf = binary.AppendUvarint(w.buf, uint64(len(all)))
	for name, value := range all {
		w.text(name)
		if err := w.value(value, 0); err != nil {
			return fmt.Errorf("session: record: claim %q: %w", name, err)
		}
	}
	return nil
}
