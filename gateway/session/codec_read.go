package session

import (
	"encoding/json"
	"math"
)

// reader takes a record apart. After the first fault it yields zero values and
// failed stays set, so that its user looks once, at the end.
type reader struct {
	rest   string
	failed bool
}

func (r *reader) fail() {
	r.failed, r.rest = true, ""
}

func (r *reader) byte() byte {
	if r.rest == "" {
		r.fail()
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *reader) take(n int) string {
	if n < 0 || n > len(r.rest) {
		r.fail()
		return ""
	}
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}

// uvarint is binary.Uvarint over a string.
func (r *reader) uvarint() uint64 {
	var v uint64
	for shift := 0; shift < 64; shift += 7 {
		b := r.byte()
		if shift == 63 && b > 1 {
			break
		}
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
	r.fail()
	return 0
}

func (r *reader) varint() int64 {
	u := r.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

// count reads how many items follow. Each takes a byte at least, so a count
// beyond the rest is damage, and no record makes us allocate more than a
// multiple of its size.
func (r *reader) count() int {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *reader) text() string {
	b := r.byte()
	switch {
	case b&wordFlag != 0:
		if i := int(b &^ wordFlag); i < len(words) {
			return words[i]
		}
		r.fail()
		return ""
	case b == longText:
		return r.take(r.count())
	}
	return r.take(int(b))
}

func (r *reader) texts() []string {
	n := r.count()
	if n == 0 {
		return nil
	}
	list := make([]string, n)
	for i := range list {
		list[i] = r.text()
	}
	return list
}

func (r *reader) value(depth int) any {
	if depth > maxClaimDepth {
		r.fail()
		return nil
	}
	switch r.byte() {
	case valueNull:
		return nil
	case valueFalse:
		return false
	case valueTrue:
		return true
	case valueText:
		return r.text()
	case valueWhole:
		return float64(r.varint())
	case valueFloat:
		return r.float()
	case valueNumber:
		n := r.text()
		// Only what the writer keeps as text.
		if _, ok := asFloat(n); ok || !isNumber(n) {
			r.fail()
		}
		return json.Number(n)
	case valueArray:
		list := make([]any, r.count())
		for i := range list {
			list[i] = r.value(depth + 1)
		}
		return list
	case valueObject:
		return r.object(r.count(), depth+1)
	}
	r.fail()
	return nil
}

func (r *reader) float() float64 {
	var bits uint64
	for range 8 {
		bits = bits<<8 | uint64(r.byte())
	}
	f := math.Float64frombits(bits)
	if math.IsNaN(f) || math.IsInf(f, 0) {
		r.fail()
	}
	return f
}

// object reads n members whose values lie at depth.
func (r *reader) object(n, depth int) map[string]any {
	m := make(map[string]any, n)
	for range n {
		if r.failed {
			return nil
		}
		name := r.text()
		m[name] = r.value(depth)
	}
	return m
}
