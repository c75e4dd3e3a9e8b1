package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

func (k *checker) upstreamTLS(at string, r Route) {
	secure := slices.ContainsFunc(r.Upstream, func(u string) bool { return strings.HasPrefix(u, "https:") }) || k.lost.touches(at+".upstream")
	k.clientTLS(at+".upstream_tls", r.UpstreamTLS, !secure, "no upstream of the route begins with https://", "write https:// there, or remove it")
}

// balance checks how requests are spread. What matters only for several upstreams
// may stand beside one: a list that has shrunk to one stays valid.
func (k *checker) balance(at string, r Route) {
	at += ".balance"
	b := r.Balance
	k.oneOf(at+".method", b.Method, BalanceRoundRobin, BalanceLeastLoaded)
	k.notNegative(at+".max_connections", int64(b.MaxConnections))
	if b.Resolve != 0 && b.Resolve < time.Second {
		k.fault(at+".resolve", fmt.Sprintf("%s is less than 1s", b.Resolve), "write how often names are looked up again, such as 30s, or 0s for new connections alone")
	}
	k.ejection(at+".ejection", b.Ejection, len(r.Upstream) > 1)
	k.health(at+".health", r)
}

func (k *checker) ejection(at string, e Ejection, several bool) {
	if e.Failures < 0 || e.Failures > 1000 {
		k.fault(at+".failures", fmt.Sprintf("%d is not between 0 and 1000", e.Failures), "write how many failures in a row take an upstream out, or 0 for never")
	}
	if (several || k.given(at+".duration")) && (e.Duration < 100*time.Millisecond || e.Duration > time.Hour) {
		k.fault(at+".duration", fmt.Sprintf("%s is not between 100ms and 1h", e.Duration), "write how long an upstream stays out the first time, such as 10s")
	}
}

func (k *checker) health(at string, r Route) {
	h := r.Balance.Health
	if h.Path == "" {
		for _, key := range []string{"interval", "timeout", "status", "healthy", "unhealthy"} {
			if k.given(at + "." + key) {
				k.missing(at+".path", "is missing, without which nothing is checked", "write the path that says how the application is, such as /healthz, or remove balance.health")
				return
			}
		}
		return
	}
	if u, err := url.ParseRequestURI(h.Path); err != nil || !strings.HasPrefix(h.Path, "/") || strings.HasPrefix(h.Path, "//") || strings.ContainsAny(h.Path, "#\\ ") || u.Host != "" || !isPlainText(h.Path) {
		k.fault(at+".path", fmt.Sprintf("%q is not a path", shorten(h.Path)), "write a path that begins with /, such as /healthz")
	}
	if h.Interval < 100*time.Millisecond || h.Interval > time.Hour {
		k.fault(at+".interval", fmt.Sprintf("%s is not between 100ms and 1h", h.Interval), "write how often each upstream is asked, such as 10s")
	}
	switch {
	case h.Timeout <= 0:
		k.fault(at+".timeout", fmt.Sprintf("%s is no time to answer in", h.Timeout), "write how long an upstream may take to answer, such as 2s")
	case h.Timeout > h.Interval:
		k.fault(at+".timeout", fmt.Sprintf("%s is longer than interval, %s", h.Timeout, h.Interval), "write a timeout that is no longer than the interval")
	}
	if k.given(at+".status") && len(h.Status) == 0 {
		k.missing(at+".status", "is an empty list, by which nothing is healthy", "write the statuses that are, such as [200], or remove it for 200 to 399")
	}
	for i, s := range h.Status {
		if s < 200 || s > 599 {
			k.fault(item(at+".status", i), fmt.Sprintf("%d is not the status of an answer", s), "write a status between 200 and 599")
		}
	}
	for _, count := range []struct {
		key   string
		value int
	}{{"healthy", h.Healthy}, {"unhealthy", h.Unhealthy}} {
		if count.value < 1 || count.value > 100 {
			k.fault(at+"."+count.key, fmt.Sprintf("%d is not between 1 and 100", count.value), "write how many checks in a row it takes, such as 3")
		}
	}
}
