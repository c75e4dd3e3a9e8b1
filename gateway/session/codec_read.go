package session

import (
	"encoding/json"
	"fmt"
	"math"
)

// head is what comes before the strings of a record: numbers alone.
type head struct {
	flags                        byte
	counter                      uint64
	created, expires, idle, auth int64
	size                         int // in the record
}

func readHead[T string | []byte](record T) (head, error) {
	switch {
	case len(record) == 0:
		return head{}, errRecordShort
	case record[0] != recordVersion:
		return head{}, fmt.Errorf("session: record: version %d is not known to this release", record[0])
	case len(record) < 2:
		return head{}, errRecordShort
	}
	h := head{flags: record[1], size: 2}
	var numbers [5]uint64
	n := len(numbers)
	if h.flags&flagAuthTime == 0 {
		n--
	}
	for i := range n {
		if numbers[i], h.size = uvarint(record, h.size); h.size == 0 {
			return head{}, errRecordShort
		}
	}
	h.counter = numbers[0]
	h.created, h.expires, h.idle, h.auth = zigzag(numbers[1]), zigzag(numbers[2]), zigzag(numbers[3]), zigzag(numbers[4])
	return h, nil
}

// uvarint is binary.Uvarint from a place on; next is 0 when there is none.
func uvarint[T string | []byte](record T, at int) (v uint64, next int) {
	for shift := 0; shift < 64 && at < len(record); shift += 7 {
		b := record[at]
		at++
		if shift == 63 && b > 1 {
			break
		}
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v, at
		}
	}
	return 0, 0
}

// zigzag makes a varint of a uvarint.
func zigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

// reader takes a record apart. After the first fault it yields zero values and
// failed stays set, so that its user looks once, at the end.
type reader struct {
	record string
	at     int
	failed bool
}

func (r *reader) fail() {
	r.failed, r.at = true, len(r.record)
}

func (r *reader) byte() byte {
	if r.at >= len(r.record) {
		r.fail()
		return 0
	}
	b := r.record[r.at]
	r.at++
	return b
}

func (r *reader) take(n int) string {
	if n < 0 || n > len(r.record)-r.at {
		r.fail()
		return ""
	}
	s := r.record[r.at : r.at+n]
	r.at += n
	return s
}

func (r *reader) uvarint() uint64 {
	v, next := uvarint(r.record, r.at)
	if next == 0 {
		r.fail()
		return 0
	}
	r.at = next
	return v
}

func (r *reader) varint() int64 { return zigzag(r.uvarint()) }

// count reads how many items follow. Each takes a byte at least, so a count
// beyond the rest is damage, and no record makes us allocate more than a
// multiple of its size.
func (r *reader) count() int {
	n := r.uvarint()
	if n > uint64(len(r.record)-r.at) {
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

// twoTexts reads two lists of strings into one allocation.
func (r *reader) twoTexts() (first, second []string) {
	ahead := *r
	n := ahead.skipTexts()
	all := n + ahead.skipTexts()
	if ahead.failed || all == 0 {
		*r = ahead
		return nil, nil
	}
	list := make([]string, 0, all)
	list = r.appendTexts(list)
	list = r.appendTexts(list)
	// Whoever appends to the first list must not write into the second.
	if n > 0 {
		first = list[:n:n]
	}
	if n < all {
		second = list[n:]
	}
	return first, second
}

func (r *reader) skipTexts() int {
	n := r.count()
	for range n {
		r.text()
	}
	return n
}

func (r *reader) appendTexts(list []string) []string {
	for range r.count() {
		list = append(list, r.text())
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
		return r.number()
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

// number reads a number that float64 would change. Only that is kept as text.
func (r *reader) number() json.Number {
	n := r.text()
	if _, ok := asFloat(n); ok || !isNumber(n) {
		r.fail()
	}
	return json.Number(n)
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

// skip passes over a value. It fails where value would.
func (r *reader) skip(depth int) {
	if depth > maxClaimDepth {
		r.fail()
		return
	}
	switch r.byte() {
	case valueNull, valueFalse, valueTrue:
	case valueText:
		r.text()
	case valueWhole:
		r.uvarint()
	case valueFloat:
		r.float()
	case valueNumber:
		r.number()
	case valueArray:
		for range r.count() {
			if r.failed {
				return
			}
			r.skip(depth + 1)
		}
	case valueObject:
		r.skipMembers(r.count(), depth+1)
	default:
		r.fail()
	}
}

// skipMembers is to object what skip is to value.
func (r *reader) skipMembers(n, depth int) {
	for range n {
		if r.failed {
			return
		}
		r.text()
		r.skip(depth)
	}
}
