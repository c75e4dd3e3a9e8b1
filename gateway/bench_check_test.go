package gateway_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// asked makes a gateway that 127.0.0.1 may ask.
func askedGateway(tb testing.TB) *benchGateway {
	tb.Helper()
	return newBenchGateway(tb, "builtin:echo", "server: {trusted_proxies: [127.0.0.1]}", "forward_auth: {enabled: [nginx, traefik, caddy, haproxy, envoy]}")
}

// browsers is what a browser sends, in the form in which proxies pass it on.
func browsers(cookie string) http.Header {
	return http.Header{
		"Cookie": {"theme=dark; " + cookie}, "Accept": {"text/html,application/xhtml+xml,*/*;q=0.8"}, "Accept-Encoding": {"gzip, br"}, "Accept-Language": {"en"},
		"User-Agent": {"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"},
		"Sec-Fetch-Site": {"same-origin"}, "Referer": {"http://localhost:8080/projects"}, "X-Forwarded-For": {"203.0.113.9"},
	}
}

// checkOf is a check as the proxies of a dialect send it.
func checkOf(tb testing.TB, base, dialect, cookie string) *http.Request {
	tb.Helper()
	r, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, base+"/.auth/check/"+dialect, nil)
	if err != nil {
		tb.Fatal(err)
	}
	r.Header = browsers(cookie)
	const target = "/projects/42/issues?page=2"
	switch dialect {
	case "nginx":
		r.Header["X-Original-Url"], r.Header["X-Original-Method"] = []string{"http://localhost:8080" + target}, []string{"GET"}
	default:
		r.Header["X-Forwarded-Method"], r.Header["X-Forwarded-Proto"] = []string{"GET"}, []string{"http"}
		r.Header["X-Forwarded-Host"], r.Header["X-Forwarded-Uri"] = []string{"localhost:8080"}, []string{target}
	}
	return r
}

// BenchmarkCheck asks the whole gateway over loopback whether a request with a
// session may pass, as a proxy does that keeps its connections; the asker is in the
// measure, as in BenchmarkProxy.
func BenchmarkCheck(b *testing.B) {
	g := askedGateway(b)
	server := httptest.NewServer(g.handler)
	b.Cleanup(server.Close)
	for _, dialect := range []string{"nginx", "traefik"} {
		b.Run(dialect, func(b *testing.B) {
			b.ReportAllocs()
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}}
			defer client.CloseIdleConnections()
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					res, err := client.Do(checkOf(b, server.URL, dialect, g.cookie))
					if err != nil {
						b.Error(err)
						return
					}
					if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
						b.Errorf("%d: %v", res.StatusCode, err)
					}
					_ = res.Body.Close()
				}
			})
		})
	}
}
