// Package otlptest is a collector of OpenTelemetry spans for tests: it takes OTLP over
// HTTP and gRPC on loopback, and keeps what it got.
package otlptest

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Span is a span that came, with the attributes as text.
type Span struct {
	Trace, ID, Parent string // hexadecimal
	Links             []string
	Name              string
	Kind              trace.Span_SpanKind
	Failed            bool
	Attributes        map[string]string
	Service           string
}

// Collector keeps what came. It is safe for concurrent use.
type Collector struct {
	collector.UnimplementedTraceServiceServer
	mu      sync.Mutex
	spans   []Span
	text    strings.Builder
	headers []string // of the calls: values of Authorization
}

// HTTP starts a collector that speaks OTLP over HTTP, and returns its URL.
func HTTP(tb testing.TB) (c *Collector, url string) {
	tb.Helper()
	c = &Collector{}
	server := httptest.NewServer(c)
	tb.Cleanup(server.Close)
	return c, server.URL
}

// HTTPS is HTTP over TLS.
func HTTPS(tb testing.TB, cert tls.Certificate) (c *Collector, url string) {
	tb.Helper()
	c = &Collector{}
	server := httptest.NewUnstartedServer(c)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that are refused
	server.StartTLS()
	tb.Cleanup(server.Close)
	return c, server.URL
}

// GRPC starts a collector that speaks OTLP over gRPC, and returns its URL.
func GRPC(tb testing.TB) (c *Collector, url string) {
	tb.Helper()
	c, address := serveGRPC(tb)
	return c, "http://" + address
}

// GRPCS is GRPC over TLS.
func GRPCS(tb testing.TB, cert tls.Certificate) (c *Collector, url string) {
	tb.Helper()
	c, address := serveGRPC(tb, grpc.Creds(credentials.NewServerTLSFromCert(&cert)))
	return c, "https://" + address
}

func serveGRPC(tb testing.TB, options ...grpc.ServerOption) (c *Collector, address string) {
	tb.Helper()
	c = &Collector{}
	ln, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	server := grpc.NewServer(options...)
	collector.RegisterTraceServiceServer(server, c)
	go server.Serve(ln) //nolint:errcheck // it ends with Stop
	tb.Cleanup(server.Stop)
	return c, ln.Addr().String()
}

// ServeHTTP implements http.Handler.
func (c *Collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 16<<20))
	var request collector.ExportTraceServiceRequest
	if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &request) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	c.headers = append(c.headers, r.Header.Get("Authorization"))
	c.mu.Unlock()
	c.keep(&request)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// Export implements the service of OTLP over gRPC.
func (c *Collector) Export(ctx context.Context, request *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	c.mu.Lock()
	c.headers = append(c.headers, strings.Join(md.Get("authorization"), ", "))
	c.mu.Unlock()
	c.keep(request)
	return &collector.ExportTraceServiceResponse{}, nil
}

func (c *Collector) keep(request *collector.ExportTraceServiceRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	text, _ := protojson.Marshal(request) // it came as protobuf
	c.text.Write(text)
	c.text.WriteByte('\n')
	for _, resource := range request.GetResourceSpans() {
		service := ""
		for _, a := range resource.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				service = a.GetValue().GetStringValue()
			}
		}
		for _, scope := range resource.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				c.spans = append(c.spans, read(s, service))
			}
		}
	}
}

func read(s *trace.Span, service string) Span {
	span := Span{
		Trace: hex.EncodeToString(s.GetTraceId()), ID: hex.EncodeToString(s.GetSpanId()), Parent: hex.EncodeToString(s.GetParentSpanId()),
		Name: s.GetName(), Kind: s.GetKind(), Failed: s.GetStatus().GetCode() == trace.Status_STATUS_CODE_ERROR,
		Attributes: map[string]string{}, Service: service,
	}
	for _, l := range s.GetLinks() {
		span.Links = append(span.Links, hex.EncodeToString(l.GetTraceId()))
	}
	for _, a := range s.GetAttributes() {
		value := a.GetValue().GetStringValue()
		if value == "" {
			value = a.GetValue().String()
		}
		span.Attributes[a.GetKey()] = value
	}
	return span
}

// Spans are those that have come.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Span(nil), c.spans...)
}

// Text is all that has come, as JSON.
func (c *Collector) Text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}

// Authorizations are what calls showed in that header.
func (c *Collector) Authorizations() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.headers...)
}
