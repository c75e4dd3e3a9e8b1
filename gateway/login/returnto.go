package login

import (
	"errors"
	"net/url"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxReturnTo bounds a return URL in bytes: it travels sealed in a URL.
const maxReturnTo = 2 << 10

var errReturnTo = errors.New("login: not a place to return to")

// returnTo judges where a browser wants to go after a sign-in or sign-out, and
// returns it as a Location that leads to a host that is served here. It is ""
// where the wish is empty or one of the endpoints of this package, since going
// there would turn in circles.
//
// A path is accepted, and an absolute URL of the public scheme whose host and
// port are served. The check reads the raw text first, because what this
// gateway's parser and a browser's (WHATWG URL) make of one text differs:
// browsers take a backslash for a slash and drop tabs and newlines, so that
// "/\evil" and "/<tab>/evil" are another host. Whatever is read in two ways is
// refused, not repaired.
func (s *Service) returnTo(raw string) (string, error) {
	if raw == "" {
		return "", nil
	}
	if len(raw) > maxReturnTo || !isPlainURLText(raw) {
		return "", errReturnTo
	}
	authority, absolute := strings.CutPrefix(raw, s.public.Scheme+"://")
	if absolute {
		if end := strings.IndexAny(authority, "/?#"); end >= 0 {
			authority = authority[:end]
		}
		if !s.servedAuthority(authority) {
			return "", errReturnTo
		}
	} else if raw[0] != '/' || strings.HasPrefix(raw, "//") {
		return "", errReturnTo
	}

	// The second look: the parser must see the same host, or none.
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" || u.User != nil {
		return "", errReturnTo
	}
	if absolute && (u.Scheme != s.public.Scheme || u.Host != authority) || !absolute && (u.Scheme != "" || u.Host != "") {
		return "", errReturnTo
	}
	if !isSteadyPath(u) {
		return "", errReturnTo
	}
	if s.isOwnEndpoint(u.Path) {
		return "", nil
	}
	return escapeNonASCII(raw), nil
}

// isPlainURLText refuses every character that some parser drops, folds or reads
// as a slash: controls, space of any kind, backslashes, invisible characters
// and what is not UTF-8.
func isPlainURLText(raw string) bool {
	if !utf8.ValidString(raw) {
		return false
	}
	for _, c := range raw {
		if c <= ' ' || c == 0x7f || c == '\\' || c == utf8.RuneError || unicode.IsControl(c) || unicode.IsSpace(c) || unicode.Is(unicode.Cf, c) {
			return false
		}
	}
	return true
}

// servedAuthority accepts host[:port] only: no user info, no percent-encoding,
// nothing that IDNA mapping could change.
func (s *Service) servedAuthority(authority string) bool {
	if authority == "" {
		return false
	}
	for _, c := range []byte(authority) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune(".-_:[]", rune(c)) {
			return false
		}
	}
	u := &url.URL{Host: s.normalHost(authority)}
	// The port is part of an origin: another port of a served host may be
	// anybody's.
	if host := u.Hostname(); host == "" || strings.HasSuffix(host, ".") || u.Port() != s.public.Port() || strings.HasSuffix(u.Host, ":") {
		return false
	}
	return s.knownHost(u.Host)
}

// isSteadyPath refuses paths that the gateway itself would not forward because
// servers read them differently: dot segments, encoded backslashes and
// controls, and a slash hidden at the front.
func isSteadyPath(u *url.URL) bool {
	if strings.HasPrefix(strings.ToLower(u.EscapedPath()), "/%2f") {
		return false
	}
	for _, c := range []byte(u.Path) {
		if c < ' ' || c == 0x7f || c == '\\' {
			return false
		}
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if bare, _, _ := strings.Cut(segment, ";"); bare == "." || bare == ".." {
			return false
		}
	}
	return utf8.ValidString(u.Path)
}

// isOwnEndpoint reports whether a decoded path is one where sign-ins and
// sign-outs happen, in any spelling that could be routed there.
func (s *Service) isOwnEndpoint(decoded string) bool {
	clean := strings.ToLower(path.Clean("/" + decoded))
	rest, ok := strings.CutPrefix(clean, strings.ToLower(s.prefix)+"/")
	if !ok {
		return false
	}
	first, _, _ := strings.Cut(rest, "/")
	return slices.Contains([]string{"login", "logout", "callback"}, first)
}

// escapeNonASCII percent-encodes what a Location header cannot carry, as every
// browser would.
func escapeNonASCII(raw string) string {
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	for _, c := range []byte(raw) {
		if c < utf8.RuneSelf {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hexDigits[c>>4])
		b.WriteByte(hexDigits[c&15])
	}
	return b.String()
}

// orRoot is the target, or the start page where there is none.
func orRoot(target string) string {
	if target == "" {
		return "/"
	}
	return target
}
