package compat

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/gateway/config"
)

// public is one entry of skip_auth_routes, converted.
type public struct {
	paths   []string
	methods []string // empty = all
}

// routes carries over the applications, and what of them needs no sign-in.
func (m *importer) routes() {
	opened := m.skipped()
	hosts := m.hosts()
	protect := m.protection()
	var list []*section
	route := func(name string, a *app, paths, methods []string) *section {
		s := newSection()
		s.set("name", name)
		if len(hosts) > 0 {
			s.set("hosts", hosts)
		}
		s.set("paths", paths)
		if len(methods) > 0 {
			s.set("methods", methods)
		}
		a.upstream(s)
		list = append(list, s)
		return s
	}
	for _, a := range m.apps {
		protect(route(a.name, a, a.paths, nil))
	}
	for i, o := range opened {
		a := m.appOf(o.paths)
		name := fmt.Sprintf("public-%d", i+1)
		route(name, a, o.paths, o.methods).set("public", true)
		if len(o.methods) > 0 {
			// A route that lists methods refuses others, and does not leave them to "/".
			protect(route(name+"-else", a, o.paths, otherMethods(o.methods)))
		}
	}
	m.out.set("routes", list)
	c := newSection()
	if m.checks || m.in.flag("reverse_proxy", false) {
		c.set("oauth2_proxy", true, "/oauth2/auth, /oauth2/start, /oauth2/sign_out, /oauth2/userinfo")
		m.todo("reverse_proxy", "Traefik asks at /oauth2/auth by the gateway's own name", "write compat.forwarded_headers: true, if Traefik is what asks")
	} else {
		c.set("oauth2_proxy", true, "/oauth2/start, /oauth2/sign_out, /oauth2/userinfo")
	}
	m.out.set("compat", c)
}

func (a *app) upstream(s *section) {
	s.setIf("upstream", a.to)
	s.setIf("host", a.host)
	s.setIf("strip_prefix", a.strip)
	s.setIf("add_prefix", a.add)
	if a.timeout != "" {
		t := newSection().flow()
		t.set("response_header", a.timeout)
		s.set("timeouts", t)
	}
}

func otherMethods(listed []string) []string {
	all := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
	return slices.DeleteFunc(all, func(method string) bool { return slices.Contains(listed, method) })
}

// appOf finds the application that serves paths: the one with the longest prefix of
// theirs.
func (m *importer) appOf(paths []string) *app {
	best, length := m.apps[0], -1
	for _, a := range m.apps {
		for _, prefix := range a.paths {
			literal := strings.TrimLeft(prefix, "=~^")
			covers := func(p string) bool { return strings.HasPrefix(strings.TrimLeft(p, "=~^"), literal) }
			if !slices.ContainsFunc(paths, func(p string) bool { return !covers(p) }) && len(literal) > length {
				best, length = a, len(literal)
			}
		}
	}
	return best
}

// skipped converts skip_auth_routes and skip_auth_regex.
func (m *importer) skipped() []public {
	var all []public
	for _, key := range []string{"skip_auth_regex", "skip_auth_routes"} {
		for _, entry := range m.in.list(key) {
			var methods []string
			expr := entry
			if method, rest, ok := strings.Cut(entry, "="); ok && key == "skip_auth_routes" && isMethod(strings.TrimSuffix(method, "!")) {
				if strings.HasSuffix(method, "!") {
					m.lost(key, "an entry that opens everything else is not carried over: "+oneLine(entry), "write a route with public: true for each path that is open")
					continue
				}
				expr = rest
				if method != "" {
					methods = []string{strings.ToUpper(method)}
				}
			}
			c, ok := pathPattern(expr)
			switch {
			case !ok:
				m.lost(key, "can't be turned into paths that match no more: "+oneLine(entry), "write a route with public: true")
				continue
			case c.narrowed:
				m.lost(key, oneLine(entry)+" has no ^, so that it opened the path wherever it stood in another; here it opens "+strings.Join(c.paths, " ")+" alone", "write more paths into that route, if they are meant")
			case c.open:
				m.todo(key, oneLine(entry)+" has no $, so that whatever begins like it is open: "+strings.Join(c.paths, " "), "take the .* off, if the path alone is meant")
			}
			m.shadowed(key, entry, c.paths)
			all = append(all, public{c.paths, methods})
		}
	}
	return all
}

// shadowed tells of an entry that opened paths of several applications: a route has
// one, and longer paths win.
func (m *importer) shadowed(key, entry string, paths []string) {
	chosen := m.appOf(paths)
	for _, a := range m.apps {
		for _, p := range a.paths {
			literal := strings.TrimLeft(p, "=~^")
			for _, opened := range paths {
				expr, ok := strings.CutPrefix(opened, "~")
				if !ok || a == chosen {
					continue
				}
				begin, _ := regexp.MustCompile(strings.TrimPrefix(expr, "^")).LiteralPrefix()
				if strings.HasPrefix(literal, begin) {
					m.lost(key, oneLine(entry)+" stays closed below "+literal, "write a public route for it with the upstream of the route "+a.name)
				}
			}
		}
	}
}

// isMethod accepts what oauth2-proxy takes for a method before = of an entry.
func isMethod(s string) bool {
	return strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") == ""
}

// protection returns what makes a route one for people who are signed in.
func (m *importer) protection() func(*section) {
	bearer, issuers := m.bearer()
	access, id := m.forwarded()
	headers := m.headers(issuers > 1)
	policy := m.policy()
	preflight := m.in.flag("skip_auth_preflight", false)
	if preflight {
		m.lost("skip_auth_preflight", "CORS preflights pass, and other OPTIONS requests do not", "write a public route with methods: [OPTIONS], if the application needs those")
	}
	return func(s *section) {
		if bearer {
			s.set("auth", []string{"session", "bearer"})
		}
		s.set("policy", policy)
		if access {
			s.set("forward_access_token", true)
		}
		s.setIf("forward_id_token", id)
		if headers != nil {
			s.set("headers", headers())
		}
		if preflight {
			s.set("preflight", true)
		}
	}
}

// forwarded says which tokens of the provider applications get.
func (m *importer) forwarded() (access bool, id string) {
	access = m.in.flag("pass_access_token", false)
	passes, sets := m.in.flag("pass_authorization_header", false), m.in.flag("set_authorization_header", false)
	if passes || sets {
		id = "Authorization"
	}
	for _, h := range m.alphaHeaders() {
		for _, v := range h.Values {
			switch source(v).Claim {
			case "access_token":
				access = true
			case "id_token":
				id = h.Name
			}
		}
	}
	opaque := m.provider.kind == config.ProviderGitHub || m.provider.kind == config.ProviderOAuth2
	switch {
	case id != "" && opaque:
		m.lost("pass_authorization_header", "this provider gives no ID tokens", "let the application read the identity headers, or assertion: true")
		id = ""
	case access && strings.EqualFold(id, "Authorization"):
		m.lost("pass_access_token", "the access token goes to applications as Authorization: Bearer, and the ID token is sent there", "write forward_id_token: X-Forwarded-Id-Token and forward_access_token: true on the route")
		access = false
	case access:
		m.todo("pass_access_token", "the token goes to applications as Authorization: Bearer, and X-Forwarded-Access-Token is not set; the check has it as X-Auth-Request-Access-Token", "let the application read it there")
	}
	return access, id
}
