package frontend

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/gateway/guard"
)

// Pass is what a request that may pass has to look like behind the proxy that asked.
type Pass struct {
	// Set holds each identity header of any route, and Authorization and Cookie,
	// with one value each; an empty value means that the application must not get
	// the header.
	Set http.Header
	// Remove names other headers that the client sent and that must not go on, such
	// as identity headers in another spelling.
	Remove []string
}

// Passes makes them.
type Passes struct {
	names []string // canonical
}

// NewPasses makes the Passes of a gateway: identity are the names of the headers
// that any route sets.
func NewPasses(identity []string) *Passes {
	p := &Passes{names: []string{"Authorization", "Cookie"}}
	for _, name := range identity {
		if name = http.CanonicalHeaderKey(name); !slices.Contains(p.names, name) {
			p.names = append(p.names, name)
		}
	}
	return p
}

// Names are those of Pass.Set, sorted.
func (p *Passes) Names() []string { return slices.Sorted(slices.Values(p.names)) }

// Pass says what r, which v allows, has to look like. r is not changed.
func (p *Passes) Pass(r *http.Request, v *guard.Verdict) Pass {
	out := maps.Clone(r.Header)
	if out == nil {
		out = http.Header{}
	}
	v.Rewrite(out)
	pass := Pass{Set: make(http.Header, len(p.names)+4)}
	for _, name := range p.names {
		separator := ", "
		if name == "Cookie" {
			separator = "; "
		}
		pass.Set[name] = []string{strings.Join(out[name], separator)}
	}
	// What oauth2-proxy calls them, in the words of the applications that come from it.
	for alias, name := range aliases() {
		if value, there := pass.Set[name]; there {
			pass.Set[alias] = value
		}
	}
	for name := range r.Header {
		if _, kept := out[name]; !kept && pass.Set[name] == nil {
			pass.Remove = append(pass.Remove, name)
		}
	}
	slices.Sort(pass.Remove)
	return pass
}

func aliases() map[string]string {
	return map[string]string{
		"X-Auth-Request-User":               "X-Forwarded-User",
		"X-Auth-Request-Email":              "X-Forwarded-Email",
		"X-Auth-Request-Groups":             "X-Forwarded-Groups",
		"X-Auth-Request-Preferred-Username": "X-Forwarded-Preferred-Username",
	}
}
