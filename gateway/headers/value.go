package headers

import (
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/gateway/identity"
)

// field is one compiled header rule.
type field struct {
	name     string // canonical
	folded   string
	claims   []string // the first that has a value counts
	match    *regexp.Regexp
	join     string
	fallback string // already encoded
	encoding encoding
	required bool
}

// value returns the encoded header value, or false where the user has none.
func (f *field) value(id *identity.Identity) (string, bool) {
	for _, name := range f.claims {
		if v, ok := f.render(f.matching(claim(id, name))); ok {
			return v, true
		}
	}
	return f.fallback, f.fallback != ""
}

// render encodes a claim. What has no text is no value.
func (f *field) render(v any) (string, bool) {
	if f.encoding == jsonText {
		return jsonValue(v)
	}
	var raw string
	switch v := v.(type) {
	case encoded:
		raw = string(v)
	case []string:
		raw = f.list(len(v), func(i int) string { return v[i] })
	case []any:
		raw = f.list(len(v), func(i int) string { return text(v[i]) })
	default:
		raw = f.encoding.item(text(v), "")
	}
	if raw == "" {
		return "", false
	}
	return f.encoding.finish(raw), true
}

// matching leaves of a claim what the rule sends: the items of a list that match,
// or a single value if it does.
func (f *field) matching(v any) any {
	if f.match == nil {
		return v
	}
	switch v := v.(type) {
	case encoded:
		if f.matches(string(v)) {
			return v
		}
		return nil
	case []string:
		return slices.DeleteFunc(slices.Clone(v), func(s string) bool { return !f.matches(s) })
	case []any:
		return slices.DeleteFunc(slices.Clone(v), func(one any) bool { return !f.matches(text(one)) })
	}
	if f.matches(text(v)) {
		return v
	}
	return nil
}

func (f *field) matches(s string) bool { return s != "" && f.match.MatchString(s) }

// list joins the items that have a text. Whatever could be taken for the
// separator, and the comma, which separates list items in every HTTP header
// (RFC 9110, section 5.6.1), is escaped inside the items: the one group
// "a,admin" must never be read as two.
func (f *field) list(n int, item func(int) string) string {
	var b strings.Builder
	for i := range n {
		s := item(i)
		if s == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(f.join)
		}
		b.WriteString(f.encoding.item(s, f.escaped()))
	}
	return b.String()
}

func (f *field) escaped() string { return f.join + "," }

// maxExact is the largest number up to which float64 holds every whole number.
// Beyond it two account numbers can decode to the same value, and one user
// would be announced as the other.
const maxExact = 1 << 53

// text returns the canonical text of a scalar claim, or nothing for anything
// else: objects, null, lists in lists, numbers that lost digits.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case float64:
		switch {
		case math.IsNaN(v) || math.Abs(v) >= maxExact:
			return ""
		case v == 0:
			return "0" // -0 too
		case math.Abs(v) < 1e-15:
			return strconv.FormatFloat(v, 'e', -1, 64)
		}
		return strconv.FormatFloat(v, 'f', -1, 64)
	case json.Number:
		if digits := strings.TrimPrefix(v.String(), "-"); digits != "0" && digits != "" && strings.Trim(digits, "0123456789") == "" {
			return v.String()
		}
		f, err := v.Float64()
		if err != nil {
			return ""
		}
		return text(f)
	case int:
		return strconv.Itoa(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case uint64:
		return strconv.FormatUint(v, 10)
	}
	return ""
}
