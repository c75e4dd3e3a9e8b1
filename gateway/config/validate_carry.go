package config

import (
	"fmt"
	"strings"
)

// carry checks how a route carries requests and answers.
func (k *checker) carry(at string, r Route) {
	k.prefix(at+".strip_prefix", r.StripPrefix)
	k.prefix(at+".add_prefix", r.AddPrefix)
	if r.StripPrefix != "" && isCleanPrefix(r.StripPrefix) {
		for i, p := range r.Paths {
			if !under(p, r.StripPrefix) {
				k.fault(item(at+".paths", i), fmt.Sprintf("%q is not below strip_prefix %s", shorten(p), r.StripPrefix),
					"write paths that begin with it, or take the prefix out")
			}
		}
	}
	if r.MaxBodyBytes != nil {
		k.notNegative(at+".max_body_bytes", *r.MaxBodyBytes)
	}
	for i, name := range r.Trailers {
		k.trailer(item(at+".trailers", i), name)
	}
	k.notNegative(at+".timeouts.idle", int64(r.Timeouts.Idle))
	k.notNegative(at+".streams.max_lifetime", int64(r.Streams.MaxLifetime))
	k.notNegative(at+".streams.max_per_user", int64(r.Streams.MaxPerUser))
	if r.Streams.MaxPerUser > 0 && r.Public {
		k.fault(at+".streams.max_per_user", "counts streams of users, and a public route knows none", "remove it, or public: true")
	}
}

func (k *checker) prefix(at, prefix string) {
	if prefix != "" && !isCleanPrefix(prefix) {
		k.fault(at, fmt.Sprintf("%q is not a path of plain segments", shorten(prefix)),
			"write /app or another path of letters, digits and . _ - without a / at the end")
	}
}

// under reports whether every path of a pattern begins with prefix, on whole
// segments.
func under(pattern, prefix string) bool {
	literal := strings.TrimPrefix(pattern, "=")
	if expression, ok := strings.CutPrefix(pattern, "~^"); ok {
		literal = strings.ReplaceAll(expression, `\.`, ".")
		return strings.HasPrefix(literal, prefix+"/")
	}
	return literal == prefix || strings.HasPrefix(literal, prefix+"/")
}

// trailer refuses names that mean something before the body, so that what comes
// after it could only mislead (RFC 9110, section 6.5.1).
func (k *checker) trailer(at, name string) {
	folded := foldHeader(name)
	switch {
	case !isToken(name) || folded == "":
		k.fault(at, fmt.Sprintf("%q is not a header name", shorten(name)), "write a name such as Checksum or Server-Timing")
	case reservedHeader(folded), strings.HasPrefix(folded, "content"), strings.HasPrefix(folded, "xforwarded"),
		strings.HasPrefix(folded, "sallyport"), strings.HasPrefix(folded, "sec"), strings.HasPrefix(folded, "access"),
		folded == "setcookie", folded == "location", folded == "wwwauthenticate", folded == "cachecontrol", folded == "expect",
		folded == "range", folded == "forwarded", folded == "stricttransportsecurity":
		k.fault(at, name+" means something before the body alone", "remove it: only fields that are about the body belong here, such as Checksum")
	}
}
