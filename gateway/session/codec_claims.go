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
	record, found := string(*c), 0
	for at := varintEnd(record, 0); at < len(record); {
		var one string
		if one, at = textAt(record, at); one == name {
			found = at
		}
		at = valueEnd(record, at)
	}
	if found == 0 {
		return nil
	}
	r := reader{record: record, at: found}
	return r.value(0)
}

// All implements identity.Claims.
func (c *recordClaims) All() map[string]any {
	r := reader{record: string(*c)}
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

// The following walk through claims that were found good. They judge nothing,
// which makes them a third quicker than a reader.

// textAt returns the string at a place, and where it ends.
func textAt(record string, at int) (s string, end int) {
	n, at := int(record[at]), at+1
	switch {
	case n >= wordFlag:
		return words[n-wordFlag], at
	case n == longText:
		long, next := uvarint(record, at)
		n, at = int(long), next
	}
	return record[at : at+n], at + n
}

// valueEnd returns where the value at a place ends.
func valueEnd(record string, at int) int {
	kind := record[at]
	at++
	switch kind {
	case valueText, valueNumber:
		_, at = textAt(record, at)
	case valueWhole:
		at = varintEnd(record, at)
	case valueFloat:
		at += 8
	case valueArray, valueObject:
		n, next := uvarint(record, at)
		for at = next; n > 0; n-- {
			if kind == valueObject {
				_, at = textAt(record, at)
			}
			at = valueEnd(record, at)
		}
	}
	return at
}

func varintEnd(record string, at int) int {
	for record[at] >= 0x80 {
		at++
	}
	return at + 1
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
