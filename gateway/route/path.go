package route

import (
	"strings"
	"unicode/utf8"
)

// Canonical returns the path that routes and policies see for raw, the path as
// the client sent it: what stands before '?'. It is percent-decoded once, has
// no empty segments and no ;parameters. It is for matching only; the upstream
// gets the bytes of the client.
//
// The error is a *BadRequest for every path that could mean two things:
//
//   - dot segments, raw or encoded, also in front of a ;parameter: upstreams
//     resolve them, some of them after cutting the parameter off;
//   - a backslash, '#' or '?', raw or encoded: some upstreams take the first for
//     a slash and end the path at the others;
//   - an encoded slash, unless allowEncodedSlash: then it counts as a slash;
//   - control characters, invalid UTF-8, bad escapes;
//   - anything that does not begin with a slash.
//
// A path without such peculiarities is returned as it is, without allocation.
func Canonical(raw string, allowEncodedSlash bool) (string, error) {
	r, err := read(raw)
	if err != nil {
		return "", err
	}
	if r.opaque != "" && !allowEncodedSlash {
		return "", errEncodedSlash()
	}
	return r.path, nil
}

// reading is a path in the ways in which upstreams could read it.
type reading struct {
	path   string // canonical
	sent   string // decoded, with empty segments and parameters as sent
	opaque string // as sent, but with encoded slashes as ordinary characters; empty without any
}

// plain reports that there is but one way to read the path.
func (r *reading) plain() bool { return r.sent == r.path && r.opaque == "" }

func errEncodedSlash() error {
	return &BadRequest{ReasonAmbiguousPath, "the path has an encoded slash"}
}

func read(raw string) (reading, error) {
	if raw == "" || raw[0] != '/' {
		return reading{}, &BadRequest{ReasonBadPath, "the path does not begin with a slash"}
	}
	if isPlain(raw) {
		return reading{path: raw, sent: raw}, nil
	}
	sent, slashes, err := decode(raw, "/")
	if err != nil {
		return reading{}, err
	}
	if !utf8.ValidString(sent) || strings.ContainsFunc(sent, isC1) {
		return reading{}, &BadRequest{ReasonBadPath, "the path is not UTF-8 text"}
	}
	if hasDotSegment(sent) {
		return reading{}, &BadRequest{ReasonAmbiguousPath, "the path has a dot segment"}
	}
	r := reading{path: mergeSlashes(cutParameters(sent)), sent: sent}
	if slashes {
		if r.opaque, _, err = decode(raw, "%2F"); err != nil {
			return reading{}, err
		}
	}
	return r, nil
}

// isPlain reports whether raw, which begins with a slash, is canonical: only
// visible ASCII without special meaning, no empty and no dot segments.
func isPlain(raw string) bool {
	for i := range len(raw) {
		switch c := raw[i]; {
		case c == '/':
			rest := raw[i+1:]
			if rest != "" && (rest[0] == '/' || rest[0] == '.' && isDots(rest)) {
				return false
			}
		case c <= ' ' || c > '~' || c == '%' || c == ';' || c == '\\' || c == '#' || c == '?':
			return false
		}
	}
	return true
}

// isDots reports whether s begins with a dot segment.
func isDots(s string) bool {
	segment, _, _ := strings.Cut(s, "/")
	return segment == "." || segment == ".."
}

// decode percent-decodes once and writes slash for every encoded slash. It
// refuses the characters that end or restructure a path in some upstreams.
func decode(raw, slash string) (path string, slashes bool, err error) {
	var b strings.Builder
	b.Grow(len(raw))
	for i := 0; i < len(raw); i++ {
		c, escaped := raw[i], false
		if c == '%' {
			if i+2 >= len(raw) || !isHex(raw[i+1]) || !isHex(raw[i+2]) {
				return "", false, &BadRequest{ReasonBadPath, "the path has a bad escape"}
			}
			c, escaped = unhex(raw[i+1])<<4|unhex(raw[i+2]), true
			i += 2
		}
		switch {
		case c < ' ' || c == 0x7f:
			return "", false, &BadRequest{ReasonBadPath, "the path has a control character"}
		case c == '\\':
			return "", false, &BadRequest{ReasonAmbiguousPath, "the path has a backslash"}
		case c == '#' || c == '?':
			return "", false, &BadRequest{ReasonAmbiguousPath, "the path has a character that could end it"}
		case c == '/' && escaped:
			slashes = true
			b.WriteString(slash)
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), slashes, nil
}

func hasDotSegment(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		segment, _, _ = strings.Cut(segment, ";")
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// cutParameters removes from each segment its ;parameters.
func cutParameters(path string) string {
	if !strings.Contains(path, ";") {
		return path
	}
	var b strings.Builder
	b.Grow(len(path))
	for i := 0; i < len(path); i++ {
		if path[i] == ';' {
			next := strings.IndexByte(path[i:], '/')
			if next < 0 {
				break
			}
			i += next
		}
		b.WriteByte(path[i])
	}
	return b.String()
}

func mergeSlashes(path string) string {
	if !strings.Contains(path, "//") {
		return path
	}
	var b strings.Builder
	b.Grow(len(path))
	for i := range len(path) {
		if path[i] == '/' && i > 0 && path[i-1] == '/' {
			continue
		}
		b.WriteByte(path[i])
	}
	return b.String()
}

func isC1(r rune) bool { return 0x80 <= r && r < 0xa0 }

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return (c | 0x20) - 'a' + 10
}
