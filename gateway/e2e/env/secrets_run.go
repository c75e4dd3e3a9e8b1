//go:build e2e

package env

import (
	"encoding/base64"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/tracing/otlptest"
)

// run is the scan of this run of tests; nil outside Main.
var run *Scan //nolint:gochecknoglobals // one process runs the tests of one package

// Secret tells the scan of this run of a value that must never be seen.
func Secret(kind, value string) { run.Secret(kind, value) }

// Harvest takes the secrets out of what a browser sends and gets: the values of
// cookies, and what is in addresses on the way through a sign-in.
func Harvest(address string, cookies []*http.Cookie) {
	for _, c := range cookies {
		Secret("cookie "+c.Name, c.Value)
	}
	if u, err := url.Parse(address); err == nil {
		HarvestForm(u.Query())
	}
}

// HarvestForm takes the secrets out of a form or a query.
func HarvestForm(form url.Values) {
	for _, name := range []string{
		"code", "state", "nonce", "id_token_hint", "login_token", "logout_token", "password", "token", "client_secret", "code_verifier",
	} {
		Secret(name, form.Get(name))
	}
}

// HarvestHeader takes the secrets out of what a request or an answer carries.
func HarvestHeader(h http.Header) {
	if _, token, ok := strings.Cut(h.Get("Authorization"), " "); ok {
		Secret("Authorization", token)
	}
	cookies := append((&http.Request{Header: h}).Cookies(), (&http.Response{Header: h}).Cookies()...)
	Harvest(h.Get("Location"), cookies)
}

// harvestFile takes the secrets out of a file that holds nothing else, as those do
// whose name has no extension: a line each, which may be base64 of it.
func harvestFile(name, content string) {
	name = filepath.Base(name)
	if filepath.Ext(name) != "" || len(content) > 4<<10 {
		return
	}
	for line := range strings.Lines(content) {
		line = strings.TrimSpace(line)
		Secret("file "+name, line)
		if raw, err := base64.StdEncoding.DecodeString(line); err == nil {
			Secret("content of file "+name, string(raw))
		}
	}
}

// seen adds what a gateway has left in its directory to what is searched: audit
// records, for the secrets that its other files hold.
func seen(tb testing.TB, dir string) {
	tb.Helper()
	if run == nil {
		return
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil //nolint:nilerr // what is gone by now
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil //nolint:nilerr // the same
		}
		if filepath.Ext(path) == ".log" {
			run.Output(filepath.Base(path)+" of "+tb.Name(), string(text))
		}
		harvestFile(path, string(text))
		return nil
	})
}

// Observed returns the environment of gateways whose audit records go to a file and
// whose spans, all of them, to a collector, where they are searched for secrets.
func Observed(tb testing.TB) (environ []string) {
	tb.Helper()
	spans, url := otlptest.HTTP(tb)
	tb.Cleanup(func() { run.Output("the spans of "+tb.Name(), spans.Text()) })
	return []string{
		"SALLYPORT_AUDIT__OUTPUT=file", "SALLYPORT_AUDIT__FILE__PATH=audit.log",
		"SALLYPORT_TRACING__ENDPOINT=" + url, "SALLYPORT_TRACING__SAMPLE_ONE_IN=1",
		"OTEL_BSP_SCHEDULE_DELAY=100", // milliseconds
	}
}
