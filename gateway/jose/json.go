package jose

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"unicode/utf8"
)

// maxDepth is how deep objects and lists may nest in a header, in claims and
// in a key.
const maxDepth = 32

// maxExact is where float64 begins to leave out whole numbers.
const maxExact = 1 << 53

var (
	errJSON      = errors.New("not valid JSON")
	errNotObject = errors.New("not one JSON object")
	errDuplicate = errors.New("a member name occurs twice")
	errDepth     = errors.New("nested too deep")
	errText      = errors.New("text is not valid UTF-8 or has half a surrogate pair")
)

// decodeObject reads exactly one JSON object. encoding/json is not strict
// enough for signed data: it lets the last of two equal names win, folds the
// case of names, and repairs broken text, so that two readers of one token can
// see different claims (RFC 7515 section 4, RFC 8725 section 2.4).
//
// Values are string, bool, nil, []any, map[string]any and float64, except
// numbers that float64 would change: whole numbers from 2^53 on and those out of
// its range stay json.Number.
func decodeObject(data []byte) (map[string]any, error) {
	if !utf8.Valid(data) {
		return nil, errText
	}
	d := decoder{data: data}
	d.space()
	if d.peek() != '{' {
		return nil, errNotObject
	}
	object, err := d.object(1)
	if err != nil {
		return nil, err
	}
	d.space()
	if d.pos != len(data) {
		return nil, errNotObject
	}
	return object, nil
}

type decoder struct {
	data []byte
	pos  int
}

// peek returns the next byte, or 0 at the end: no JSON text has a NUL where
// peek is asked.
func (d *decoder) peek() byte {
	if d.pos < len(d.data) {
		return d.data[d.pos]
	}
	return 0
}

func (d *decoder) space() {
	for d.pos < len(d.data) {
		switch d.data[d.pos] {
		case ' ', '\t', '\r', '\n':
			d.pos++
		default:
			return
		}
	}
}

// next skips space and takes c, if it is what comes.
func (d *decoder) next(c byte) bool {
	d.space()
	if d.peek() != c {
		return false
	}
	d.pos++
	return true
}

func (d *decoder) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	d.space()
	switch c := d.peek(); {
	case c == '{':
		return d.object(depth)
	case c == '[':
		return d.list(depth)
	case c == '"':
		return d.text()
	case c == 't':
		return true, d.word("true")
	case c == 'f':
		return false, d.word("false")
	case c == 'n':
		return nil, d.word("null")
	case c == '-' || isDigit(c):
		return d.number()
	}
	return nil, errJSON
}

func (d *decoder) object(depth int) (map[string]any, error) {
	d.pos++
	if d.next('}') {
		return map[string]any{}, nil
	}
	object := make(map[string]any, 8)
	for {
		d.space()
		if d.peek() != '"' {
			return nil, errJSON
		}
		name, err := d.name()
		if err != nil {
			return nil, err
		}
		if _, twice := object[name]; twice {
			return nil, errDuplicate
		}
		if !d.next(':') {
			return nil, errJSON
		}
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		object[name] = v
		if d.next('}') {
			return object, nil
		}
		if !d.next(',') {
			return nil, errJSON
		}
	}
}

// name reads a member name. The usual ones are the same text in every token,
// and so need no memory in each.
func (d *decoder) name() (string, error) {
	rest := d.data[d.pos+1:]
	if end := bytes.IndexByte(rest[:min(len(rest), maxUsual)], '"'); end >= 0 {
		if name, ok := usualName(rest[:end]); ok {
			d.pos += 1 + end + 1
			return name, nil
		}
	}
	return d.text()
}

func (d *decoder) list(depth int) ([]any, error) {
	d.pos++
	list := []any{}
	if d.next(']') {
		return list, nil
	}
	for {
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if len(list) == 0 {
			list = make([]any, 0, 4)
		}
		list = append(list, v)
		if d.next(']') {
			return list, nil
		}
		if !d.next(',') {
			return nil, errJSON
		}
	}
}

func (d *decoder) word(w string) error {
	end := d.pos + len(w)
	if end > len(d.data) || string(d.data[d.pos:end]) != w {
		return errJSON
	}
	d.pos = end
	return nil
}

// text reads a string. The escapes are left to encoding/json; only the halves
// of surrogate pairs, which it would replace, are looked at here.
func (d *decoder) text() (string, error) {
	start := d.pos
	d.pos++
	escaped := false
	for d.pos < len(d.data) {
		switch c := d.data[d.pos]; {
		case c == '"':
			d.pos++
			if !escaped {
				return string(d.data[start+1 : d.pos-1]), nil
			}
			var s string
			if json.Unmarshal(d.data[start:d.pos], &s) != nil {
				return "", errJSON
			}
			return s, nil
		case c == '\\':
			escaped = true
			if err := d.escape(); err != nil {
				return "", err
			}
		case c < ' ':
			return "", errJSON
		default:
			d.pos++
		}
	}
	return "", errJSON
}

// escape steps over one escape sequence, or over two that make one character.
func (d *decoder) escape() error {
	unit, ok := d.unit()
	switch {
	case !ok:
		d.pos += 2 // \n and the like; encoding/json refuses what is none
		return nil
	case unit >= 0xdc00 && unit <= 0xdfff:
		return errText
	case unit >= 0xd800 && unit <= 0xdbff:
		if low, ok := d.unit(); !ok || low < 0xdc00 || low > 0xdfff {
			return errText
		}
	}
	return nil
}

// unit steps over \uXXXX, if that is what comes.
func (d *decoder) unit() (uint64, bool) {
	if d.pos+6 > len(d.data) || d.data[d.pos] != '\\' || d.data[d.pos+1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(d.data[d.pos+2:d.pos+6]), 16, 32)
	if err != nil {
		return 0, false
	}
	d.pos += 6
	return n, true
}

func (d *decoder) number() (any, error) {
	start, whole := d.pos, true
	if d.peek() == '-' {
		d.pos++
	}
	leadingZero := d.peek() == '0'
	if n := d.digits(); n == 0 || leadingZero && n > 1 {
		return nil, errJSON
	}
	if d.peek() == '.' {
		whole = false
		d.pos++
		if d.digits() == 0 {
			return nil, errJSON
		}
	}
	if c := d.peek(); c == 'e' || c == 'E' {
		whole = false
		d.pos++
		if c := d.peek(); c == '+' || c == '-' {
			d.pos++
		}
		if d.digits() == 0 {
			return nil, errJSON
		}
	}
	if whole && d.data[start] != '-' {
		if f, ok := smallNumber(d.data[start:d.pos]); ok {
			return f, nil
		}
	}
	s := string(d.data[start:d.pos])
	f, err := strconv.ParseFloat(s, 64)
	if fits := err == nil && (!whole || -maxExact < f && f < maxExact); fits {
		return f, nil
	}
	return json.Number(s), nil
}

// smallNumber reads the digits of a whole number that a float64 holds exactly,
// such as every date.
func smallNumber(digits []byte) (f float64, ok bool) {
	if len(digits) > 15 {
		return 0, false
	}
	n := 0
	for _, c := range digits {
		n = 10*n + int(c-'0')
	}
	return float64(n), true
}

func (d *decoder) digits() (n int) {
	for isDigit(d.peek()) {
		d.pos++
		n++
	}
	return n
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
