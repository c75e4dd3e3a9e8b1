package session

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
)

// A cookie value is the id, the id of the key, and a keyed check over both: a
// forged cookie is refused by the check alone and costs the store nothing.
const (
	idSize    = len(ID{})
	checkSize = 8
	valueSize = idSize + 1 + checkSize
)

// encodedSize is the length of the value in the cookie: 34 characters.
const encodedSize = (valueSize*8 + 5) / 6

// AdminCookie is the cookie of the operators' pages, which has the prefix __Host-
// with TLS. Cookies know no ports: browsers send it to the public listener as well,
// where that has the same host.
const AdminCookie = "sallyport_admin"

// maxCandidates bounds how many same-named cookies with a good check are
// looked at. More than one is rare, more than a few is an attack.
const maxCandidates = 4

// Candidates are the distinct ids that a request carries in cookies of the
// session's name and whose keyed check holds. The zero value holds none.
type Candidates struct {
	ids      [maxCandidates]ID
	n        int
	overflow bool
}

// Len says how many there are.
func (c *Candidates) Len() int { return c.n }

func (c *Candidates) add(id ID) {
	if slices.Contains(c.ids[:c.n], id) {
		return
	}
	if c.n == maxCandidates {
		c.overflow = true
		return
	}
	c.ids[c.n] = id
	c.n++
}

// Cookies knows the name, the attributes and the value format of the session
// cookie (RFC 6265bis). It is read-only and safe for concurrent use.
type Cookies struct {
	name     string
	domain   string
	secure   bool
	sameSite http.SameSite
	// partitioned keeps the cookie apart for each site that embeds this one (CHIPS).
	partitioned bool
	maxAge      time.Duration
	ring        *Keyring
	encoding    *base64.Encoding // strict: no value has two spellings
}

// NewCookies derives the cookie from the configuration. Without a configured
// name it is __Host-sp, which browsers bind to the host and to https; with a
// domain __Secure-sp; and sp on plain http, where neither prefix is possible.
func NewCookies(srv config.Server, cfg config.Session, ring *Keyring) *Cookies {
	c := &Cookies{
		name:     cfg.Cookie.Name,
		domain:   cfg.Cookie.Domain,
		secure:   srv.Secure(),
		sameSite: http.SameSiteLaxMode,

		partitioned: cfg.Cookie.Partitioned,
		maxAge:      cfg.AbsoluteTimeout,
		ring:        ring,
		encoding:    base64.RawURLEncoding.Strict(),
	}
	switch cfg.Cookie.SameSite {
	case "strict":
		c.sameSite = http.SameSiteStrictMode
	case "none":
		c.sameSite = http.SameSiteNoneMode
	}
	if c.name == "" {
		switch {
		case !c.secure:
			c.name = "sp"
		case c.domain != "":
			c.name = "__Secure-sp"
		default:
			c.name = "__Host-sp"
		}
	}
	return c
}

// Name is the session cookie's name.
func (c *Cookies) Name() string { return c.name }

// WireSize is what the session costs on every request: the length of the
// Cookie header line that carries nothing else.
func (c *Cookies) WireSize() int {
	return len("Cookie: ") + len(c.name) + len("=") + encodedSize
}

// LoginName is the name of the cookie that sign-ins under way share.
func (c *Cookies) LoginName() string { return c.name + "_login" }

// ProviderName is the name of the cookie that remembers how somebody signed in
// last.
func (c *Cookies) ProviderName() string { return c.name + "_provider" }

// Provider returns that cookie for the name of a login provider.
func (c *Cookies) Provider(name string, lifetime time.Duration) *http.Cookie {
	ck := c.base(c.ProviderName())
	ck.Value = name
	ck.MaxAge = int(lifetime / time.Second)
	return c.lax(ck)
}

// Owns reports whether a request cookie of this name is the gateway's own and
// must not reach an application.
func (c *Cookies) Owns(name string) bool {
	if strings.HasSuffix(name, AdminCookie) {
		return name == AdminCookie || name == "__Host-"+AdminCookie
	}
	rest, ok := strings.CutPrefix(name, c.name)
	return ok && (rest == "" || rest[0] == '_')
}

