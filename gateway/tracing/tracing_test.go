package tracing_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/telemetry"
	"github.com/sallyport/sallyport/gateway/tlstest"
	"github.com/sallyport/sallyport/gateway/tracing"
	"github.com/sallyport/sallyport/gateway/tracing/otlptest"
)

func tracer(t *testing.T, o tracing.Options) *tracing.Tracer {
	t.Helper()
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	o.Tracing.SampleOneIn = 1
	made, err := tracing.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// request makes the span of one, with what happens during it.
func request(t *tracing.Tracer, during func(ctx context.Context)) {
	e := &telemetry.Event{Start: time.Now(), Method: http.MethodGet, Route: "app", Status: http.StatusOK}
	r := t.Begin(httptest.NewRequest(http.MethodGet, "/", http.NoBody), false, e)
	during(r.Context())
	e.Took = time.Since(e.Start)
	t.End(r, e)
}

// find returns the one span with a name.
func find(t *testing.T, spans []otlptest.Span, name string) otlptest.Span {
	t.Helper()
	for _, s := range spans {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("there is no span %q in %+v", name, spans)
	return otlptest.Span{}
}

type answers func(r *http.Request) (*http.Response, error)

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) { return a(r) }

// TestCallsAreSpansOfTheRequestThatCausedThem: those to the store and to providers, with
// how they went, and without what was asked.
func TestCallsAreSpansOfTheRequestThatCausedThem(t *testing.T) {
	collector, url := otlptest.HTTP(t)
	tracer := tracer(t, tracing.Options{Tracing: config.Tracing{Endpoint: url, Protocol: "http"}})
	told := map[string]string{}
	provider := tracer.Transport("corp", answers(func(r *http.Request) (*http.Response, error) {
		operation := telemetry.OperationOf(r.Context())
		told[operation] = r.Header.Get("Traceparent")
		switch operation {
		case telemetry.OperationToken:
			return &http.Response{StatusCode: http.StatusBadRequest, Body: http.NoBody}, nil
		case telemetry.OperationUserinfo:
			return nil, errors.New("planted error")
		}
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
	}))
	request(tracer, func(ctx context.Context) {
		tracer.Store(ctx, "get", telemetry.StoreAnswered, time.Millisecond)
		tracer.Store(ctx, "update", "timeout", time.Second)
		for _, operation := range []string{telemetry.OperationDiscovery, telemetry.OperationToken, telemetry.OperationUserinfo} {
			r := httptest.NewRequestWithContext(telemetry.WithOperation(ctx, operation), http.MethodPost, "https://id.test/planted?planted", strings.NewReader("planted"))
			r.Header.Set("Authorization", "Bearer planted")
			r.Header.Set("Tracestate", "planted=1")
			if res, err := provider.RoundTrip(r); err == nil {
				_ = res.Body.Close()
			}
			if r.Header.Get("Traceparent") != "" {
				t.Error("the caller's request was changed")
			}
		}
	})
	tracer.Store(t.Context(), "touch", telemetry.StoreAnswered, time.Millisecond) // for no request
	if err := tracer.Close(); err != nil {
		t.Fatal(err)
	}

	spans := collector.Spans()
	root := find(t, spans, "GET app")
	for name, want := range map[string]struct {
		failed     bool
		attributes map[string]string
	}{
		"store get":          {false, map[string]string{"db.system.name": "valkey", "sallyport.class": telemetry.StoreAnswered}},
		"store update":       {true, map[string]string{"db.system.name": "valkey", "sallyport.class": "timeout"}},
		"provider discovery": {false, map[string]string{"sallyport.provider": "corp", "sallyport.operation": "discovery", "http.response.status_code": "int_value:200"}},
		"provider token":     {false, map[string]string{"sallyport.provider": "corp", "http.response.status_code": "int_value:400"}},
		"provider userinfo":  {true, map[string]string{"sallyport.provider": "corp", "sallyport.operation": "userinfo", "http.response.status_code": ""}},
	} {
		s := find(t, spans, name)
		if s.Trace != root.Trace || s.Parent != root.ID || s.Kind != trace.Span_SPAN_KIND_CLIENT || s.Failed != want.failed {
			t.Errorf("%s: %+v", name, s)
		}
		for key, value := range want.attributes {
			if s.Attributes[key] != value {
				t.Errorf("%s: %s is %q, want %q", name, key, s.Attributes[key], value)
			}
		}
		if operation, ok := strings.CutPrefix(name, "provider "); ok && told[operation] != "00-"+s.Trace+"-"+s.ID+"-01" {
			t.Errorf("%s: the provider was told of %q", name, told[operation])
		}
	}
	if len(spans) != 6 || strings.Contains(collector.Text(), "planted") {
		t.Errorf("%d spans:\n%s", len(spans), collector.Text())
	}
}

// TestSpansGoOverTLS, by both protocols, to a collector whose certificate the authority
// of the configuration has signed, and to no other.
func TestSpansGoOverTLS(t *testing.T) {
	ca, other := tlstest.New(t), tlstest.New(t)
	cert := ca.Server("127.0.0.1").Load(t)
	for protocol, start := range map[string]func() (*otlptest.Collector, string){
		"http": func() (*otlptest.Collector, string) { return otlptest.HTTPS(t, cert) },
		"grpc": func() (*otlptest.Collector, string) { return otlptest.GRPCS(t, cert) },
	} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			collector, url := start()
			for _, c := range []struct {
				authority string
				want      int
			}{{other.CertFile, 0}, {ca.CertFile, 1}} {
				tracer := tracer(t, tracing.Options{
					Tracing: config.Tracing{Endpoint: url, Protocol: protocol, CAFile: c.authority},
					CAFile:  c.authority, Headers: "Authorization: Bearer collectors-secret",
				})
				request(tracer, func(context.Context) {})
				if err := tracer.Close(); err != nil {
					t.Fatal(err)
				}
				if n := len(collector.Spans()); n != c.want {
					t.Errorf("%d spans, want %d", n, c.want)
				}
			}
			if got := collector.Authorizations(); len(got) != 1 || got[0] != "Bearer collectors-secret" {
				t.Errorf("the collector was shown %q", got)
			}
		})
	}
}

// TestACollectorThatHangsHoldsNothing: it takes connections and never answers. Requests
// go on, the spans that wait do not pile up, the end does not wait for it, and the log
// tells once.
func TestACollectorThatHangsHoldsNothing(t *testing.T) {
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var held sync.WaitGroup
	held.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			defer c.Close()
		}
	})
	defer held.Wait()
	defer ln.Close()
	core, logs := observer.New(zap.WarnLevel)
	tracer := tracer(t, tracing.Options{Tracing: config.Tracing{Endpoint: "http://" + ln.Addr().String(), Protocol: "http"}, Log: zap.New(core)})
	before := heap()
	for range 100_000 {
		request(tracer, func(context.Context) {})
	}
	if grown := int64(heap()) - int64(before); grown > 16<<20 {
		t.Errorf("%d MiB wait for a collector that takes nothing", grown>>20)
	}
	if err := tracer.Close(); err != nil {
		t.Error(err)
	}
	if n := logs.FilterMessage("spans are lost: the collector takes none").Len(); n > 1 {
		t.Errorf("the log tells of it %d times", n)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
