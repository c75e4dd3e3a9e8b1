package gateway_test

import (
	"net/http"
	"strings"
	"testing"
)

// asking is a site that trusts the test to be the proxy in front of it.
func asking(t *testing.T, p plan) *site {
	t.Helper()
	p.trusted = orDefault(p.trusted, "127.0.0.1")
	p.top += "\nforward_auth: {enabled: [nginx, traefik, caddy, haproxy, envoy]}\ncompat: {oauth2_proxy: true}\n"
	return newSite(t, p)
}

// about is a request that the test, as a proxy, has received and asks about.
type about struct {
	method, target, host, scheme string // default: GET, /, the site's, public_url's
	user                         string // whose session comes along; nobody's for ""
	lines                        []string
}

// checked asks as the proxies of a dialect do.
func (s *site) checked(t *testing.T, dialect string, a about) answer {
	t.Helper()
	a.method, a.target = orDefault(a.method, "GET"), orDefault(a.target, "/")
	a.host, a.scheme = orDefault(a.host, s.host), orDefault(a.scheme, "http")
	lines := append([]string{"Connection: close"}, a.lines...)
	if a.user != "" {
		lines = append(lines, "Cookie: "+s.signIn(t, a.user))
	}
	const path = "/.auth/check/"
	switch dialect {
	case "nginx":
		lines = append(lines, "X-Original-URL: "+a.scheme+"://"+a.host+a.target, "X-Original-Method: "+a.method)
	case "oauth2_proxy":
		lines = append(lines, "X-Original-URL: "+a.scheme+"://"+a.host+a.target, "X-Original-Method: "+a.method)
		return s.raw(t, s.request("GET", "/oauth2/auth", lines...))
	case "envoy":
		lines = append(lines, "X-Forwarded-Proto: "+a.scheme)
		request := s.request(a.method, path+dialect+a.target, lines...)
		return s.raw(t, strings.Replace(request, "Host: "+s.host, "Host: "+a.host, 1))
	default:
		lines = append(lines, "X-Forwarded-Method: "+a.method, "X-Forwarded-Proto: "+a.scheme, "X-Forwarded-Host: "+a.host, "X-Forwarded-Uri: "+a.target)
	}
	return s.raw(t, s.request("GET", path+dialect, lines...))
}

// dialects are the names of all that the check endpoints speak.
func dialects() []string { return []string{"nginx", "traefik", "caddy", "haproxy", "envoy"} }

// everyDialect are those, and that of the proxies which were set up for oauth2-proxy.
func everyDialect() []string { return append(dialects(), "oauth2_proxy") }

func TestEveryProxyGetsAnAnswerThatItCanUse(t *testing.T) {
	s := asking(t, plan{})
	for _, dialect := range dialects() {
		t.Run(dialect, func(t *testing.T) {
			yes := s.checked(t, dialect, about{user: "alice", target: "/x?y=1"})
			if yes.StatusCode != http.StatusOK || yes.text != "" || yes.Header.Get("X-Forwarded-User") != "alice" {
				t.Errorf("%d %v %q", yes.StatusCode, yes.Header, yes.text)
			}
			redirect := http.StatusFound
			if dialect == "nginx" {
				redirect = http.StatusUnauthorized
			}
			page := s.checked(t, dialect, about{target: "/x?y=1", lines: []string{"Accept: text/html"}})
			if got := page.Header.Get("Location"); page.StatusCode != redirect || got != "http://localhost:8080/.auth/login?return_to=%2Fx%3Fy%3D1" {
				t.Errorf("%d to %q", page.StatusCode, got)
			}
			if no := s.checked(t, dialect, about{user: "alice", target: "/admin/"}); no.StatusCode != http.StatusForbidden {
				t.Errorf("%d", no.StatusCode)
			}
		})
	}
}
