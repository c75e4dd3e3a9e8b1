package config

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

var routeName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`)

func (k *checker) routes() {
	if len(k.Routes) == 0 {
		k.missing("routes", "there are no routes", "write at least one, or the short form of four lines: "+shortFormExample)
		return
	}
	names := map[string]int{}
	policies := k.policyNames()
	for i, r := range k.Routes {
		at := item("routes", i)
		switch first, twice := names[r.Name]; {
		case r.Name == "":
			k.missing(at+".name", "is missing", "give the route a short name, such as app: it stands in logs and metrics")
		case !routeName.MatchString(r.Name) || len(r.Name) > 63:
			k.fault(at+".name", fmt.Sprintf("%q is not a name", shorten(r.Name)), "write lower-case letters, digits, - and _ only")
		case twice:
			k.fault(at+".name", fmt.Sprintf("%q is the name of routes[%d] already", r.Name, first), "give each route a name of its own")
		default:
			names[r.Name] = i
		}
		k.upstreams(at, r)
		k.routeMatch(at, r)
		k.carry(at, r)
		if r.Public {
			k.publicRoute(at, r)
		} else {
			k.protectedRoute(at, r, policies)
		}
		k.routeProviders(at, r)
		k.web(at, &r)
		k.headers(at+".headers", r.Headers)
		k.identityTrailers(at, r)
		k.upstreamCredential(at, r)
	}
}

func (k *checker) routeMatch(at string, r Route) {
	for i, h := range r.Hosts {
		k.routeHost(item(at+".hosts", i), h)
	}
	if len(r.Paths) == 0 {
		k.missing(at+".paths", "is an empty list, which no request matches", "write [/], or remove it")
	}
	for i, p := range r.Paths {
		k.routePath(item(at+".paths", i), p)
	}
	for i, m := range r.Methods {
		if !isToken(m) || m != strings.ToUpper(m) {
			fix := "write GET, POST and so on"
			if isToken(m) {
				fix = "write " + strings.ToUpper(m)
			}
			k.fault(item(at+".methods", i), fmt.Sprintf("%q is not a method", shorten(m)), fix)
		}
	}
	if r.Host != "" {
		if _, problem := (urlShape{schemes: []string{"http"}}).parse("http://" + r.Host); problem != "" {
			k.fault(at+".host", fmt.Sprintf("%q is not a host", shorten(r.Host)), "write the host to send upstream, such as app.internal or app.internal:8443")
		}
	}
}

// routeHost wants a host without port: requests are told apart by their host,
// whatever the port that they came in by.
func (k *checker) routeHost(at, host string) {
	name, wildcard := strings.CutPrefix(host, "*.")
	valid := isHost(host)
	if wildcard {
		_, err := netip.ParseAddr(name)
		valid = err != nil && isHostName(name)
	}
	if valid {
		return
	}
	const fix = "write app.example.com, or *.example.com for one label below it"
	bare, port, hasPort := strings.Cut(strings.TrimPrefix(host, "*."), ":")
	switch {
	case host == "*":
		k.fault(at, "* alone would answer for any host that a client makes up", fix)
	case strings.HasPrefix(host, "["):
		k.fault(at, fmt.Sprintf("%q has brackets", shorten(host)), "write the address alone, such as ::1")
	case hasPort && isHost(bare) && isPort(port):
		k.fault(at, fmt.Sprintf("%q has a port, and routes are matched without it", shorten(host)), "write the host alone; the port belongs to server.listen and server.public_url")
	case strings.Contains(host, "://"):
		k.fault(at, fmt.Sprintf("%q is a URL", shorten(host)), fix)
	case strings.HasSuffix(host, ".") && isHost(strings.TrimSuffix(bare, ".")):
		k.fault(at, fmt.Sprintf("%q ends with a dot", shorten(host)), "write it without")
	default:
		k.fault(at, fmt.Sprintf("%q is not a host", shorten(host)), fix)
	}
}

func (k *checker) routePath(at, path string) {
	if pattern, ok := strings.CutPrefix(path, "~"); ok {
		if !strings.HasPrefix(pattern, "^/") {
			k.fault(at, fmt.Sprintf("the regular expression %q does not begin with ~^/", shorten(pattern)), "write ~^/v[0-9]+/: it always begins at the start of the path")
			return
		}
		if _, err := regexp.Compile(pattern); err != nil {
			k.fault(at, "the regular expression is wrong ("+excerpt(strings.TrimPrefix(err.Error(), "error parsing regexp: "))+")", "write it in Go's RE2 syntax")
		}
		return
	}
	literal := strings.TrimPrefix(path, "=")
	switch {
	case !strings.HasPrefix(literal, "/"):
		k.fault(at, fmt.Sprintf("%q does not begin with /", shorten(path)), "write /app for a prefix, =/app for that path alone, ~^/app[0-9]+/ for a regular expression")
	case strings.Contains(literal, "*"):
		k.fault(at, fmt.Sprintf("%q has a *, which stands for itself in a path", shorten(path)), "write the prefix alone: /app covers everything below /app")
	case strings.ContainsAny(literal, `?#\%`) || !isPlainText(literal):
		k.fault(at, fmt.Sprintf("%q holds what no decoded path has", shorten(path)), "write the path as the application sees it, decoded, without ? and #")
	case strings.Contains(literal, "//") || hasDotSegment(literal):
		k.fault(at, fmt.Sprintf("%q is not a clean path", shorten(path)), "write it without //, . and ..")
	}
}

func hasDotSegment(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}
