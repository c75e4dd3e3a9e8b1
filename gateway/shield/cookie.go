package shield

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// setCookie is a Set-Cookie line as browsers read it (RFC 6265bis, section
// 5.6): of attributes of one name, the last counts.
type setCookie struct {
	name       string // empty where the line has none: what looks like one is the value
	secure     bool
	httpOnly   bool
	path       string
	domain     string
	sameSite   string // in lower case; empty where there is none that browsers know
	hasDomain  bool
	saysToSend bool // SameSite in any spelling
	over       bool // it deletes the cookie
}

func readSetCookie(line string) setCookie {
	pair, rest, more := strings.Cut(line, ";")
	var c setCookie
	if before, _, named := strings.Cut(pair, "="); named {
		c.name = strings.Trim(before, " \t")
	}
	var maxAge, expires string
	for more {
		var part string
		part, rest, more = strings.Cut(rest, ";")
		name, value, _ := strings.Cut(part, "=")
		name, value = strings.Trim(name, " \t"), strings.Trim(value, " \t")
		switch {
		case strings.EqualFold(name, "Secure"):
			c.secure = true
		case strings.EqualFold(name, "HttpOnly"):
			c.httpOnly = true
		case strings.EqualFold(name, "Path"):
			c.path = value
		case strings.EqualFold(name, "Domain"):
			c.domain, c.hasDomain = value, true
		case strings.EqualFold(name, "SameSite"):
			c.sameSite, c.saysToSend = knownSameSite(value), true
		case strings.EqualFold(name, "Max-Age"):
			maxAge = value
		case strings.EqualFold(name, "Expires"):
			expires = value
		}
	}
	c.over = isOver(maxAge, expires)
	return c
}

func knownSameSite(value string) string {
	for _, known := range [...]string{"lax", "strict", "none"} {
		if strings.EqualFold(value, known) {
			return known
		}
	}
	return ""
}

// isOver reports whether a cookie is deleted. Max-Age outranks Expires, and
// what can't be read counts as absent.
func isOver(maxAge, expires string) bool {
	if maxAge != "" {
		if age, err := strconv.ParseInt(maxAge, 10, 64); err == nil {
			return age <= 0
		}
	}
	if expires == "" {
		return false
	}
	for _, layout := range [...]string{time.RFC1123, "Mon, 02-Jan-2006 15:04:05 MST", "Monday, 02-Jan-06 15:04:05 MST", time.ANSIC} {
		if at, err := time.Parse(layout, expires); err == nil {
			return at.Before(time.Now())
		}
	}
	return false
}

// maxCookie is what browsers take for a name and its value together, in bytes.
const maxCookie = 4096

// setCookies hardens every Set-Cookie line. Lines that need nothing stay byte
// for byte.
func (s *Shield) setCookies(h http.Header, own Cookies) {
	lines := h["Set-Cookie"]
	var more []string
	for i, line := range lines {
		c := readSetCookie(line)
		r := s.ruleOf(c.name)
		if r.Untouched {
			continue
		}
		edit := s.judge(&c, r)
		edit.rename = s.renames(line, &c, r, own)
		if !s.enforce || edit == (edits{}) {
			continue
		}
		lines[i] = edit.apply(line)
		// The cookie from before the shield was raised has another name or another
		// Domain. It would come back to life where the new one is deleted, and a wide
		// one would be sent beside the new one, before it.
		switch {
		case c.over && (edit.rename || edit.narrow):
			more = append(more, line)
		case c.domain != "" && (edit.rename || edit.narrow):
			more = append(more, deletion(line))
		}
	}
	if len(more) > 0 {
		h["Set-Cookie"] = append(lines, more...)
	}
}

// edits are what is to be done to a Set-Cookie line.
type edits struct {
	rename   bool
	narrow   bool // without its Domain
	secure   bool
	httpOnly bool
	sameSite string // instead of what it says
}

// judge reports what a cookie lacks, and says how it gets it.
func (s *Shield) judge(c *setCookie, r *rule) edits {
	var e edits
	if s.https && !c.secure && !r.Insecure {
		e.secure = true
		s.saw(CookieWithoutSecure, c)
	}
	if !c.httpOnly && !r.Script {
		e.httpOnly = true
		s.saw(CookieWithoutHTTPOnly, c)
	}
	if c.hasDomain && !s.keepDomain && !r.KeepDomain {
		e.narrow = true
		if c.domain != "" {
			s.saw(CookieWideDomain, c)
		}
	}
	switch {
	case r.SameSite != "":
		if c.sameSite != r.SameSite {
			e.sameSite = sameSiteWord(r.SameSite)
		}
	case c.sameSite == "":
		e.sameSite = s.sameSite
		s.saw(CookieWithoutSameSite, c)
	case c.sameSite == "none" && !c.secure:
		s.saw(CookieSameSiteNoneInsecure, c)
		if !e.secure {
			e.sameSite = s.sameSite // None without Secure would lose the cookie
		}
	}
	return e
}

// saw keeps a finding. A cookie that is deleted has no weakness.
func (s *Shield) saw(f Finding, c *setCookie) {
	if !c.over {
		s.found.add(f, c.name)
	}
}

// deletion returns the line that deletes the cookie which a line would set.
func deletion(line string) string {
	pair, rest, more := strings.Cut(line, ";")
	name, _, _ := strings.Cut(pair, "=")
	var b strings.Builder
	b.Grow(len(line) + len("=; Max-Age=0"))
	b.WriteString(name)
	b.WriteByte('=')
	for more {
		var part string
		part, rest, more = strings.Cut(rest, ";")
		name, _, _ := strings.Cut(part, "=")
		if name = strings.Trim(name, " \t"); strings.EqualFold(name, "Max-Age") || strings.EqualFold(name, "Expires") {
			continue
		}
		b.WriteByte(';')
		b.WriteString(part)
	}
	b.WriteString("; Max-Age=0")
	return b.String()
}

func sameSiteWord(word string) string {
	switch word {
	case "strict":
		return "Strict"
	case "none":
		return "None"
	}
	return "Lax"
}

// apply keeps the bytes of everything that is not edited.
func (e edits) apply(line string) string {
	var b strings.Builder
	b.Grow(len(line) + len(hostPrefix) + len("; Secure; HttpOnly; SameSite=Strict"))
	pair, rest, more := strings.Cut(line, ";")
	if e.rename {
		b.WriteString(hostPrefix)
		pair = strings.TrimLeft(pair, " \t")
	}
	b.WriteString(pair)
	for more {
		var part string
		part, rest, more = strings.Cut(rest, ";")
		name, _, _ := strings.Cut(part, "=")
		name = strings.Trim(name, " \t")
		if (e.narrow || e.rename) && strings.EqualFold(name, "Domain") || e.sameSite != "" && strings.EqualFold(name, "SameSite") {
			continue
		}
		b.WriteByte(';')
		b.WriteString(part)
	}
	if e.secure {
		b.WriteString("; Secure")
	}
	if e.httpOnly {
		b.WriteString("; HttpOnly")
	}
	if e.sameSite != "" {
		b.WriteString("; SameSite=")
		b.WriteString(e.sameSite)
	}
	return b.String()
}
