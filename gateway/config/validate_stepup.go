package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	maxRequireWords = 8
	maxRequireWord  = 100 // bytes; both travel in URLs
	maxLockout      = 24 * time.Hour
)

// stepUp checks what routes and rules ask of a sign-in.
func (k *checker) stepUp() {
	for i, r := range k.Routes {
		at := item("routes", i) + ".require"
		switch {
		case !k.given(at):
			continue
		case r.Public:
			k.fault(at, "does not apply to a public route, which lets everybody in", "remove it, or remove public: true")
			continue
		case len(r.Auth) > 0 && !slices.ContainsFunc(r.Auth, tellsOfSignIns):
			k.fault(at, "nothing that auth lists tells how, or when, somebody signed in, so nobody could come in", "add session or bearer to auth, or remove it")
		}
		k.require(at, r.Require)
	}
	for i, p := range k.Policies {
		for j, r := range p.Rules {
			at := item(item("policies", i)+".rules", j) + ".require"
			if !k.given(at) {
				continue
			}
			if r.Deny != nil && r.Allow == nil {
				k.fault(at, "stands beside deny, which asks for no sign-in", "put it beside allow, or make a rule of its own")
			}
			k.require(at, r.Require)
		}
	}
}

// tellsOfSignIns is true of the kinds whose identities can have an acr, an amr or
// a time of sign-in.
func tellsOfSignIns(kind string) bool {
	return kind != AuthAPIKey && kind != AuthClientCert
}

func (k *checker) require(at string, r Require) {
	if !k.given(at+".acr") && !k.given(at+".amr") && !k.given(at+".max_age") {
		k.missing(at, "asks for nothing", "write {max_age: 1h}, {acr: [...]} or {amr: [...]}, or remove it")
		return
	}
	if k.given(at + ".max_age") {
		k.atLeastSecond(at+".max_age", r.MaxAge)
	}
	k.requireWords(at+".acr", r.ACR)
	k.requireWords(at+".amr", r.AMR)
}

// requireWords keeps to words that need no escaping in a header (RFC 6749,
// appendix A.4), and can stand in a list that spaces divide.
func (k *checker) requireWords(at string, words []string) {
	if !k.given(at) {
		return
	}
	if len(words) == 0 {
		k.missing(at, "is an empty list, which asks for nothing", "name a value, or remove it")
	}
	if len(words) > maxRequireWords {
		k.fault(at, fmt.Sprintf("has more than %d values", maxRequireWords), "name fewer")
	}
	for i, w := range words {
		bad := func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' }
		switch {
		case w == "":
			k.fault(item(at, i), "is empty", "write a value, or remove the entry")
		case strings.ContainsFunc(w, bad):
			k.fault(item(at, i), fmt.Sprintf("%q has a space or another character that no such value has", shorten(w)), "write one value an entry")
		case len(w) > maxRequireWord:
			k.fault(item(at, i), fmt.Sprintf("is longer than %d bytes", maxRequireWord), "write a shorter one")
		}
	}
}

// loginLimits checks who is shut out, and with whom answers are shared.
func (k *checker) loginLimits() {
	l := k.Login.Lockout
	for _, n := range []struct {
		path  string
		value int
	}{{"login.lockout.attempts", l.Attempts}, {"login.lockout.per_address", l.PerAddress}} {
		if n.value < 0 {
			k.fault(n.path, "is negative", "write how many wrong passwords close it, or 0 for any number")
		}
	}
	switch {
	case l.Window < time.Second:
		k.atLeastSecond("login.lockout.window", l.Window)
	case l.Window > maxLockout:
		k.fault("login.lockout.window", fmt.Sprintf("%s is longer than a day, for which anybody could shut anybody out", l.Window), "write 24h or less")
	}
	for i, origin := range k.Login.CORSOrigins {
		k.corsOrigin(item("login.cors_origins", i), origin)
	}
	k.partitioned()
}

// corsOrigin wants an origin exactly as browsers write it, since it is compared
// as text (RFC 6454, section 6.2).
func (k *checker) corsOrigin(at, origin string) {
	const fix = "write an origin such as https://app.example.com"
	if origin == "*" || origin == "null" {
		k.fault(at, origin+" would let the pages of anybody read who is signed in", fix)
		return
	}
	u, problem := urlShape{schemes: []string{"https", "http"}}.parse(origin)
	if problem != "" {
		k.fault(at, problem, fix)
		return
	}
	if exact := exactOrigin(u); exact != origin {
		k.fault(at, fmt.Sprintf("%q is not how browsers write it", shorten(origin)), "write "+excerpt(exact))
		return
	}
	if u.Scheme == "http" && !loopbackHost(u.Hostname()) {
		k.fault(at, "is plain http, so that anybody on the way could put his page in its place", "write https://")
	}
}

func exactOrigin(u *url.URL) string {
	host := strings.ToLower(u.Host)
	if u.Scheme == "https" {
		host = strings.TrimSuffix(host, ":443")
	} else {
		host = strings.TrimSuffix(host, ":80")
	}
	return u.Scheme + "://" + host
}

// partitioned is of use in frames of other sites alone, to which browsers send
// only SameSite=None cookies; and they take it only with Secure.
func (k *checker) partitioned() {
	const at = "session.cookie.partitioned"
	c := k.Session.Cookie
	switch {
	case !c.Partitioned:
	case !k.Server.Secure():
		k.fault(at, "browsers refuse a partitioned cookie that is not Secure, and public_url is not https", "remove it, or serve by https")
	case c.SameSite != "none":
		k.fault(at, "is of use in frames of other sites alone, where no cookie is sent that is same_site: "+excerpt(c.SameSite), "write same_site: none beside it, or remove it")
	}
}
