// Package tracing makes OpenTelemetry spans of requests and of the calls that they
// cause, and sends them by OTLP. It is the only package that knows OpenTelemetry. A
// span holds names of the configuration and words of closed lists: never a URL, a
// header, a token, or who somebody is.
package tracing

import (
	"context"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/sallyport/sallyport/gateway/telemetry"
)

// A Tracer makes spans. It is safe for concurrent use. A nil Tracer is off: its
// methods do nothing and allocate nothing.
type Tracer struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	wire     propagation.TraceContext // W3C Trace Context
}

const scope = "github.com/sallyport/sallyport"

// Begin opens the span of a request that has arrived, and returns the request with it.
// Who calls it must End it. trusted says that the peer's own trace is continued, with
// its decision to keep it or not; anybody else's would let him choose what is kept, so
// his is only linked to, and his baggage goes nowhere.
func (t *Tracer) Begin(r *http.Request, trusted bool, e *telemetry.Event) *http.Request {
	if t == nil {
		return r
	}
	ctx, carrier := r.Context(), propagation.HeaderCarrier(r.Header)
	theirs := trace.SpanContextFromContext(t.wire.Extract(context.Background(), carrier))
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(e.Start)}
	switch {
	case trusted:
		ctx = trace.ContextWithRemoteSpanContext(ctx, theirs)
	case theirs.IsValid():
		options = append(options, trace.WithNewRoot(), trace.WithLinks(trace.Link{SpanContext: theirs}))
	}
	if !trusted {
		for _, name := range []string{"Traceparent", "Tracestate", "Baggage"} {
			delete(r.Header, name)
		}
	}
	ctx, span := t.tracer.Start(ctx, "request", options...)
	if span.SpanContext().IsSampled() {
		e.TraceID = span.SpanContext().TraceID().String()
	}
	return r.WithContext(ctx)
}

// End closes the span of a request with what became of it.
func (t *Tracer) End(r *http.Request, e *telemetry.Event) {
	if t == nil {
		return
	}
	span := trace.SpanFromContext(r.Context())
	if span.IsRecording() {
		span.SetName(method(e.Method) + " " + e.Route)
		words(span, map[string]string{
			"http.request.method": method(e.Method), "sallyport.route": e.Route, "sallyport.outcome": e.Outcome, "sallyport.reason": e.Reason,
			"sallyport.rule": e.Rule, "sallyport.credential": e.Credential, "sallyport.dialect": e.Dialect, "sallyport.request_id": e.RequestID,
		})
		span.SetAttributes(attribute.Int("http.response.status_code", e.Status))
		if e.Status >= http.StatusInternalServerError || e.Panic != nil {
			span.SetStatus(codes.Error, "")
		}
		if e.DecideTime > 0 {
			_, decide := t.tracer.Start(r.Context(), "decide", trace.WithTimestamp(e.DecideStart), trace.WithSpanKind(trace.SpanKindInternal))
			decide.End(trace.WithTimestamp(e.DecideStart.Add(e.DecideTime)))
		}
	}
	span.End(trace.WithTimestamp(e.Start.Add(e.Took)))
}

// Upstream opens the span of a request to an application, tells the application of it,
// and returns what closes it when its answer begins.
func (t *Tracer) Upstream(r *http.Request, route string) (answered func(status int)) {
	if t == nil {
		return func(int) {}
	}
	ctx, span := t.tracer.Start(r.Context(), "upstream", trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("sallyport.route", route), attribute.String("http.request.method", method(r.Method))))
	t.wire.Inject(ctx, propagation.HeaderCarrier(r.Header))
	return func(status int) { finish(span, status) }
}

// finish closes the span of a call; a status of 0 is no answer.
func finish(span trace.Span, status int) {
	if status > 0 {
		span.SetAttributes(attribute.Int("http.response.status_code", status))
	}
	if status == 0 || status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

// Store records a call to the session store that is over, where it was made for a
// request that is traced. class is telemetry.StoreAnswered, or why there was no answer.
func (t *Tracer) Store(ctx context.Context, operation, class string, took time.Duration) {
	if t == nil || !trace.SpanFromContext(ctx).IsRecording() {
		return
	}
	end := time.Now()
	_, span := t.tracer.Start(ctx, "store "+operation, trace.WithTimestamp(end.Add(-took)), trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("db.system.name", "valkey"), attribute.String("sallyport.class", class)))
	if class != telemetry.StoreAnswered {
		span.SetStatus(codes.Error, "")
	}
	span.End(trace.WithTimestamp(end))
}

// Transport returns next with a span for each call to a provider or token issuer, which
// is told of it. provider is its configured name.
func (t *Tracer) Transport(provider string, next http.RoundTripper) http.RoundTripper {
	if t == nil {
		return next
	}
	return &transport{tracer: t, provider: provider, next: next}
}

type transport struct {
	tracer   *Tracer
	provider string
	next     http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (c *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	operation := telemetry.OperationOf(r.Context())
	ctx, span := c.tracer.tracer.Start(r.Context(), "provider "+operation, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("sallyport.provider", c.provider), attribute.String("sallyport.operation", operation)))
	r = r.Clone(ctx)
	parent := propagation.MapCarrier{}
	c.tracer.wire.Inject(ctx, parent)
	r.Header.Set("Traceparent", parent.Get("traceparent")) // and no tracestate, which is none of its business
	res, err := c.next.RoundTrip(r)
	status := 0
	if err == nil {
		status = res.StatusCode
	}
	finish(span, status)
	return res, err
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach the transport.
func (c *transport) CloseIdleConnections() {
	if next, ok := c.next.(interface{ CloseIdleConnections() }); ok {
		next.CloseIdleConnections()
	}
}

// words sets those attributes that are not empty.
func words(span trace.Span, all map[string]string) {
	for key, value := range all {
		if value != "" {
			span.SetAttributes(attribute.String(key, value))
		}
	}
}

// method is a method of the standard, or _OTHER, as the semantic conventions want it.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions, http.MethodConnect, http.MethodTrace:
		return m
	}
	return "_OTHER"
}
