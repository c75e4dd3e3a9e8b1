package policy

import (
	"bytes"
	"slices"
	"strings"
)

// maxAddress is longer than any address that mail can reach (RFC 5321,
// section 4.5.3.1); it bounds the buffer in which letter case is folded.
const maxAddress = 320

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

// scopes are the scopes of a token, as hasScope understands them.
func scopes(claims Claims) []string {
	if claims == nil {
		return nil
	}
	v := claims.Claim("scope")
	if v == nil {
		v = claims.Claim("scp")
		switch list := v.(type) {
		case []string:
			return list
		case []any:
			var all []string
			for _, one := range list {
				if s, ok := one.(string); ok {
					all = append(all, s)
				}
			}
			return all
		}
	}
	text, _ := v.(string)
	return strings.FieldsFunc(text, func(r rune) bool { return r == ' ' })
}
