package telemetry_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

func TestRecorderSeesWhatTheClientGets(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter)
		status int
		bytes  int64
	}{
		"a status and a body": {func(w http.ResponseWriter) { w.WriteHeader(404); _, _ = w.Write([]byte("gone")) }, 404, 4},
		"a body alone":        {func(w http.ResponseWriter) { _, _ = w.Write([]byte("hello")) }, 200, 5},
		"early hints first":   {func(w http.ResponseWriter) { w.WriteHeader(103); w.WriteHeader(204) }, 204, 0},
		"switching protocols": {func(w http.ResponseWriter) { w.WriteHeader(101) }, 101, 0},
	} {
		t.Run(name, func(t *testing.T) {
			rec := &telemetry.Recorder{ResponseWriter: httptest.NewRecorder()}
			c.answer(rec)
			if rec.Event.Status != c.status || rec.Event.BytesOut != c.bytes {
				t.Errorf("%d, %d bytes", rec.Event.Status, rec.Event.BytesOut)
			}
		})
	}
}

type wrapper struct{ http.ResponseWriter }

func (w wrapper) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func TestEventIsFoundThroughWrappers(t *testing.T) {
	rec := &telemetry.Recorder{ResponseWriter: httptest.NewRecorder()}
	telemetry.EventOf(wrapper{wrapper{rec}}).Reason = "found"
	if rec.Event.Reason != "found" {
		t.Error("another event was filled")
	}
	telemetry.EventOf(httptest.NewRecorder()).Reason = "nobody reads this"
}

func lines(t *testing.T, level string, write func(e *telemetry.Event)) []map[string]any {
	t.Helper()
	var out bytes.Buffer
	log, err := telemetry.NewLogger(config.Log{Level: level, Format: "json"}, &out)
	if err != nil {
		t.Fatal(err)
	}
	var e telemetry.Event
	write(&e)
	e.Took = time.Millisecond
	e.Log(log)
	var all []map[string]any
	for line := range strings.Lines(out.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		all = append(all, m)
	}
	return all
}

func TestLogInjection(t *testing.T) {
	// CVE-2020-36567 and its kind: what a client sends must not make a second
	// record, end a field early, or fill the disk.
	hostile := "/a\r\n{\"level\":\"info\"}\x1b[31m\",\"admin\":true,\"x\":\"\u2028" + strings.Repeat("é", 1<<20)
	got := lines(t, "info", func(e *telemetry.Event) { e.Status, e.Path, e.Host, e.Method = 200, hostile, hostile, hostile })
	if len(got) != 1 {
		t.Fatalf("%d records", len(got))
	}
	if _, ok := got[0]["admin"]; ok {
		t.Error("the client added a field")
	}
	path, _ := got[0]["path"].(string)
	if len(path) > 600 || !strings.HasPrefix(path, "/a\r\n") {
		t.Errorf("path of %d bytes: %.40q", len(path), path)
	}
}

func TestOurOwnFailuresAreErrorsInTheLog(t *testing.T) {
	for name, c := range map[string]struct {
		write func(e *telemetry.Event)
		level string
		want  string
	}{
		"a request":           {func(e *telemetry.Event) { e.Status = 200 }, "info", "info"},
		"a refusal":           {func(e *telemetry.Event) { e.Status = 401 }, "info", "info"},
		"an outage":           {func(e *telemetry.Event) { e.Status, e.Err = 503, errors.New("store") }, "error", "error"},
		"a panic":             {func(e *telemetry.Event) { e.Status, e.Panic = 500, "boom" }, "error", "error"},
		"a request, at error": {func(e *telemetry.Event) { e.Status = 200 }, "error", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := lines(t, c.level, c.write)
			switch {
			case c.want == "" && len(got) == 0:
			case len(got) != 1:
				t.Errorf("%d records", len(got))
			case got[0]["level"] != c.want:
				t.Errorf("level %v", got[0]["level"])
			}
		})
	}
}

func TestCredentialsAreWeighedByKind(t *testing.T) {
	m := telemetry.NewMetrics("test")
	for _, e := range []telemetry.Event{
		{Credential: "session", Bytes: 52},
		{Credential: "session", Bytes: 52},
		{Credential: "bearer", Bytes: 2137},
		{Credential: "bearer", Bytes: 16 << 10},
		{Credential: "none"}, // an asset, or a visitor: nothing to weigh
	} {
		m.Request(&e)
	}
	want := `
# HELP sallyport_credential_bytes_total Bytes of credentials on the wire, by kind.
# TYPE sallyport_credential_bytes_total counter
sallyport_credential_bytes_total{kind="bearer"} 18521
sallyport_credential_bytes_total{kind="session"} 104
# HELP sallyport_credential_size_bytes Size of the credential of a request that carries one, by kind.
# TYPE sallyport_credential_size_bytes histogram
` + buckets("bearer", 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 2) + `sallyport_credential_size_bytes_sum{kind="bearer"} 18521
sallyport_credential_size_bytes_count{kind="bearer"} 2
` + buckets("session", 0, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2) + `sallyport_credential_size_bytes_sum{kind="session"} 104
sallyport_credential_size_bytes_count{kind="session"} 2
`
	err := testutil.GatherAndCompare(m.Gatherer(), strings.NewReader(want), "sallyport_credential_bytes_total", "sallyport_credential_size_bytes")
	if err != nil {
		t.Error(err)
	}
}

// buckets is how Prometheus writes the buckets of credential sizes.
func buckets(kind string, counts ...int) string {
	var b strings.Builder
	for i, le := range []string{"32", "64", "128", "256", "512", "1024", "2048", "4096", "8192", "16384", "+Inf"} {
		fmt.Fprintf(&b, "sallyport_credential_size_bytes_bucket{kind=%q,le=%q} %d\n", kind, le, counts[i])
	}
	return b.String()
}

func TestTwoGatewaysLiveInOneProcess(t *testing.T) {
	one, two := telemetry.NewMetrics("test"), telemetry.NewMetrics("test")
	one.Request(&telemetry.Event{Route: "app", Outcome: "allow", Reason: "public"})
	n, err := testutil.GatherAndCount(two.Gatherer(), "sallyport_requests_total")
	if err != nil || n != 0 {
		t.Errorf("%d series, %v", n, err)
	}
}
