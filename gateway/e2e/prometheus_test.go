//go:build e2e

package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/porttest"
)

const grafana = "../../deploy/grafana/"

// promtool runs the tool of Debian's package.
func promtool(t *testing.T, stdin []byte, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "promtool", args...)
	cmd.Dir, cmd.Stdin = grafana, bytes.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// expressions are those of the dashboard, with Grafana's variables filled in.
func expressions(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(grafana + "dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			all = append(all, strings.NewReplacer("$__rate_interval", "1m", "$instance", ".*").Replace(target.Expr))
		}
	}
	if len(all) < 20 {
		t.Fatalf("%d expressions", len(all))
	}
	return all
}

// TestRulesAndDashboardAskForWhatThereIs: a metric that was renamed would leave an
// alert silent for ever.
func TestRulesAndDashboardAskForWhatThereIs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := os.ReadFile(grafana + "rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	suffix := regexp.MustCompile(`_(bucket|sum|count)$`)
	for _, text := range append(expressions(t), string(rules)) {
		for _, name := range regexp.MustCompile(`\bsallyport_[a-z_]+`).FindAllString(text, -1) {
			if !strings.Contains(string(page), "`"+name+"`") && !strings.Contains(string(page), "`"+suffix.ReplaceAllString(name, "")+"`") {
				t.Errorf("%s is not in docs/metrics.md", name)
			}
		}
	}
	promtool(t, nil, "check", "rules", "rules.yml")
	promtool(t, nil, "check", "config", "prometheus.yml")
	promtool(t, nil, "test", "rules", "rules_test.yml")
}

// TestPrometheusTakesWhatAGatewayShows runs Debian's Prometheus against a gateway: it
// scrapes, knows the rules, and every expression of the dashboard can be evaluated.
func TestPrometheusTakesWhatAGatewayShows(t *testing.T) {
	t.Parallel()
	s := startSite(t, siteOptions{})
	s.waitReady(t)
	s.person(t).signIn("/", "alice")
	target := strings.TrimPrefix(s.gateways[0].AdminURL, "http://")

	dir := t.TempDir()
	rules, err := filepath.Abs(grafana + "rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", porttest.Free(t))
	config := fmt.Sprintf("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [%s]\nscrape_configs: [{job_name: sallyport, static_configs: [{targets: [%q]}]}]\n", rules, target)
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "prometheus", "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+address, "--enable-feature=native-histograms,exemplar-storage")
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	query := func(expression string) (status string, results int) {
		res, err := http.Get("http://" + address + "/api/v1/query?query=" + url.QueryEscape(expression))
		if err != nil {
			return err.Error(), 0
		}
		defer res.Body.Close()
		var answer struct {
			Status, Error string
			Data          struct{ Result []any }
		}
		if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
			return err.Error(), 0
		}
		return answer.Status + answer.Error, len(answer.Data.Result)
	}
	deadline := time.Now().Add(30 * time.Second)
	for n := 0; n == 0; _, n = query(`rate(sallyport_requests_total[1m])`) {
		if time.Now().After(deadline) {
			t.Fatal("Prometheus has nothing of the gateway")
		}
		select {
		case <-t.Context().Done():
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
	for _, e := range expressions(t) {
		if status, _ := query(e); status != "success" {
			t.Errorf("%s: %s", e, status)
		}
	}
	if _, n := query(`histogram_quantile(0.99, sum(rate(sallyport_request_seconds[1m])))`); n == 0 {
		t.Error("there is no native histogram")
	}

	res, err := http.Get("http://" + target + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	promtool(t, text, "check", "metrics")
}
