package compat

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// app is one application: an upstream of oauth2-proxy.
type app struct {
	name    string
	paths   []string
	to      string // empty where it is only asked about
	host    string // to send; empty = the client's
	timeout string
	strip   string
	add     string
}

// upstreams reads where requests go. With nothing but fixed answers, oauth2-proxy is
// there to be asked.
func (m *importer) upstreams() {
	keepHost := m.in.flag("pass_host_header", true)
	timeout := m.in.text("upstream_timeout")
	insecure := m.in.flag("ssl_upstream_insecure_skip_verify", false)
	static := false
	for _, raw := range m.in.list("upstreams") {
		u, err := url.Parse(strings.TrimSpace(raw))
		if err != nil {
			m.lost("upstreams", "holds what is no URL", "write a route for it")
			continue
		}
		if u.Scheme == "static" {
			static = true
			m.static(u.Host)
			continue
		}
		path := u.Path
		if u.Scheme == "unix" {
			u.Path, path, _ = strings.Cut(u.Path, ":")
		}
		if u.Fragment != "" {
			path = u.Fragment
		}
		m.app("", u, path, keepHost, timeout, insecure)
	}
	if a := m.in.alpha; a != nil {
		for _, up := range slices.Concat(a.Upstreams, a.UpstreamConfig.Upstreams) {
			static = up.Static || static
			m.alphaUpstream(&up)
		}
		if a.UpstreamConfig.ProxyRawPath {
			m.lost("upstreamConfig.proxyRawPath", "an encoded slash in a path is refused", "write allow_encoded_slash: true on the routes that need it")
		}
	}
	if m.checks = len(m.apps) == 0; m.checks {
		m.apps = []*app{{name: "app", paths: []string{"/"}}}
	} else if static {
		m.lost("upstreams", "a fixed answer beside applications is not carried over", "let an application answer there")
	}
}

// static is an answer that oauth2-proxy makes itself.
func (m *importer) static(code string) {
	if !strings.HasPrefix(code, "2") {
		m.lost("upstreams", "a fixed answer of status "+oneLine(code)+" is not carried over", "let an application answer, or the proxy in front")
	}
}

func (m *importer) alphaUpstream(up *alphaUpstream) {
	if up.Static {
		if up.StaticCode != 0 {
			m.static(fmt.Sprint(up.StaticCode))
		}
		return
	}
	u, err := url.Parse(up.URI)
	if err != nil {
		m.lost("upstreams", "holds what is no URL", "write a route for it")
		return
	}
	if up.ProxyWebSockets != nil && !*up.ProxyWebSockets {
		m.lost("proxyWebSockets", fates()["proxy_websockets"].why, fates()["proxy_websockets"].fix)
	}
	if strings.Trim(u.Path, "/") != "" && u.Scheme != "unix" && u.Scheme != "file" {
		m.todo("upstreams", "the path in the URI "+oneLine(u.Scheme+"://"+u.Host+u.Path)+" is left out", "write add_prefix: PATH on the route, if the application wants it in front")
	}
	path, rewrite := orText(up.Path, "/"), up.RewriteTarget
	before := len(m.apps)
	if strings.HasPrefix(path, "^") {
		m.app(up.ID, u, "/", up.PassHostHeader == nil || *up.PassHostHeader, up.Timeout, up.InsecureSkipTLSVerify)
		if len(m.apps) > before && !m.rewritten(m.apps[before], path, rewrite) {
			m.apps = m.apps[:before]
		}
		return
	}
	m.app(up.ID, u, path, up.PassHostHeader == nil || *up.PassHostHeader, up.Timeout, up.InsecureSkipTLSVerify)
}

var (
	captured = regexp.MustCompile(`^\^(/[A-Za-z0-9._~/-]*?)/?\(\.\*\)\$?$`)
	replaced = regexp.MustCompile(`^(/[A-Za-z0-9._~/-]*?)/?\$1$`)
)

// rewritten gives an application the path of a regular expression. Of rewriting, one
// prefix in place of another is carried over. It is false where there is no path.
func (m *importer) rewritten(a *app, expr, target string) bool {
	c, ok := pathPattern(expr)
	if !ok {
		m.lost("upstreams", "the path "+oneLine(expr)+" can't be turned into one that matches no more", "write a route for it")
		return false
	}
	a.paths = c.paths
	from, to := captured.FindStringSubmatch(expr), replaced.FindStringSubmatch(target)
	switch {
	case target == "":
	case from != nil && to != nil:
		a.paths = []string{orText(from[1], "/")}
		a.strip, a.add = from[1], to[1]
	default:
		m.lost("upstreams", "the path is not rewritten as rewriteTarget says: "+oneLine(target), "write strip_prefix and add_prefix on the route "+a.name+", or let the application take the whole path")
	}
	return true
}

// app adds an application at a path: a prefix where it ends with a slash, as there.
func (m *importer) app(id string, u *url.URL, path string, keepHost bool, timeout string, insecure bool) {
	a := &app{timeout: timeout}
	switch u.Scheme {
	case "http", "https":
		a.to = u.Scheme + "://" + u.Host
		if !keepHost {
			a.host = u.Host
		}
		if insecure && u.Scheme == "https" {
			m.lost("ssl_upstream_insecure_skip_verify", "certificates of applications are always verified", "name the authority in upstream_tls.ca_file of the route")
		}
	case "unix":
		a.to = "unix://" + u.Path
	default:
		m.lost("upstreams", "files are not served: "+oneLine(u.Scheme+"://"+u.Host+u.Path), "put a web server behind the gateway, and write a route to it")
		return
	}
	if path == "" {
		path = "/"
	}
	a.paths = []string{path}
	if !strings.HasSuffix(path, "/") {
		a.paths = []string{"=" + path}
	}
	a.name = m.appName(orText(id, path))
	m.apps = append(m.apps, a)
}

// appName makes a name of a path that no other route has.
func (m *importer) appName(path string) string {
	name := strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(path), "-"), "-")
	if name = orText(name, "app"); len(name) > 40 {
		name = name[:40]
	}
	taken := func(name string) bool {
		return slices.ContainsFunc(m.apps, func(a *app) bool { return a.name == name })
	}
	unique := name
	for n := 2; taken(unique); n++ {
		unique = fmt.Sprintf("%s-%d", name, n)
	}
	return unique
}
