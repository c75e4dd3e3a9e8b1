package policy

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// hasValue compares one scalar claim in its text form. Anything that is not a
// scalar never matches.
func (w *words) hasValue(v any) bool {
	var buf [64]byte
	switch v := v.(type) {
	case string:
		return w.has(v)
	case bool:
		return w.hasBytes(strconv.AppendBool(buf[:0], v))
	case float64:
		return w.hasBytes(appendFloat(buf[:0], v))
	case json.Number:
		return w.hasBytes(appendNumber(buf[:0], v.String()))
	case int:
		return w.hasBytes(strconv.AppendInt(buf[:0], int64(v), 10))
	case int64:
		return w.hasBytes(strconv.AppendInt(buf[:0], v, 10))
	case uint64:
		return w.hasBytes(strconv.AppendUint(buf[:0], v, 10))
	}
	return false
}

// maxExact is the largest number up to which float64 holds every whole number.
// Beyond it two different account numbers decode to the same value, so nothing
// may be decided by it.
const maxExact = 1 << 53

// appendFloat appends the shortest decimal form of f, or nothing where f is not
// the number that was sent.
func appendFloat(b []byte, f float64) []byte {
	if math.IsNaN(f) || math.Abs(f) >= maxExact {
		return b
	}
	if f == 0 {
		return append(b, '0') // -0 too
	}
	if math.Abs(f) < 1e-15 {
		return strconv.AppendFloat(b, f, 'e', -1, 64)
	}
	return strconv.AppendFloat(b, f, 'f', -1, 64)
}

// appendNumber appends the canonical form of a JSON number. Whole numbers of
// any length are exact.
func appendNumber(b []byte, s string) []byte {
	digits := strings.TrimPrefix(s, "-")
	if digits == "" {
		return b
	}
	for i := range len(digits) {
		if digits[i] < '0' || '9' < digits[i] {
			f, err := strconv.ParseFloat(s, 64)
			if err != nil {
				return b
			}
			return appendFloat(b, f)
		}
	}
	if digits == "0" {
		return append(b, '0')
	}
	return append(b, s...)
}
