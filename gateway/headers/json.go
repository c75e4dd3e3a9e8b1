package headers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonValue writes a claim as JSON in ASCII, with the members of objects in the
// order of their names. What is empty, or does not survive, is no value.
func jsonValue(v any) (string, bool) {
	switch v := v.(type) {
	case nil:
		return "", false
	case encoded:
		return jsonValue(string(v))
	case string:
		if v == "" {
			return "", false
		}
	case []string:
		if len(v) == 0 {
			return "", false
		}
	case []any:
		if len(v) == 0 {
			return "", false
		}
	case map[string]any:
		if len(v) == 0 {
			return "", false
		}
	}
	if !survives(v) {
		return "", false
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", false
	}
	return asciiJSON(strings.TrimSuffix(b.String(), "\n")), true
}

// survives reports whether JSON says all of v: text that is no UTF-8 would be
// changed, and so would numbers that lost digits already.
func survives(v any) bool {
	switch v := v.(type) {
	case string:
		return utf8.ValidString(v)
	case []string:
		for _, s := range v {
			if !utf8.ValidString(s) {
				return false
			}
		}
	case []any:
		for _, one := range v {
			if !survives(one) {
				return false
			}
		}
	case map[string]any:
		for name, one := range v {
			if !utf8.ValidString(name) || !survives(one) {
				return false
			}
		}
	case float64:
		return math.Abs(v) < maxExact // NaN is not
	}
	return true
}

// asciiJSON escapes what is not printable ASCII: inside strings, which is the only
// place where compact JSON has it.
func asciiJSON(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r >= ' ' && r <= '~':
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// jsonDefault writes JSON that an operator has written as jsonValue would, or
// reports that it is none.
func jsonDefault(s string) (string, bool) {
	var b bytes.Buffer
	if json.Compact(&b, []byte(s)) != nil || !utf8.Valid(b.Bytes()) {
		return "", false
	}
	return asciiJSON(b.String()), true
}
