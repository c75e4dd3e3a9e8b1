package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// upstreams checks where a route leads, and how its requests get there.
func (k *checker) upstreams(at string, r Route) {
	switch len(r.Upstream) {
	case 0:
		if !k.ChecksOnly() || k.given(at+".upstream") {
			k.upstream(at+".upstream", "")
		}
	case 1:
		k.upstream(at+".upstream", r.Upstream[0])
	default:
		k.severalUpstreams(at+".upstream", r.Upstream)
	}
	k.notNegative(at+".timeouts.connect", int64(r.Timeouts.Connect))
	k.notNegative(at+".timeouts.response_header", int64(r.Timeouts.ResponseHeader))
	k.upstreamTLS(at, r)
	k.balance(at, r)
}

func (k *checker) severalUpstreams(at string, upstreams Upstreams) {
	if len(upstreams) > MaxUpstreams {
		k.fault(at, fmt.Sprintf("has %d entries, more than %d", len(upstreams), MaxUpstreams), "give one name to several of them, by DNS, or put a balancer between")
	}
	for i, u := range upstreams {
		path := item(at, i)
		k.upstream(path, u)
		switch {
		case strings.HasPrefix(u, "builtin:"):
			k.fault(path, "is built in, and can't be one of several", "write it alone, or remove it")
		case u != "" && slices.IndexFunc(upstreams, func(other string) bool { return sameUpstream(other, u) }) < i:
			k.fault(path, "is in the list already", "keep one of them")
		}
	}
}

// sameUpstream compares what two URLs stand for.
func sameUpstream(a, b string) bool {
	if a == b {
		return true
	}
	x, err := url.Parse(a)
	if err != nil {
		return false
	}
	y, err := url.Parse(b)
	if err != nil {
		return false
	}
	return x.Scheme == y.Scheme && x.Scheme != "unix" && x.Scheme != "unix+h2c" && strings.EqualFold(x.Hostname(), y.Hostname()) && upstreamPort(x) == upstreamPort(y)
}

func upstreamPort(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
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
	if rest, ok := strings.CutPrefix(strings.Replace(upstream, "unix+h2c:", "unix:", 1), "unix:"); ok {
		if file, ok := strings.CutPrefix(rest, "//"); !ok || !isSocketPath(file) {
			k.fault(at, "is not a socket of the form unix:///path (absolute, at most 107 bytes)", fix)
		}
		return
	}
	if _, problem := (urlShape{schemes: []string{"http", "https", "h2c"}, slash: true}).parse(upstream); problem != "" {
		k.fault(at, problem, fix)
	}
}
