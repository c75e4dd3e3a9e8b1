//go:build e2e && linux

package compare_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/e2e/compare"
)

// TestEveryProxyAnswersAndIsInTheTable is the comparison in small. Its figures are
// worth nothing.
func TestEveryProxyAnswersAndIsInTheTable(t *testing.T) {
	r := compare.Run(t, compare.Settings{
		Rounds: 1, Turns: 2, Warm: 50 * time.Millisecond, Saturated: 300 * time.Millisecond, Paced: 200 * time.Millisecond, Rate: 200, Connections: 4,
	})
	var table, picture strings.Builder
	if err := r.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	if err := r.Chart().WriteSVG(&picture); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"httputil.ReverseProxy, tuned", "nginx proxy_pass, no auth", "Sallyport, session, embedded store", "Sallyport, session, Valkey and near cache",
		"Sallyport, RS256 token, known", "Sallyport, RS256 token, verified each time", "Sallyport, RS256 tokens, each new", "nginx auth_request to Sallyport",
	} {
		if strings.Count(table.String(), "| "+name+" ") != 1 || !strings.Contains(picture.String(), name) {
			t.Errorf("%s is not in the table and the picture\n%s", name, table.String())
		}
	}
	for _, row := range r.Rows {
		if row.CPU <= 0 || row.Ratio <= 0 || row.Rate <= 0 || row.P50 <= 0 || row.P99 < row.P50 {
			t.Errorf("%s was not measured: %+v", row.Name, row)
		}
		if strings.Contains(row.Name, "ginx") != (row.Mallocs == 0) {
			t.Errorf("%s tells %.1f allocations", row.Name, row.Mallocs)
		}
	}
}
