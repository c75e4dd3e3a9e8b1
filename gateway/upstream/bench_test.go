package upstream_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/upstream"
)

// ways are the ways to an upstream, from the plainest on.
func ways() map[string]config.Route {
	one := []string{"http://10.0.0.1"}
	three := []string{"http://10.0.0.1", "http://10.0.0.2", "http://10.0.0.3"}
	with := func(upstreams []string, b config.Balance) config.Route {
		r := route(upstreams...)
		r.Balance = b
		return r
	}
	ejection := config.Ejection{Failures: 5, Duration: patience}
	return map[string]config.Route{
		"one":          with(one, config.Balance{Method: config.BalanceRoundRobin}),
		"one-limited":  with(one, config.Balance{Method: config.BalanceRoundRobin, MaxConnections: 100}),
		"round-robin":  with(three, config.Balance{Method: config.BalanceRoundRobin, Ejection: ejection}),
		"least-loaded": with(three, config.Balance{Method: config.BalanceLeastLoaded, Ejection: ejection}),
		"sticky":       with(three, config.Balance{Method: config.BalanceLeastLoaded, Sticky: true, Ejection: ejection}),
		"limited":      with(three, config.Balance{Method: config.BalanceLeastLoaded, MaxConnections: 100, Ejection: ejection}),
	}
}

// answered is a transport that answers at once, with the same answer.
type answered struct {
	res  http.Response
	body io.ReadCloser
}

func (a *answered) RoundTrip(*http.Request) (*http.Response, error) {
	a.res.Body = a.body
	return &a.res, nil
}

type emptyBody struct{ io.Reader }

func (emptyBody) Close() error { return nil }

// canned is a pool whose upstreams answer at once, and what sends it a request.
func canned(tb testing.TB, r config.Route, body string) (*upstream.Pool, func(*upstream.Pool, [32]byte)) {
	tb.Helper()
	p, err := upstream.New(upstream.Options{Route: r})
	if err != nil {
		tb.Fatal(err)
	}
	a := &answered{res: http.Response{StatusCode: http.StatusOK}, body: http.NoBody}
	if body != "" {
		a.body = emptyBody{}
	}
	p.SetTransport(a)
	get := request(tb.Context(), "GET", "")
	return p, func(p *upstream.Pool, sticky [32]byte) {
		res, err := p.RoundTrip(get, sticky)
		if err != nil {
			tb.Fatal(err)
		}
		_ = res.Body.Close()
	}
}

// BenchmarkRoundTrip is what a request costs between the proxy and the transport.
func BenchmarkRoundTrip(b *testing.B) {
	for name, r := range ways() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			p, again := canned(b, r, "a body")
			key := session(1)
			for b.Loop() {
				again(p, key)
			}
		})
	}
}
