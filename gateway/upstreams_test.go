package gateway_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/upstream"
)

// deadAddress is one on which nobody listens.
func deadAddress(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(nil)
	s.Close()
	return s.URL
}

// upstreamsOf asks the admin API how the upstreams of a route are.
func (s *site) upstreamsOf(t *testing.T, route string) upstream.Status {
	t.Helper()
	var all struct{ Routes []upstream.Status }
	if status, text := s.ask(t, "GET", "/upstreams", nil, &all); status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	for _, r := range all.Routes {
		if r.Route == route {
			return r
		}
	}
	t.Fatalf("there is no route %s", route)
	return upstream.Status{}
}

// TestADeadUpstreamOfSeveralIsNotSeenByUsers, and operators see it.
func TestADeadUpstreamOfSeveralIsNotSeenByUsers(t *testing.T) {
	dead := deadAddress(t)
	s := newSite(t, plan{adminToken: adminToken(t), routes: `
  - {name: several, paths: [/several/], upstream: ["` + dead + `", "$UP"], policy: users, balance: {ejection: {failures: 2, duration: 1h}}}`})
	for range 10 {
		s.passed(t, s.as(t, "alice", "/several/"))
	}
	got := s.upstreamsOf(t, "several")
	if got.Retries != 2 || got.Upstreams[0].Ejections != 1 || got.Upstreams[0].Fit || !got.Upstreams[1].Fit {
		t.Errorf("operators see %+v", got)
	}
	metrics := s.metrics(t)
	for _, line := range []string{
		`sallyport_upstream_healthy{route="several",upstream="` + dead + `"} 0`,
		`sallyport_upstream_healthy{route="several",upstream="http://` + s.upstream.addr + `"} 1`,
		`sallyport_upstream_ejections_total{route="several",upstream="` + dead + `"} 1`,
		`sallyport_upstream_retries_total{route="several"} 2`,
		`sallyport_upstream_requests_in_flight{route="several",upstream="http://` + s.upstream.addr + `"} 0`,
	} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("the metrics lack %s", line)
		}
	}
	if strings.Contains(metrics, `sallyport_upstream_healthy{route="public"`) {
		t.Error("the metrics list upstreams of which nothing is known")
	}
}

// TestAnApplicationThatIsFullOrNotWellIsTriedAgainLater: both are 503, with a
// reason and the time to come back.
func TestAnApplicationThatIsFullOrNotWellIsTriedAgainLater(t *testing.T) {
	var well atomic.Bool
	arrived, free := make(chan struct{}, 1), make(chan struct{})
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/healthz" && !well.Load():
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.URL.Path == "/full/":
			arrived <- struct{}{}
			<-free
		}
		_, _ = io.WriteString(w, upstreamSays)
	}))
	defer app.Close()
	s := newSite(t, plan{adminToken: adminToken(t), routes: `
  - {name: full, paths: [/full/], upstream: "` + app.URL + `", policy: users, timeouts: {connect: 50ms}, balance: {max_connections: 1}}
  - {name: sick, paths: [/sick/], upstream: "` + app.URL + `", policy: users, balance: {health: {path: /healthz, interval: 100ms, healthy: 1}}}`})
	cookie := "Cookie: " + s.signIn(t, "alice")

	first := make(chan answer)
	go func() { first <- s.raw(t, s.request("GET", "/full/", cookie, "Connection: close")) }()
	<-arrived
	refused := s.as(t, "alice", "/full/")
	s.denied(t, refused, http.StatusServiceUnavailable)
	if got := refused.Header.Get("Retry-After"); got != "1" || !strings.Contains(refused.text, `"upstream_busy"`) {
		t.Errorf("Retry-After: %s\n%s", got, refused.text)
	}
	close(free)
	if got := <-first; got.StatusCode != http.StatusOK {
		t.Errorf("the first was answered with %d", got.StatusCode)
	}

	poll(t, "the check", func() bool { return !s.upstreamsOf(t, "sick").Upstreams[0].Healthy })
	refused = s.as(t, "alice", "/sick/")
	s.denied(t, refused, http.StatusServiceUnavailable)
	if got := refused.Header.Get("Retry-After"); got != "5" || !strings.Contains(refused.text, `"upstream_unhealthy"`) {
		t.Errorf("Retry-After: %s\n%s", got, refused.text)
	}
	well.Store(true)
	poll(t, "the application is well again", func() bool { return s.as(t, "alice", "/sick/").StatusCode == http.StatusOK })
}

func TestFilesThatDoNotBelongTogetherAreAFaultOfTheirRoute(t *testing.T) {
	garbage := filepath.Join(t.TempDir(), "garbage.pem")
	if err := os.WriteFile(garbage, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Parse("site.yaml", []byte(`
session: {embedded: {path: ""}}
routes:
  - {name: fine, public: true, upstream: "builtin:echo"}
  - {name: app, paths: [/app], public: true, upstream: ["https://a.test", "https://b.test"], upstream_tls: {ca_file: `+garbage+`, cert_file: `+garbage+`, key_file: `+garbage+`}}
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = gateway.New(t.Context(), cfg, zap.NewNop(), "test")
	if err == nil {
		t.Fatal("it starts")
	}
	for _, want := range []string{"site.yaml:5: routes[1].upstream_tls.ca_file: ", "site.yaml:5: routes[1].upstream_tls.cert_file: "} {
		if strings.Count(err.Error(), want) != 1 {
			t.Errorf("the faults lack %s\n%v", want, err)
		}
	}
}
