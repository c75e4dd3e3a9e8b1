package headers

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/gateway/identity"
)

// field is one compiled header rule.
type field struct {
	name     string // canonical
	folded   string
	claim    string
	join     string
	fallback string // already encoded
	base64   bool
	required bool
}

// value returns the encoded header value, or false where the user has none.
func (f *field) value(id *identity.Identity) (string, bool) {
	var raw string
	switch v := claim(id, f.claim).(type) {
	case encoded:
		raw = string(v)
	case []string:
		raw = f.list(len(v), func(i int) string { return v[i] })
	case []any:
		raw = f.list(len(v), func(i int) string { return text(v[i]) })
	default:
		if raw = text(v); !f.base64 {
			raw = escape(raw, "")
		}
	}
	if raw == "" {
		return f.fallback, f.fallback != ""
	}
	return f.finish(raw), true
}

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
		if f.base64 {
			b.WriteString(escapeOnly(s, f.escaped()))
		} else {
			b.WriteString(escape(s, f.escaped()))
		}
	}
	return b.String()
}

func (f *field) escaped() string { return f.join + "," }

// finish puts the last layer of the encoding around a value.
func (f *field) finish(s string) string {
	if f.base64 {
		return base64.StdEncoding.EncodeToString([]byte(s))
	}
	return s
}

// encoded is a value that needs no further escaping.
type encoded string

// claim finds what name means for id: a field of the identity, or one of the
// provider's other claims.
func claim(id *identity.Identity, name string) any {
	switch name {
	case "iss":
		return id.Issuer
	case "sub":
		return id.Subject
	case "email":
		if !id.EmailVerified {
			return nil
		}
		return id.Email
	case "email_verified":
		return id.EmailVerified
	case "name":
		return id.Name
	case "preferred_username":
		return id.PreferredUsername
	case "groups":
		return id.Groups
	case "amr":
		return id.AMR
	case "acr":
		return id.ACR
	case "method":
		return id.Method
	case "qualified_subject":
		if id.Subject == "" {
			return nil
		}
		return encoded(escape(id.Issuer, "#") + "#" + escape(id.Subject, "#"))
	}
	return lookup(id, name)
}

// lookup finds name among the claims: the claim of that very name first, then
// the part before the first dot as an object that holds the rest.
func lookup(id *identity.Identity, name string) any {
	if v := id.Claim(name); v != nil {
		return v
	}
	head, rest, ok := strings.Cut(name, ".")
	if !ok {
		return nil
	}
	object, ok := id.Claim(head).(map[string]any)
	if !ok {
		return nil
	}
	return member(object, rest)
}

// member is lookup inside an object.
func member(object map[string]any, name string) any {
	for {
		if v, ok := object[name]; ok {
			return v
		}
		head, rest, ok := strings.Cut(name, ".")
		if !ok {
			return nil
		}
		if object, ok = object[head].(map[string]any); !ok {
			return nil
		}
		name = rest
	}
}

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

const upperHex = "0123456789ABCDEF"

// escape percent-encodes what cannot stand in a header value as it is: '%'
// itself, controls, everything beyond ASCII (and so every line break that
// Unicode knows), a space at either end, and the characters of also.
// Percent-decoding gives s back.
func escape(s, also string) string {
	return escapeFunc(s, func(i int) bool {
		c := s[i]
		return c < ' ' || c > '~' || c == '%' || (c == ' ' && (i == 0 || i == len(s)-1)) || strings.IndexByte(also, c) >= 0
	})
}

// escapeOnly percent-encodes '%' and the characters of also. It serves values
// that another encoding will carry safely.
func escapeOnly(s, also string) string {
	return escapeFunc(s, func(i int) bool { return s[i] == '%' || strings.IndexByte(also, s[i]) >= 0 })
}

func escapeFunc(s string, must func(i int) bool) string {
	n := 0
	for i := range len(s) {
		if must(i) {
			n++
		}
	}
	if n == 0 {
		return s
	}
	b := make([]byte, 0, len(s)+2*n)
	for i := range len(s) {
		if c := s[i]; must(i) {
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		} else {
			b = append(b, c)
		}
	}
	return string(b)
}
