package frontend

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/sallyport/sallyport/gateway/guard"
	"github.com/sallyport/sallyport/gateway/headers"
)

// Pass is what a request that may pass has to look like behind the proxy that asked.
type Pass struct {
	// Set holds each identity header of any route, and Authorization and Cookie,
	// with one value each; an empty value means that the application must not get
	// the header.
	Set http.Header
	// Remove names other headers that the client sent and that must not go on, such
	// as identity headers in another spelling. What proxies themselves tell of the
	// client's address is not among them.
	Remove []string
	// Unsafe are those of Remove with which nothing may pass where the proxy can't
	// remove them: an application could take them for headers of Set or, in a
	// preflight, for another method.
	Unsafe []string
}

// Passes makes them. It is safe for concurrent use.
type Passes struct {
	names   []string // canonical
	aliases []alias
	all     []string // both, sorted
	scratch sync.Pool
}

// alias is a header that repeats another one.
type alias struct{ name, of string }

// NewPasses makes the Passes of a gateway: identity are the names of the headers
// that any route sets.
func NewPasses(identity []string) *Passes {
	p := &Passes{names: []string{"Authorization", "Cookie"}}
	p.scratch.New = func() any { return http.Header{} }
	for _, name := range identity {
		if name = http.CanonicalHeaderKey(name); !slices.Contains(p.names, name) {
			p.names = append(p.names, name)
		}
	}
	// What oauth2-proxy calls them, in the words of the applications that come from it.
	for _, a := range []alias{
		{"X-Auth-Request-User", "X-Forwarded-User"},
		{"X-Auth-Request-Email", "X-Forwarded-Email"},
		{"X-Auth-Request-Groups", "X-Forwarded-Groups"},
		{"X-Auth-Request-Preferred-Username", "X-Forwarded-Preferred-Username"},
	} {
		if slices.Contains(p.names, a.of) && !slices.Contains(p.names, a.name) {
			p.aliases = append(p.aliases, a)
		}
	}
	p.all = slices.Clone(p.names)
	for _, a := range p.aliases {
		p.all = append(p.all, a.name)
	}
	slices.Sort(p.all)
	return p
}

// Names are those of Pass.Set, sorted. They must not be changed.
func (p *Passes) Names() []string { return p.all }

// Pass says what r, which v allows, has to look like. r is not changed.
func (p *Passes) Pass(r *http.Request, v *guard.Verdict) Pass {
	pass := Pass{Set: make(http.Header, len(p.all))}
	p.Into(&pass, r, v)
	return pass
}

// Into is Pass into a Set that is there already, such as the header of an answer,
// and into the room of the slices.
func (p *Passes) Into(pass *Pass, r *http.Request, v *guard.Verdict) {
	out := p.scratch.Get().(http.Header) //nolint:forcetypeassert // the pool's New makes nothing else
	maps.Copy(out, r.Header)
	v.Rewrite(out)
	values := make([]string, len(p.names))
	for i, name := range p.names {
		separator := ", "
		if name == "Cookie" {
			separator = "; "
		}
		values[i] = strings.Join(out[name], separator)
		pass.Set[name] = values[i : i+1 : i+1]
	}
	for _, a := range p.aliases {
		pass.Set[a.name] = pass.Set[a.of]
	}
	for name := range r.Header {
		if _, kept := out[name]; !kept && !isForwarding(name) && !slices.Contains(p.all, name) {
			pass.Remove = append(pass.Remove, name)
		}
	}
	slices.Sort(pass.Remove)
	preflight := v.Reason == guard.ReasonPreflight
	for _, name := range pass.Remove {
		if p.copies(name) || preflight && overridesMethod(name) {
			pass.Unsafe = append(pass.Unsafe, name)
		}
	}
	clear(out)
	p.scratch.Put(out)
}

// copies reports whether an application may take a header for one of Set.
func (p *Passes) copies(name string) bool {
	return slices.ContainsFunc(p.all, func(own string) bool { return headers.SameName(own, name) })
}

// isForwarding reports whether a header is one by which proxies tell applications
// where a request came from. It is the word of the proxy that asked.
func isForwarding(name string) bool {
	switch name {
	case "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Proto",
		"X-Forwarded-Server", "X-Forwarded-Client-Cert", "X-Real-Ip":
		return true
	}
	return false
}

// overridesMethod reports whether a header makes frameworks take a request for one
// with another method.
func overridesMethod(name string) bool {
	return headers.SameName(name, "X-HTTP-Method-Override") || headers.SameName(name, "X-HTTP-Method") || headers.SameName(name, "X-Method-Override")
}
