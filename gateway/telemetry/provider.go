package telemetry

import (
	"context"
	"net/http"
	"time"
)

// Operations are what the gateway asks identity providers and token issuers for.
const (
	OperationDiscovery     = "discovery"
	OperationKeys          = "jwks"
	OperationToken         = "token"
	OperationRevocation    = "revocation"
	OperationPushed        = "pushed_authorization"
	OperationUserinfo      = "userinfo"
	OperationIntrospection = "introspection"
)

type operationKey struct{}

// WithOperation says what calls under the returned context ask for. operation is one
// of the words above.
func WithOperation(ctx context.Context, operation string) context.Context {
	return context.WithValue(ctx, operationKey{}, operation)
}

// OperationOf returns what calls under ctx ask for; "other" where nobody says so.
func OperationOf(ctx context.Context) string {
	if operation, ok := ctx.Value(operationKey{}).(string); ok {
		return operation
	}
	return "other"
}

// Provider returns next with its calls counted and timed. provider is the configured
// name of a provider, or an issuer.
func (m *Metrics) Provider(provider string, next http.RoundTripper) http.RoundTripper {
	return &providerCalls{metrics: m, provider: provider, next: next}
}

// ProviderCall counts one call. operation and result are words of closed sets.
func (m *Metrics) ProviderCall(provider, operation, result string, took time.Duration) {
	m.providerSeconds.WithLabelValues(provider, operation).Observe(took.Seconds())
	m.providerCalls.WithLabelValues(provider, operation, result).Inc()
}

type providerCalls struct {
	metrics  *Metrics
	provider string
	next     http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (c *providerCalls) RoundTrip(r *http.Request) (*http.Response, error) {
	start := time.Now()
	res, err := c.next.RoundTrip(r)
	c.metrics.ProviderCall(c.provider, OperationOf(r.Context()), callResult(res, err), time.Since(start))
	return res, err
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach the transport.
func (c *providerCalls) CloseIdleConnections() {
	if next, ok := c.next.(interface{ CloseIdleConnections() }); ok {
		next.CloseIdleConnections()
	}
}

// callResult is the class of an answer.
func callResult(res *http.Response, err error) string {
	switch {
	case err != nil:
		return "no_answer"
	case res.StatusCode >= 500:
		return "5xx"
	case res.StatusCode >= 400:
		return "4xx"
	case res.StatusCode >= 300:
		return "3xx"
	default:
		return "2xx"
	}
}
