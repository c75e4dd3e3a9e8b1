package tracing

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/zap"
	"google.golang.org/grpc/credentials"

	"github.com/sallyport/sallyport/gateway/config"
)

// Options say where spans go.
type Options struct {
	Tracing config.Tracing
	Headers config.Secret // the content of Tracing.HeadersFile
	CAFile  string        // where that of Tracing lies
	Version string
	Log     *zap.Logger
}

// Wanted reports whether spans are to be sent: the configuration names a collector, or
// the standard environment does (OTEL_EXPORTER_OTLP_ENDPOINT, unless OTEL_SDK_DISABLED).
func Wanted(cfg config.Tracing) bool {
	if os.Getenv("OTEL_SDK_DISABLED") == "true" {
		return false
	}
	return cfg.Endpoint != "" || os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
}

// New makes a Tracer that sends in the background. It needs no collector that answers:
// spans that wait are bounded, and dropped beyond that. Close ends it.
func New(o Options) (*Tracer, error) {
	ctx := context.Background()
	headers, err := config.ParseHeaderLines(o.Headers)
	if err != nil {
		return nil, err
	}
	client, err := newClient(o, headers)
	if err != nil {
		return nil, err
	}
	exporter, err := otlptrace.New(ctx, client)
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	about, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "sallyport"), attribute.String("service.version", o.Version)),
		resource.WithFromEnv()) // OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES outrank ours
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	sampler := sdktrace.NeverSample()
	if n := o.Tracing.SampleOneIn; n > 0 {
		sampler = sdktrace.TraceIDRatioBased(1 / float64(n))
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(&quiet{SpanExporter: exporter, log: o.Log}),
		sdktrace.WithResource(about),
		sdktrace.WithSampler(sdktrace.ParentBased(sampler)),
	)
	return &Tracer{provider: provider, tracer: provider.Tracer(scope)}, nil
}

func newClient(o Options, headers map[string]string) (otlptrace.Client, error) {
	var secure *tls.Config
	if o.Tracing.CAFile != "" {
		text, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, err
		}
		secure = &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
		if !secure.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("CA file %s: no certificate in it", o.CAFile)
		}
	}
	if o.Tracing.Protocol == "grpc" {
		var options []otlptracegrpc.Option
		if o.Tracing.Endpoint != "" {
			options = append(options, otlptracegrpc.WithEndpointURL(o.Tracing.Endpoint))
		}
		if len(headers) > 0 {
			options = append(options, otlptracegrpc.WithHeaders(headers))
		}
		if secure != nil {
			options = append(options, otlptracegrpc.WithTLSCredentials(credentials.NewTLS(secure)))
		}
		return otlptracegrpc.NewClient(options...), nil
	}
	var options []otlptracehttp.Option
	if o.Tracing.Endpoint != "" {
		u, err := url.Parse(o.Tracing.Endpoint)
		if err != nil {
			return nil, errors.New("tracing.endpoint is no URL")
		}
		if u.Path == "" || u.Path == "/" {
			u.Path = "/v1/traces"
		}
		options = append(options, otlptracehttp.WithEndpointURL(u.String()))
	}
	if len(headers) > 0 {
		options = append(options, otlptracehttp.WithHeaders(headers))
	}
	if secure != nil {
		options = append(options, otlptracehttp.WithTLSClientConfig(secure))
	}
	return otlptracehttp.NewClient(options...), nil
}

// closeTimeout bounds how long the end waits for a collector.
const closeTimeout = 2 * time.Second

// Close sends what waits, as far as the collector takes it. A nil Tracer has nothing.
func (t *Tracer) Close() error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("tracing: %w", err)
	}
	return nil
}

// quiet tells the log of a collector that takes nothing, once a minute: OpenTelemetry
// would write to the standard error.
type quiet struct {
	sdktrace.SpanExporter
	log *zap.Logger

	mu   sync.Mutex
	told time.Time
}

// ExportSpans implements sdktrace.SpanExporter.
func (q *quiet) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := q.SpanExporter.ExportSpans(ctx, spans)
	q.mu.Lock()
	defer q.mu.Unlock()
	if err == nil || time.Since(q.told) < time.Minute {
		return nil
	}
	q.told = time.Now()
	q.log.Warn("spans are lost: the collector takes none", zap.Int("spans", len(spans)), zap.Error(err))
	return nil
}
