package session

import (
	"encoding/binary"
	"time"
)

// A grant in a record:
//
//	generation  uvarint
//	bits        byte
//	issued      varint   nanoseconds after created
//	expires     varint   nanoseconds after issued; only with grantExpires
const (
	grantRenewable = 1 << iota
	grantExpires
)

// storable reports whether a record can hold the times of the grant.
func (g *Grant) storable() bool {
	return storable(g.Issued) && (g.Expires.IsZero() || storable(g.Expires))
}

func (w *writer) grant(g *Grant, created int64) {
	var bits byte
	if g.Renewable {
		bits |= grantRenewable
	}
	if !g.Expires.IsZero() {
		bits |= grantExpires
	}
	issued := g.Issued.UnixNano()
	w.buf = append(binary.AppendUvarint(w.buf, g.Generation), bits)
	w.buf = binary.AppendVarint(w.buf, issued-created)
	if bits&grantExpires != 0 {
		w.buf = binary.AppendVarint(w.buf, g.Expires.UnixNano()-issued)
	}
}

func (r *reader) grant(created int64) (g Grant) {
	g.Generation = r.uvarint()
	bits := r.byte()
	issued := created + r.varint()
	g.Issued = time.Unix(0, issued).UTC()
	g.Renewable = bits&grantRenewable != 0
	if bits&grantExpires != 0 {
		g.Expires = time.Unix(0, issued+r.varint()).UTC()
	}
	return g
}
