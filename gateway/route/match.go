package route

import (
	"net/http"
	"strings"
)

// Match is what a request was found to be for.
type Match struct {
	Route *Route
	// Path is the canonical path, the one that policies see.
	Path string
	// Host is the host in lower case, without port and final dot: the one that
	// routes were looked up by and that policies see.
	Host string
	// Pattern is the path pattern that won, as the configuration writes it.
	Pattern string
	// Allow lists the methods of the path, sorted, where the error is ErrMethod.
	// It is nil where no method would help. It must not be changed.
	Allow []string
}

// Match finds the route of r. The errors are ErrNoRoute, ErrMethod (with
// Match.Allow set), ErrHost and *BadRequest; Route is nil with each of them.
//
// The path is taken from r.RequestURI, the bytes that the client sent, and from
// r.URL only where that is empty, in requests that were rebuilt. The query takes
// no part. r is not changed.
func (t *Table) Match(r *http.Request) (Match, error) { return t.MatchMethod(r, r.Method) }

// MatchMethod is Match as if r had another method.
func (t *Table) MatchMethod(r *http.Request, method string) (Match, error) {
	// 1. The method. CONNECT and TRACE are refused wherever they go.
	if !isToken(method) {
		return Match{}, &BadRequest{ReasonBadMethod, "the method is no token"}
	}
	if method == http.MethodConnect || method == http.MethodTrace {
		return Match{}, ErrMethod
	}

	// 2. The target. Whether an encoded slash is welcome, the route says later.
	raw, err := rawPath(r)
	if err != nil {
		return Match{}, err
	}
	path, err := read(raw)
	if err != nil {
		return Match{}, err
	}

	// 3. The host.
	name, ok := canonicalHost(r.Host)
	if !ok {
		return Match{}, &BadRequest{ReasonBadHost, "the Host header is missing or malformed"}
	}
	host := t.host(name)
	if host == nil {
		return Match{}, ErrHost
	}

	// 4. The path decides, and every way to read it must decide alike.
	found := host.find(path.path)
	if !path.plain() {
		if err := host.agree(&path, found, method); err != nil {
			return Match{}, err
		}
	}
	if found == nil {
		return Match{}, ErrNoRoute
	}

	// 5. The method decides between the routes of that path.
	route := found.route(method)
	if route == nil {
		return Match{Allow: found.allow}, ErrMethod
	}
	if path.opaque != "" && !route.AllowEncodedSlash {
		return Match{}, errEncodedSlash()
	}
	return Match{Route: route, Path: path.path, Host: name, Pattern: found.name}, nil
}

// rawPath returns the path as the client sent it. Only origin-form is accepted
// (RFC 9112, section 3.2.1): an absolute target brings a second host along, and
// net/http reads some of them as having no path at all.
func rawPath(r *http.Request) (string, error) {
	target := r.RequestURI
	if target == "" {
		if r.URL == nil || r.URL.Opaque != "" {
			return "", &BadRequest{ReasonAbsoluteTarget, "the target has no path"}
		}
		if r.URL.Fragment != "" {
			return "", errFragment()
		}
		target = r.URL.EscapedPath()
		if strings.Contains(r.URL.RawQuery, "#") {
			return "", errFragment()
		}
	}
	if strings.Contains(target, "#") {
		return "", errFragment()
	}
	if target == "" || target[0] != '/' {
		return "", &BadRequest{ReasonAbsoluteTarget, "the target is not a path"}
	}
	path, _, _ := strings.Cut(target, "?")
	return path, nil
}

func errFragment() error {
	return &BadRequest{ReasonAmbiguousPath, "the target has a fragment"}
}

// find returns the pattern that wins for path.
func (h *hostTable) find(path string) *leaf {
	if len(h.exact) > 0 {
		if l := h.exact[path]; l != nil {
			return l
		}
	}
	best := h.root.find(path)
	for _, l := range h.regexps {
		if best != nil && l.pattern.length() < best.pattern.length() {
			break
		}
		if l.pattern.fits(path) {
			return l
		}
	}
	return best
}

// find walks the tree along path and returns the deepest pattern on the way.
func (n *node) find(path string) *leaf {
	best := n.leaf
	for rest := path[1:]; rest != ""; {
		var segment string
		segment, rest, _ = strings.Cut(rest, "/")
		if n = n.children[segment]; n == nil {
			break
		}
		if n.leaf != nil {
			best = n.leaf
		}
	}
	return best
}

// agree checks a path with empty segments, parameters or encoded slashes, which
// upstreams read in different ways; two slashes in front some even read as a
// host. Whichever reading an upstream takes, the route must be the same. An
// encoded slash counts as a slash where it is allowed, but never makes public
// what would not be public with the slash as an ordinary character.
func (h *hostTable) agree(p *reading, found *leaf, method string) error {
	if p.opaque != "" && (found == nil || !found.slash) {
		return errEncodedSlash()
	}
	for _, other := range []string{p.sent, mergeSlashes(p.sent), cutParameters(p.sent), withoutAuthority(p.path, p.sent)} {
		if l := h.find(other); l != found && !sameRoute(l, found, method) {
			return &BadRequest{ReasonAmbiguousPath, "empty segments or parameters change the route"}
		}
	}
	if p.opaque != "" && isPublic(found, method) && !isPublic(h.find(mergeSlashes(cutParameters(p.opaque))), method) {
		return errEncodedSlash()
	}
	return nil
}

func sameRoute(a, b *leaf, method string) bool {
	return a != nil && b != nil && a.route(method) != nil && a.route(method) == b.route(method)
}

func isPublic(l *leaf, method string) bool {
	if l == nil {
		return false
	}
	r := l.route(method)
	return r != nil && r.Public
}

// isToken checks the grammar of RFC 9110, section 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		alnum := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alnum && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

// withoutAuthority returns what a URL parser makes of a path that begins with
// two slashes: it takes the first segment for a host.
func withoutAuthority(path, sent string) string {
	if !strings.HasPrefix(sent, "//") {
		return sent
	}
	if end := strings.IndexByte(path[1:], '/'); end >= 0 {
		return path[1+end:]
	}
	return "/"
}
