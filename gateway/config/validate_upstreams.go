package config

import (
	"fmt"
	"strings"
)

// upstreams checks where a route leads.
func (k *checker) upstreams(at string, r Route) {
	switch len(r.Upstream) {
	case 0:
		k.upstream(at+".upstream", "")
	case 1:
		k.upstream(at+".upstream", r.Upstream[0])
	default:
		for i, u := range r.Upstream {
			k.upstream(item(at+".upstream", i), u)
		}
	}
}

func (k *checker) upstream(at, upstream string) {
	const fix = "write http://127.0.0.1:3000, https://, h2c://, unix:///run/app.sock or builtin:echo"
	if upstream == "" {
		k.missing(at, "is missing", fix)
		return
	}
	if upstream == "builtin:echo" {
		return
	}
	if builtin, ok := strings.CutPrefix(upstream, "builtin:"); ok {
		k.fault(at, fmt.Sprintf("%q is not built in", shorten(builtin)), "write builtin:echo")
		return
	}
	if strings.HasPrefix(upstream, "unix:") {
		if file, ok := strings.CutPrefix(upstream, "unix://"); !ok || !isSocketPath(file) {
			k.fault(at, "is not a socket of the form unix:///path (absolute, at most 107 bytes)", fix)
		}
		return
	}
	if _, problem := (urlShape{schemes: []string{"http", "https", "h2c"}, slash: true}).parse(upstream); problem != "" {
		k.fault(at, problem, fix)
	}
}
