package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/shield"
)

// TestAStoreThatFailsAfterAReloadIsABlipAtFirst, as it was before.
func TestAStoreThatFailsAfterAReloadIsABlipAtFirst(t *testing.T) {
	t.Parallel()
	s := newDevSite(t, func(ctx context.Context, c *config.Config, log *zap.Logger, version string) (*gateway.Gateway, error) {
		gw, err := gateway.NewDevelopment(ctx, c, log, version)
		if err == nil {
			gw.FollowMade(nil, func() (*config.Config, error) { return config.Parse("test", []byte(developmentConfig), nil) }, zap.NewAtomicLevel())
		}
		return gw, err
	})
	whole := &site{gw: s.gw}
	if code, text := whole.readiness(t); code != http.StatusOK {
		t.Fatal(code, text)
	}
	if err := s.gw.Reload(t.Context(), gateway.TriggerSignal); err != nil {
		t.Fatal(err)
	}
	s.press(t, "outage", "seconds=60")
	if code, text := whole.readiness(t); code != http.StatusOK || !strings.Contains(text, `"name":"store","status":"failing"`) {
		t.Errorf("%d %s", code, text)
	}
}

// TestTheShieldsReportOutlivesReloads, for the routes that stay, also where their mode
// changes.
func TestTheShieldsReportOutlivesReloads(t *testing.T) {
	t.Parallel()
	routes := func(mode, others string) string {
		return strings.ReplaceAll(`- {name: legacy, paths: [/legacy/], upstream: "$UP", public: true, shield: {mode: `+mode+`}}`+others, "\t", "")
	}
	const other = "\n  - {name: other, paths: [/other/], upstream: \"$UP\", public: true, shield: {mode: report}}"
	s := newSite(t, plan{followed: true, adminToken: adminToken(t), routes: routes("report", other)})
	s.upstream.answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Type: text/html\r\nSet-Cookie: JSESSIONID=1; Path=/\r\n\r\n")
	report := func() shield.Report {
		t.Helper()
		var r shield.Report
		if code, text := s.ask(t, http.MethodGet, "/shield", nil, &r); code != http.StatusOK {
			t.Fatal(code, text)
		}
		return r
	}
	count := func(route string) (n uint64) {
		t.Helper()
		for _, r := range report().Routes {
			for _, f := range r.Findings {
				if r.Route == route && f.Finding == "cookie_without_httponly" && f.Cookie == "JSESSIONID" {
					n += f.Count
				}
			}
		}
		return n
	}
	get := func(target string) {
		t.Helper()
		if a := s.raw(t, s.request("GET", target)); a.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d", target, a.StatusCode)
		}
	}
	get("/legacy/")
	get("/other/")
	first := report()
	swap := func(routes string) {
		t.Helper()
		s.reload(t, func(p *plan) { p.routes = strings.ReplaceAll(routes, "$UP", p.upstream) })
	}
	swap(routes("enforce", ""))
	get("/legacy/")
	if got := count("legacy"); got != 2 {
		t.Errorf("%d findings are in the report, want the one before the reload and the one after it", got)
	}
	now := report()
	at := slices.IndexFunc(now.Routes, func(r shield.RouteReport) bool { return r.Route == "legacy" })
	if now.Since != first.Since || at < 0 || now.Routes[at].Mode != "enforce" || count("other") != 0 {
		t.Errorf("%+v", now)
	}
	for mode, want := range map[string]string{"report": "1", "enforce": "1"} {
		if got := s.metric(t, `sallyport_shield_findings_total{finding="cookie_without_httponly",mode="`+mode+`",route="legacy"}`); got != want {
			t.Errorf("%s of %s are counted", got, mode)
		}
	}
}

// TestUpstreamsThatStayAreKnownAfterAReload: one that is ejected stays so, one that
// fails its checks gets nothing meanwhile, and visitors stay where they were.
func TestUpstreamsThatStayAreKnownAfterAReload(t *testing.T) {
	t.Parallel()
	var asked [3]atomic.Int64
	var urls []string
	for i := range asked {
		app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked[i].Add(1)
			if i == 0 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			_, _ = fmt.Fprint(w, i)
		}))
		t.Cleanup(app.Close)
		urls = append(urls, app.URL)
	}
	route := func(sticky bool, upstreams ...string) string {
		return fmt.Sprintf(`- {name: several, paths: [/several/], upstream: [%s], public: true, balance: {sticky: %v, ejection: {failures: 2, duration: 1h}}}`,
			`"`+strings.Join(upstreams, `", "`)+`"`, sticky)
	}
	s := newSite(t, plan{followed: true, adminToken: adminToken(t), routes: route(false, urls[0], urls[1])})
	get := func(n int) {
		for range n {
			s.raw(t, s.request("GET", "/several/"))
		}
	}
	get(10)
	before := s.upstreamsOf(t, "several").Upstreams[0]
	if asked[0].Load() != 2 || before.Fit || before.EjectedUntil.IsZero() {
		t.Fatalf("%+v", before)
	}
	s.reload(t, func(p *plan) { p.routes = route(false, urls[2], urls[0], urls[1]) })
	get(12)
	after := s.upstreamsOf(t, "several").Upstreams[1]
	if asked[0].Load() != 2 || after.Fit || !after.EjectedUntil.Equal(before.EjectedUntil) || after.Ejections != 1 {
		t.Errorf("it got %d requests: %+v, and before %+v", asked[0].Load(), after, before)
	}
	if asked[2].Load() != 6 {
		t.Errorf("the new one got %d of 12", asked[2].Load())
	}
	if got := s.metric(t, `sallyport_upstream_ejections_total{route="several",upstream="`+urls[0]+`"}`); got != "1" {
		t.Errorf("%s ejections are counted", got)
	}
}
