package session

import (
	"encoding/binary"
	"math"
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

func (w *writer) grant(g *Grant, created int64) {
	var bits byte
	if g.Renewable {
		bits |= grantRenewable
	}
	if g.Expires != 0 {
		bits |= grantExpires
	}
	w.buf = append(binary.AppendUvarint(w.buf, uint64(g.Generation)), bits)
	w.buf = binary.AppendVarint(w.buf, g.Issued-created)
	if bits&grantExpires != 0 {
		w.buf = binary.AppendVarint(w.buf, g.Expires-g.Issued)
	}
}

func (r *reader) grant(created int64) (g Grant) {
	generation := r.uvarint()
	if generation > math.MaxUint32 {
		r.fail()
	}
	g.Generation = uint32(generation)
	bits := r.byte()
	g.Renewable = bits&grantRenewable != 0
	g.Issued = created + r.varint()
	if bits&grantExpires != 0 {
		g.Expires = g.Issued + r.varint()
	}
	return g
}
