package policy

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
)

// maxAddress is longer than any address that mail can reach (RFC 5321,
// section 4.5.3.1); it bounds the buffer in which letter case is folded.
const maxAddress = 320

// matcher is a compiled Match. A nil list puts no condition.
type matcher struct {
	groups   words
	emails   words
	domains  words
	subjects words
	scopes   words
	claims   []claimMatcher
}

type claimMatcher struct {
	name   string
	values words
}

func (m *matcher) fits(id *Identity) bool {
	if m.empty() {
		return false
	}
	if m.subjects.given() && !m.subjects.has(id.Subject) {
		return false
	}
	if m.groups.given() && !m.groups.hasAny(id.Groups) {
		return false
	}
	if m.emails.given() && !m.emails.hasAddress(id.Email, id.EmailVerified) {
		return false
	}
	if m.domains.given() && !m.domains.hasDomain(id.Email, id.EmailVerified) {
		return false
	}
	if m.scopes.given() && !m.scopes.hasScope(id.Claims) {
		return false
	}
	for i := range m.claims {
		if !m.claims[i].fits(id) {
			return false
		}
	}
	return true
}

// empty guards the zero matcher, which would otherwise fit everybody.
func (m *matcher) empty() bool {
	return !m.subjects.given() && !m.groups.given() && !m.emails.given() && !m.domains.given() &&
		!m.scopes.given() && len(m.claims) == 0
}

func (c *claimMatcher) fits(id *Identity) bool {
	switch c.name {
	case "iss":
		return c.values.has(id.Issuer)
	case "sub":
		return c.values.has(id.Subject)
	case "email":
		return id.EmailVerified && c.values.has(id.Email)
	case "email_verified":
		return c.values.hasValue(id.EmailVerified)
	case "groups":
		return c.values.hasAny(id.Groups)
	}
	switch v := lookup(id.Claims, c.name).(type) {
	case []any:
		return slices.ContainsFunc(v, c.values.hasValue)
	case []string:
		return c.values.hasAny(v)
	default:
		return c.values.hasValue(v)
	}
}

// lookup finds name in claims: the claim of that very name first, then the part
// before the first dot as an object that holds the rest.
func lookup(claims Claims, name string) any {
	if claims == nil {
		return nil
	}
	if v := claims.Claim(name); v != nil {
		return v
	}
	head, rest, ok := strings.Cut(name, ".")
	if !ok {
		return nil
	}
	object, ok := claims.Claim(head).(map[string]any)
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

// words is a list of values to compare with. Short lists are scanned, which is
// quicker than hashing; long ones are a map.
type words struct {
	list []string
	set  map[string]struct{}
}

const scanUpTo = 8

func newWords(list []string) words {
	w := words{list: slices.Clone(list)}
	if len(list) > scanUpTo {
		w.set = make(map[string]struct{}, len(list))
		for _, s := range list {
			w.set[s] = struct{}{}
		}
	}
	return w
}

func (w *words) given() bool { return w.list != nil }

func (w *words) has(s string) bool {
	if s == "" {
		return false
	}
	if w.set != nil {
		_, ok := w.set[s]
		return ok
	}
	return slices.Contains(w.list, s)
}

func (w *words) hasAny(list []string) bool { return slices.ContainsFunc(list, w.has) }

// hasBytes is has without making a string of b.
func (w *words) hasBytes(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	if w.set != nil {
		_, ok := w.set[string(b)]
		return ok
	}
	return slices.ContainsFunc(w.list, func(s string) bool { return s == string(b) })
}

func (w *words) hasAddress(address string, verified bool) bool {
	var buf [maxAddress]byte
	folded := foldAddress(&buf, address, verified)
	return w.hasBytes(folded)
}

// hasDomain looks at what follows the '@'. An address with several has several
// readings, and belongs to no domain.
func (w *words) hasDomain(address string, verified bool) bool {
	var buf [maxAddress]byte
	folded := foldAddress(&buf, address, verified)
	at := bytes.IndexByte(folded, '@')
	if at < 1 || bytes.IndexByte(folded[at+1:], '@') >= 0 {
		return false
	}
	return w.hasBytes(folded[at+1:])
}

// foldAddress writes address in lower case (ASCII), or nothing where it is not
// verified or too long to be one.
func foldAddress(buf *[maxAddress]byte, address string, verified bool) []byte {
	if !verified || len(address) > maxAddress {
		return nil
	}
	for i := range len(address) {
		c := address[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		buf[i] = c
	}
	return buf[:len(address)]
}

// hasScope looks for one of the words among the scopes of a token. A list is
// understood under scp alone: scope is a string of words between spaces, and
// nothing else separates them (RFC 6749, section 3.3).
func (w *words) hasScope(claims Claims) bool {
	if claims == nil {
		return false
	}
	v := claims.Claim("scope")
	if v == nil {
		v = claims.Claim("scp")
		switch list := v.(type) {
		case []any:
			return slices.ContainsFunc(list, func(one any) bool {
				s, ok := one.(string)
				return ok && w.has(s)
			})
		case []string:
			return w.hasAny(list)
		}
	}
	text, ok := v.(string)
	for ok && text != "" {
		var one string
		one, text, _ = strings.Cut(text, " ")
		if w.has(one) {
			return true
		}
	}
	return false
}

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