// Reserved reports whether an application may neither set nor delete a cookie
// of this name: the gateway's names in any letter case, with and without the
// prefixes that browsers give a meaning.
func (c *Cookies) Reserved(name string) bool {
	bare := func(s string) string {
		s = strings.ToLower(s)
		return strings.TrimPrefix(strings.TrimPrefix(s, "__host-"), "__secure-")
	}
	if bare(name) == AdminCookie {
		return true
	}
	rest, ok := strings.CutPrefix(bare(name), bare(c.name))
	return ok && (rest == "" || strings.HasPrefix(rest, "_login") || strings.HasPrefix(rest, "_provider"))
}

// Issue returns the cookie for an id.
func (c *Cookies) Issue(id ID) *http.Cookie {
	ck, _ := c.issue(id)
	return ck
}

// issue also tells which key made the check.
func (c *Cookies) issue(id ID) (ck *http.Cookie, keyID byte) {
	ck = c.base(c.name)
	ck.Value, keyID = c.encode(id)
	ck.MaxAge = int(c.maxAge / time.Second)
	return ck, keyID
}

// Clear returns the cookie that deletes the session cookie: the same in all
// attributes but value and age, or browsers would keep the old one.
func (c *Cookies) Clear() *http.Cookie { return c.expire(c.name) }

// Login returns the cookie of sign-ins under way, with the given value; an
// empty value deletes it. It is sent along when the provider sends the browser
// back, so it is never SameSite=Strict.
func (c *Cookies) Login(value string, lifetime time.Duration) *http.Cookie {
	if value == "" {
		return c.lax(c.expire(c.LoginName()))
	}
	ck := c.base(c.LoginName())
	ck.Value = value
	ck.MaxAge = int(lifetime / time.Second)
	return c.lax(ck)
}

func (c *Cookies) lax(ck *http.Cookie) *http.Cookie {
	if ck.SameSite == http.SameSiteStrictMode {
		ck.SameSite = http.SameSiteLaxMode
	}
	return ck
}

func (c *Cookies) base(name string) *http.Cookie {
	return &http.Cookie{
		Name: name, Path: "/", Domain: c.domain,
		Secure: c.secure, HttpOnly: true, SameSite: c.sameSite, Partitioned: c.partitioned,
	}
}

func (c *Cookies) expire(name string) *http.Cookie {
	ck := c.base(name)
	ck.MaxAge = -1
	ck.Expires = time.Unix(1, 0)
	return ck
}

func (c *Cookies) encode(id ID) (value string, keyID byte) {
	var buf [valueSize]byte
	copy(buf[:], id[:])
	keyID, mac := c.ring.Sign(PurposeCookie, id[:])
	buf[idSize] = keyID
	copy(buf[idSize+1:], mac[:checkSize])
	return c.encoding.EncodeToString(buf[:]), keyID
}

func (c *Cookies) decode(value string) (id ID, ok bool) {
	if len(value) != encodedSize {
		return ID{}, false
	}
	var buf [valueSize]byte
	if _, err := c.encoding.Decode(buf[:], []byte(value)); err != nil {
		return ID{}, false
	}
	if !c.ring.Check(buf[idSize], PurposeCookie, buf[:idSize], buf[idSize+1:]) {
		return ID{}, false
	}
	return ID(buf[:idSize]), true
}

// Read collects the session ids of a request. A cookie that fails its keyed
// check counts as absent, so that a stale or foreign one beside a live session
// locks nobody out. It reads the raw lines, because http.Request.Cookies is
// silently empty above 3,000 cookies (CVE-2025-58186).
func (c *Cookies) Read(h http.Header) Candidates {
	var found Candidates
	for _, line := range h["Cookie"] {
		for line != "" {
			var pair string
			pair, line = cutPair(line)
			if len(pair) <= len(c.name) || pair[len(c.name)] != '=' || pair[:len(c.name)] != c.name {
				continue
			}
			if id, ok := c.decode(pair[len(c.name)+1:]); ok {
				found.add(id)
			}
		}
	}
	return found
}

// cutPair takes the first name=value of a Cookie line (RFC 6265, section 4.2).
func cutPair(line string) (pair, rest string) {
	end := strings.IndexByte(line, ';')
	if end < 0 {
		end = len(line)
	} else {
		rest = line[end+1:]
	}
	// By hand: strings.Trim costs more than all the rest, for each cookie.
	begin := 0
	for begin < end && isBlank(line[begin]) {
		begin++
	}
	for begin < end && isBlank(line[end-1]) {
		end--
	}
	return line[begin:end], rest
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }
