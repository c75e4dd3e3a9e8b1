package login_test

import "strings"

// whatwgHost parses a Location against the base of a gateway page as browsers do
// (the WHATWG URL Standard, basic URL parser, for special schemes only) and
// returns the scheme and host[:port] that it leads to. It is written from the
// standard and shares nothing with the code that it judges. ok is false where a
// browser would go nowhere.
func whatwgHost(input, baseScheme, baseHost string) (scheme, host string, ok bool) {
	// Leading and trailing C0 controls and spaces go; tabs and newlines go
	// anywhere.
	input = strings.TrimFunc(input, func(r rune) bool { return r <= ' ' })
	input = strings.Map(func(r rune) rune {
		if r == '\t' || r == '\n' || r == '\r' {
			return -1
		}
		return r
	}, input)
	scheme, rest, has := cutScheme(input)
	if !has {
		return relativeHost(input, baseScheme, baseHost)
	}
	if scheme != "http" && scheme != "https" {
		return scheme, "", true
	}
	if scheme == baseScheme && !startsWithSlashes(rest, 2) {
		// "special relative or authority state": https:foo is relative.
		return relativeHost(rest, baseScheme, baseHost)
	}
	return authorityOf(scheme, strings.TrimLeft(rest, `/\`))
}

func relativeHost(input, baseScheme, baseHost string) (scheme, host string, ok bool) {
	if startsWithSlashes(input, 2) {
		// "special authority ignore slashes state".
		return authorityOf(baseScheme, strings.TrimLeft(input, `/\`))
	}
	return baseScheme, baseHost, true
}

func authorityOf(scheme, rest string) (string, string, bool) {
	if end := strings.IndexAny(rest, `/\?#`); end >= 0 {
		rest = rest[:end]
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		rest = rest[at+1:]
	}
	host := strings.ToLower(rest)
	if scheme == "http" {
		host = strings.TrimSuffix(host, ":80")
	} else {
		host = strings.TrimSuffix(host, ":443")
	}
	return scheme, host, host != ""
}

func startsWithSlashes(s string, n int) bool {
	if len(s) < n {
		return false
	}
	return strings.Trim(s[:n], `/\`) == ""
}

func cutScheme(s string) (scheme, rest string, ok bool) {
	name, rest, found := strings.Cut(s, ":")
	if !found || name == "" {
		return "", s, false
	}
	for i, c := range []byte(strings.ToLower(name)) {
		letter := c >= 'a' && c <= 'z'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '+' && c != '-' && c != '.') {
			return "", s, false
		}
	}
	return strings.ToLower(name), rest, true
}
