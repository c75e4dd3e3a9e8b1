// Package shield hardens what applications answer with: their cookies and the
// security headers that they leave out. It owns what is found on the way, and
// keeps it for operators, so that they can read which of their applications set
// cookies without Secure or SameSite.
//
// A Shield either reports or enforces. It judges cookies and headers alone: who
// may come in is the guard's to say, and what belongs to the gateway itself is
// taken out of answers by package headers before a Shield sees them.
package shield

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
)

// Cookies knows the gateway's own cookies.
type Cookies interface {
	Owns(name string) bool
}

// Shield hardens the answers of one route. It is safe for concurrent use. A nil
// Shield changes and reports nothing.
type Shield struct {
	enforce    bool
	https      bool
	rules      []rule
	sameSite   string // for cookies that say nothing
	hostPrefix bool
	keepDomain bool

	// What is added where it is absent; nil = nothing.
	hsts, nosniff, frameAncestors, referrerPolicy []string

	remove []string // canonical names
	found  *counter
}

// rule is what cookies of one name, or with one beginning, are left.
type rule struct {
	name   string
	prefix bool
	config.ShieldCookie
}

func newShield(c *config.Shield, server *config.Server, found *counter) *Shield {
	s := &Shield{
		enforce: c.Mode == config.ModeEnforce, https: server.Secure(),
		sameSite: sameSiteWord(c.SameSite), hostPrefix: c.HostPrefix && server.Secure(), keepDomain: c.KeepDomain,
		nosniff: []string{"nosniff"}, found: found,
	}
	for _, one := range c.Cookies {
		name, prefix := strings.CutSuffix(one.Name, "*")
		s.rules = append(s.rules, rule{name: name, prefix: prefix, ShieldCookie: one})
	}
	// On a loopback host it would bind whatever else is developed there.
	if c.HSTS > 0 && server.HSTS.MaxAge == 0 && server.Secure() && !server.Loopback() { // else the listeners add theirs
		s.hsts = []string{"max-age=" + strconv.FormatInt(int64(c.HSTS/time.Second), 10)}
	}
	if c.FrameAncestors != "" {
		s.frameAncestors = []string{"frame-ancestors " + c.FrameAncestors}
	}
	if c.ReferrerPolicy != "" {
		s.referrerPolicy = []string{c.ReferrerPolicy}
	}
	for _, name := range c.RemoveHeaders {
		s.remove = append(s.remove, http.CanonicalHeaderKey(name))
	}
	return s
}

// ruleOf returns the exception for a cookie: the first that fits.
func (s *Shield) ruleOf(name string) *rule {
	for i := range s.rules {
		r := &s.rules[i]
		if name == r.name || r.prefix && strings.HasPrefix(name, r.name) {
			return r
		}
	}
	return &rule{}
}

// Leaked reports a header field that no application has to answer with, and
// that was taken out.
func (s *Shield) Leaked(name string) {
	if s != nil {
		s.found.add(LeakedHeader, name)
	}
}

// Response hardens an answer. Its header has canonical keys, as net/http makes
// them, and no cookie of the gateway.
//
// Informational answers, 101 and 304 are left alone but for their cookies: a
// header field of a 304 replaces that of the answer which the browser has stored
// (RFC 9111, section 3.2), with the application's own policy in it.
func (s *Shield) Response(status int, h http.Header, own Cookies) {
	if s == nil {
		return
	}
	s.setCookies(h, own)
	for _, name := range s.remove {
		if _, there := h[name]; there {
			s.found.add(LeakedHeader, name)
			if s.enforce {
				delete(h, name)
			}
		}
	}
	if status < http.StatusOK || status == http.StatusNotModified {
		return
	}
	s.need(h, "Strict-Transport-Security", s.hsts, MissingHSTS)
	if !hasContent(status) {
		return
	}
	kind := mediaType(h)
	if !strings.HasPrefix(kind, "application/grpc") {
		s.need(h, "X-Content-Type-Options", s.nosniff, MissingNosniff)
	}
	if !isDocument(kind) {
		return
	}
	s.need(h, "Referrer-Policy", s.referrerPolicy, MissingReferrerPolicy)
	if s.frameAncestors != nil && len(h["X-Frame-Options"]) == 0 && !saysFrameAncestors(h[csp]) {
		s.found.add(MissingFrameAncestors, "")
		if s.enforce {
			// A line of its own is a policy of its own, and browsers enforce all of
			// them: what the application says of everything else stays as it is.
			h[csp] = append(h[csp], s.frameAncestors[0])
		}
	}
}

const csp = "Content-Security-Policy"

// need reports a header field that is absent, and adds it.
func (s *Shield) need(h http.Header, name string, value []string, missing Finding) {
	if value == nil || len(h[name]) > 0 {
		return
	}
	s.found.add(missing, "")
	if s.enforce {
		h[name] = value
	}
}

// hasContent reports whether a browser has anything to interpret.
func hasContent(status int) bool {
	return status != http.StatusNoContent && status != http.StatusResetContent && status/100 != 3
}

func mediaType(h http.Header) string {
	if len(h["Content-Type"]) == 0 {
		return ""
	}
	kind, _, _ := strings.Cut(h["Content-Type"][0], ";")
	return strings.ToLower(strings.TrimSpace(kind))
}

// isDocument reports whether a browser may show an answer as a page that runs
// scripts. Where nothing is said it may guess so.
func isDocument(kind string) bool {
	switch kind {
	case "", "text/html", "application/xhtml+xml", "text/xml", "application/xml", "image/svg+xml":
		return true
	}
	return false
}

// saysFrameAncestors looks for the directive in every policy of every line
// (Content Security Policy Level 3, section 2.2).
func saysFrameAncestors(lines []string) bool {
	for _, line := range lines {
		for policy := range strings.SplitSeq(line, ",") {
			for directive := range strings.SplitSeq(policy, ";") {
				name, _, _ := strings.Cut(strings.TrimSpace(directive), " ")
				if strings.EqualFold(name, "frame-ancestors") {
					return true
				}
			}
		}
	}
	return false
}
