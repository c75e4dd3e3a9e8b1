package session

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// A value is one of these bytes and what belongs to it.
const (
	valueNull   = iota
	valueFalse  //
	valueTrue   //
	valueText   // a string
	valueWhole  // a float64 without a fraction: varint
	valueFloat  // any other float64: its 8 bytes, big endian
	valueNumber // a json.Number that float64 would change: a string
	valueArray  // uvarint count, values
	valueObject // uvarint count, names and values
)

// The first byte of a string: its length, longText with a uvarint length after
// it, or a word.
const (
	longText  = 0x7f
	wordFlag  = 0x80
	wordLimit = 0x80
)

type writer struct{ buf []byte }

func (w *writer) text(s string) {
	if i, ok := wordIndex[s]; ok {
		w.buf = append(w.buf, wordFlag|i)
		return
	}
	if len(s) < longText {
		w.buf = append(w.buf, byte(len(s)))
	} else {
		w.buf = binary.AppendUvarint(append(w.buf, longText), uint64(len(s)))
	}
	w.buf = append(w.buf, s...)
}

func (w *writer) texts(list []string) {
	w.buf = binary.AppendUvarint(w.buf, uint64(len(list)))
	for _, s := range list {
		w.text(s)
	}
}

func (w *writer) value(v any, depth int) error {
	if depth > maxClaimDepth {
		return errClaimDepth
	}
	switch v := v.(type) {
	case nil:
		w.buf = append(w.buf, valueNull)
	case bool:
		b := byte(valueFalse)
		if v {
			b = valueTrue
		}
		w.buf = append(w.buf, b)
	case string:
		w.buf = append(w.buf, valueText)
		w.text(v)
	case float64:
		return w.float(v)
	case float32:
		return w.float(float64(v))
	case json.Number:
		return w.number(v.String())
	case int:
		return w.number(strconv.Itoa(v))
	case int64:
		return w.number(strconv.FormatInt(v, 10))
	case uint64:
		return w.number(strconv.FormatUint(v, 10))
	case []string:
		w.array(len(v))
		for _, item := range v {
			w.buf = append(w.buf, valueText)
			w.text(item)
		}
	case []any:
		w.array(len(v))
		for _, item := range v {
			if err := w.value(item, depth+1); err != nil {
				return err
			}
		}
	case map[string]any:
		w.buf = binary.AppendUvarint(append(w.buf, valueObject), uint64(len(v)))
		for name, item := range v {
			w.text(name)
			if err := w.value(item, depth+1); err != nil {
				return err
			}
		}
	default:
		return errClaimType
	}
	return nil
}

func (w *writer) array(n int) {
	w.buf = binary.AppendUvarint(append(w.buf, valueArray), uint64(n))
}

func (w *writer) float(f float64) error {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return errClaimType
	case exact(f):
		w.buf = binary.AppendVarint(append(w.buf, valueWhole), int64(f))
	default:
		w.buf = binary.BigEndian.AppendUint64(append(w.buf, valueFloat), math.Float64bits(f))
	}
	return nil
}

// number keeps the text of a whole number that float64 would change: a rounded
// account number is another account.
func (w *writer) number(s string) error {
	if !isNumber(s) {
		return errClaimType
	}
	if f, ok := asFloat(s); ok {
		return w.float(f)
	}
	w.buf = append(w.buf, valueNumber)
	w.text(s)
	return nil
}

// asFloat returns the number s unless float64 would change it.
func asFloat(s string) (f float64, ok bool) {
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil && (math.Abs(f) < maxExact || strings.ContainsAny(s, ".eE"))
}

// isNumber reports whether s is a JSON number (RFC 8259, section 6).
func isNumber(s string) bool {
	if s == "" || s[0] != '-' && (s[0] < '0' || s[0] > '9') {
		return false
	}
	last := s[len(s)-1]
	return last >= '0' && last <= '9' && json.Valid([]byte(s))
}

// maxExact is the number from which on float64 no longer tells whole numbers apart.
const maxExact = 1 << 53

// exact reports whether a varint holds f unchanged.
func exact(f float64) bool {
	return math.Abs(f) < maxExact && f == math.Trunc(f) && (f != 0 || !math.Signbit(f))
}
