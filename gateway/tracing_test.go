package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	trace "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/sallyport/sallyport/gateway/tracing/otlptest"
)

const (
	theirTrace = "0af7651916cd43dd8448eb211c80319c"
	theirSpan  = "b7ad6b7169203331"
	theirs     = "Traceparent: 00-" + theirTrace + "-" + theirSpan + "-01"
)

// named returns the one span with a name, of the last trace if there are several.
func named(t *testing.T, spans []otlptest.Span, name string) otlptest.Span {
	t.Helper()
	for _, s := range slices.Backward(spans) {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("there is no span %q in %+v", name, spans)
	return otlptest.Span{}
}

// header is the one value of a header that the upstream got.
func header(r received, name string) string { return strings.Join(r.header(name), ", ") }

// TestTracesSpanClientGatewayAndApplication over both protocols: whoever looks at a
// trace sees what was decided, and where time went.
func TestTracesSpanClientGatewayAndApplication(t *testing.T) {
	for protocol, start := range map[string]func(testing.TB) (*otlptest.Collector, string){"http": otlptest.HTTP, "grpc": otlptest.GRPC} {
		t.Run(protocol, func(t *testing.T) {
			collector, url := start(t)
			headers := filepath.Join(t.TempDir(), "headers")
			if err := os.WriteFile(headers, []byte("Authorization: Bearer collectors-secret\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			s := newSite(t, plan{
				trusted: "127.0.0.1",
				top:     "tracing: {endpoint: '" + url + "', protocol: " + protocol + ", sample_one_in: 1, headers_file: " + headers + "}",
			})
			got := s.passed(t, s.as(t, "alice", "/app/planted-path?planted=query", theirs, "Tracestate: vendor=1", "Baggage: user=1", "User-Agent: planted-agent"))
			s.denied(t, s.as(t, "mallory", "/admin/", theirs), http.StatusForbidden)
			text := s.metrics(t)
			openMetrics := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil)
			r.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
			s.gw.AdminHandler().ServeHTTP(openMetrics, r)
			if err := s.stop(); err != nil { // which sends what waits
				t.Fatal(err)
			}

			spans := collector.Spans()
			server, upstream, decide := named(t, spans, "GET app"), named(t, spans, "upstream"), named(t, spans, "decide")
			if server.Trace != theirTrace || server.Parent != theirSpan || server.Kind != trace.Span_SPAN_KIND_SERVER || server.Service != "sallyport" {
				t.Errorf("the request's span does not follow the client's: %+v", server)
			}
			if upstream.Parent != server.ID || upstream.Trace != theirTrace || upstream.Kind != trace.Span_SPAN_KIND_CLIENT {
				t.Errorf("the upstream's span: %+v", upstream)
			}
			if decide.Trace != theirTrace || decide.Parent == "" {
				t.Errorf("the decision's span: %+v", decide)
			}
			if want := "00-" + theirTrace + "-" + upstream.ID + "-01"; header(got, "Traceparent") != want || header(got, "Tracestate") != "vendor=1" || header(got, "Baggage") != "user=1" {
				t.Errorf("the application got %v, want traceparent %s", got.raw, want)
			}
			refused := named(t, spans, "GET admin")
			for key, want := range map[string]string{
				"sallyport.outcome": "forbid", "sallyport.route": "admin", "http.request.method": "GET", "http.response.status_code": "int_value:403",
			} {
				if refused.Attributes[key] != want {
					t.Errorf("%s is %q, want %q", key, refused.Attributes[key], want)
				}
			}
			for _, planted := range []string{"planted", "alice", "mallory", "collectors-secret", s.sessions["alice"]} {
				if planted == "" || strings.Contains(collector.Text(), planted) {
					t.Errorf("%q is in the spans", planted)
				}
			}
			if !slices.Contains(collector.Authorizations(), "Bearer collectors-secret") {
				t.Error("the headers were not sent")
			}
			if line := s.logged(t, "alice", "/app/planted-path"); line["trace_id"] != theirTrace {
				t.Errorf("the line has the trace %v", line["trace_id"])
			}
			if strings.Contains(text, theirTrace) || !strings.Contains(openMetrics.Body.String(), `# {trace_id="`+theirTrace+`"}`) {
				t.Error("exemplars are not in OpenMetrics alone")
			}
		})
	}
}

// TestAStrangersTraceIsOnlyLinkedTo: who could make the gateway continue his trace
// would decide what it keeps, and put his spans between those of others.
func TestAStrangersTraceIsOnlyLinkedTo(t *testing.T) {
	collector, url := otlptest.HTTP(t)
	s := newSite(t, plan{top: "tracing: {endpoint: '" + url + "', sample_one_in: 1}"})
	got := s.passed(t, s.as(t, "alice", "/app", theirs, "Tracestate: vendor=1", "Baggage: user=1"))
	s.passed(t, s.as(t, "alice", "/app", "Traceparent: 00-nonsense", "Baggage: user=1"))
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	linked := false
	for _, span := range collector.Spans() {
		if span.Trace == theirTrace {
			t.Errorf("a span is in their trace: %+v", span)
		}
		linked = linked || slices.Contains(span.Links, theirTrace)
	}
	if !linked {
		t.Error("nothing is linked to their trace")
	}
	if strings.Contains(header(got, "Traceparent"), theirTrace) || header(got, "Traceparent") == "" || header(got, "Tracestate") != "" || header(got, "Baggage") != "" {
		t.Errorf("the application got %v", got.raw)
	}
}

// TestACollectorThatIsDownStopsNobody, nor the end of the gateway.
func TestACollectorThatIsDownStopsNobody(t *testing.T) {
	s := newSite(t, plan{top: "tracing: {endpoint: 'http://127.0.0.1:1', sample_one_in: 1}"})
	for range 50 {
		s.passed(t, s.as(t, "alice", "/app"))
	}
	if err := s.stop(); err != nil {
		t.Errorf("the gateway ended with %v", err)
	}
}

// TestWhatIsNotTracedPassesHeadersOn: a gateway that traces nothing is no hop of a
// trace.
func TestWhatIsNotTracedPassesHeadersOn(t *testing.T) {
	s := newSite(t, plan{})
	got := s.passed(t, s.as(t, "alice", "/app", theirs, "Baggage: user=1"))
	if "Traceparent: "+header(got, "Traceparent") != theirs || header(got, "Baggage") != "user=1" {
		t.Errorf("the application got %v", got.raw)
	}
}
