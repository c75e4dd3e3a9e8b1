package telemetry_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"

	"github.com/sallyport/sallyport/gateway/telemetry"
)

var update = flag.Bool("update", false, "write the generated page")

const metricsPage = "../../docs/metrics.md"

// everything is metrics that have something to show of each kind.
func everything() *telemetry.Metrics {
	m := telemetry.NewMetrics("test")
	const issuer = "https://id.example.test"
	m.ActiveSessions("in the store", func() int { return 3 })
	m.Locks(func() map[string]int { return map[string]int{"subject": 1, "address": 2} })
	m.JWKSAges(func() map[string]time.Time { return map[string]time.Time{issuer: {}} })
	m.JWKSFetch(issuer, "ok")
	m.Store("create", "timeout", time.Millisecond)
	m.RemoteStore(func() bool { return true }, func() bool { return false }, func() telemetry.NearCache { return telemetry.NearCache{} })
	m.Revocation(time.Millisecond)
	m.Reload(true, time.Unix(0, 0))
	m.StreamOpened()
	m.StreamEnded("shutdown")
	m.Refresh("refreshed")
	m.Authorizer("opa", "allow", time.Millisecond)
	m.ShieldFinding("app", "cookie_without_secure", "report")()
	m.Connections(func() int64 { return 1 })
	m.ConnectionRefused("too_many")
	m.ConnectionsSaturated()
	m.CertificateReload(true)
	m.Certificates(func() map[string]time.Time { return map[string]time.Time{"server.tls": time.Now()} })
	m.Upstreams(func() []telemetry.RouteUpstreams {
		return []telemetry.RouteUpstreams{{Route: "app", Upstreams: []telemetry.Upstream{{URL: "http://127.0.0.1:3000"}}}}
	})
	m.ProviderCall("corp", telemetry.OperationToken, "2xx", time.Millisecond)
	m.AuditRecord(true)
	m.Keys(func() []telemetry.KeyAge {
		return []telemetry.KeyAge{{Ring: "sealing", State: "current", Age: time.Hour, Overdue: true}}
	})
	m.Request(&telemetry.Event{
		Route: "app", Outcome: "allow", Reason: "session", Credential: "session", Bytes: 52, Dialect: "nginx", Status: 200,
		DecideTime: 1, UpstreamTime: 1, Took: 1, Shadow: "forbid", CrossSite: "request", CrossSiteMode: "report",
	})
	return m
}

// families are what everything shows, by name, without what the runtime has.
func families(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	all, err := everything().Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	own := map[string]*dto.MetricFamily{}
	for _, f := range all {
		if strings.HasPrefix(f.GetName(), "sallyport_") {
			own[f.GetName()] = f
		}
	}
	return own
}

// TestEveryMetricIsInTheCatalogue: a metric that is registered but not in everything
// would be neither judged nor documented.
func TestEveryMetricIsInTheCatalogue(t *testing.T) {
	own := families(t)
	for _, d := range everything().Descriptions() {
		_, rest, _ := strings.Cut(d.String(), `fqName: "`)
		name, _, _ := strings.Cut(rest, `"`)
		if strings.HasPrefix(name, "sallyport_") && own[name] == nil {
			t.Errorf("%s has nothing to show in everything(): count in it there", name)
		}
	}
}

func TestMetricNamesAreSound(t *testing.T) {
	problems, err := testutil.GatherAndLint(everything().Gatherer())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestHistogramsAreClassicAndNative: both scrapers of text and of protobuf get what
// they can use.
func TestHistogramsAreClassicAndNative(t *testing.T) {
	seen := 0
	for name, f := range families(t) {
		if f.GetType() != dto.MetricType_HISTOGRAM {
			continue
		}
		seen++
		h := f.GetMetric()[0].GetHistogram()
		if len(h.GetBucket()) == 0 || h.Schema == nil || len(h.GetPositiveSpan()) == 0 {
			t.Errorf("%s: %d classic buckets, native schema %v", name, len(h.GetBucket()), h.Schema)
		}
	}
	if seen < 5 {
		t.Errorf("%d histograms", seen)
	}
}

// TestTheMetricsPageIsWhatThereIs compares docs/metrics.md; -update writes it.
func TestTheMetricsPageIsWhatThereIs(t *testing.T) {
	var table strings.Builder
	own := families(t)
	for _, name := range slices.Sorted(maps.Keys(own)) {
		f := own[name]
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, "`"+l.GetName()+"`")
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", name, strings.ToLower(f.GetType().String()), strings.Join(labels, ", "), f.GetHelp())
	}
	const begin, end = "<!-- begin: go test ./gateway/telemetry -update -->\n", "<!-- end -->\n"
	page, err := os.ReadFile(metricsPage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(page), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", metricsPage)
	}
	want := before + begin + "\n| metric | type | labels | meaning |\n|---|---|---|---|\n" + table.String() + "\n" + end + after
	if *update {
		if err := os.WriteFile(metricsPage, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(page) != want {
		t.Errorf("%s is not what the code says: run go test ./gateway/telemetry -update", metricsPage)
	}
}

// TestPromlintFindsFaults shows that the linter is one that can.
func TestPromlintFindsFaults(t *testing.T) {
	problems, err := promlint.New(strings.NewReader("# TYPE bad counter\nbad 1\n")).Lint()
	if err != nil || len(problems) == 0 {
		t.Errorf("%v, %v", problems, err)
	}
}
