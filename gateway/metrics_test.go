package gateway_test

import (
	"flag"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/sallyport/sallyport/gateway"
)

// TestMain looks at the end whether each metric that docs/metrics.md promises was seen
// at some gateway: one that nobody counts in any more would be promised for ever. A
// run of some tests alone sees some metrics alone, and says nothing.
func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 && flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.list").Value.String() == "" {
		for _, name := range slices.Sorted(maps.Keys(documentedMetrics())) {
			if !seenMetrics.has(name) {
				fmt.Fprintf(os.Stderr, "docs/metrics.md has %s, which no gateway of these tests has shown\n", name)
				code = 1
			}
		}
	}
	os.Exit(code)
}

// metricNames are those that gateways of the tests have shown.
type metricNames struct {
	mu    sync.Mutex
	names map[string]bool
}

var seenMetrics = metricNames{names: map[string]bool{}}

func (n *metricNames) has(name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.names[name]
}

// documentedMetrics are those of docs/metrics.md, with their type and labels.
var documentedMetrics = sync.OnceValue(func() map[string]string {
	page, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		return nil
	}
	all := map[string]string{}
	for line := range strings.Lines(string(page)) {
		if cells := strings.Split(line, "|"); len(cells) >= 5 && strings.HasPrefix(cells[1], " `sallyport_") {
			all[strings.Trim(cells[1], " `")] = strings.TrimSpace(cells[2]) + " " + strings.NewReplacer("`", "", " ", "").Replace(cells[3])
		}
	}
	return all
})

// seeMetrics scrapes a gateway that is about to end: whatever it shows is documented,
// with its type and its labels.
func seeMetrics(t *testing.T, gw *gateway.Gateway) {
	t.Helper()
	w := httptest.NewRecorder()
	gw.AdminHandler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(w.Body)
	if err != nil {
		t.Errorf("the metrics cannot be read: %v", err)
	}
	seenMetrics.mu.Lock()
	defer seenMetrics.mu.Unlock()
	for name, f := range families {
		if seenMetrics.names[name] || !strings.HasPrefix(name, "sallyport_") {
			continue
		}
		seenMetrics.names[name] = true
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		slices.Sort(labels)
		got := strings.ToLower(f.GetType().String()) + " " + strings.Join(labels, ",")
		if want, ok := documentedMetrics()[name]; !ok {
			t.Errorf("docs/metrics.md lacks %s: run go test ./gateway/telemetry -update", name)
		} else if got != strings.TrimSpace(want) && got != want {
			t.Errorf("%s is a %q, and a %q in docs/metrics.md", name, got, want)
		}
	}
}
