package gateway_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	trace "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/sallyport/sallyport/gateway/login/oidctest"
	"github.com/sallyport/sallyport/gateway/tracing/otlptest"
)

// TestTracesTellOfEveryCallToAProvider: a sign-in and a token lead to calls, which are
// spans of the request that waits for them, or of a trace of their own where none does;
// and nothing of what is sent is in them.
func TestTracesTellOfEveryCallToAProvider(t *testing.T) {
	t.Parallel()
	collector, url := otlptest.HTTP(t)
	op := oidctest.New(t)
	const opaque = "planted-opaque-token"
	var told atomic.Value
	introspection := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		told.Store(r.Header.Get("Traceparent"))
		fmt.Fprint(w, `{"active":true,"sub":"opaque-user","groups":["users"],"exp":32503680000}`)
	}))
	t.Cleanup(introspection.Close)
	s := newSite(t, plan{
		providers: fmt.Sprintf("- {name: corp, type: oidc, issuer: %q, client_id: %s, client_secret: %s}", op.Issuer, oidctest.ClientID, oidctest.ClientSecret),
		issuers:   fmt.Sprintf("- {issuer: %q, audiences: [api]}", op.Issuer),
		tokens:    fmt.Sprintf("introspection: [{name: opaque, endpoint: %q, client_id: gateway, client_secret: planted-introspection-secret}]", introspection.URL),
		routes:    `- {name: opaque, paths: [/opaque/], upstream: "$UP", auth: [introspection], policy: users}`,
		top:       "tracing: {endpoint: '" + url + "', sample_one_in: 1}",
	})
	cookie := s.atProvider(t)
	s.passed(t, s.as(t, "", "/opaque/", "Authorization: Bearer "+opaque))
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}

	spans := collector.Spans()
	byID := map[string]otlptest.Span{}
	for _, span := range spans {
		byID[span.ID] = span
	}
	for name, want := range map[string]struct{ provider, parent string }{
		"provider discovery":     {"corp", ""},
		"provider jwks":          {op.Issuer, ""},
		"provider token":         {"corp", "GET"},
		"provider userinfo":      {"corp", "GET"},
		"provider introspection": {"opaque", "GET opaque"},
	} {
		span := named(t, spans, name)
		parent, has := byID[span.Parent]
		if span.Kind != trace.Span_SPAN_KIND_CLIENT || span.Attributes["http.response.status_code"] != "int_value:200" || span.Failed {
			t.Errorf("%s: %+v", name, span)
		}
		if want.parent != "" && (!has || parent.Trace != span.Trace || parent.Kind != trace.Span_SPAN_KIND_SERVER || !strings.HasPrefix(parent.Name, want.parent)) {
			t.Errorf("%s belongs to %+v, want %s", name, parent, want.parent)
		}
		if provider := span.Attributes["sallyport.provider"]; provider != want.provider && (want.parent != "" || provider != "corp") {
			t.Errorf("%s is of %q", name, provider)
		}
	}
	call := named(t, spans, "provider introspection")
	if told.Load() != "00-"+call.Trace+"-"+call.ID+"-01" {
		t.Errorf("the server was told of %v", told.Load())
	}
	_, session, _ := strings.Cut(cookie, "=")
	secrets := []string{session, oidctest.ClientSecret, "planted", "opaque-user", "alice", "state=", "code="}
	for _, form := range append(op.Exchanges(), op.Authorizations()...) {
		for _, field := range []string{"code", "state", "nonce", "code_verifier", "code_challenge"} {
			if v := form.Get(field); v != "" {
				secrets = append(secrets, v)
			}
		}
	}
	if len(secrets) < 11 {
		t.Fatalf("only %d secrets are looked for", len(secrets))
	}
	for _, secret := range secrets {
		if strings.Contains(collector.Text(), secret) {
			t.Errorf("%q is in the spans", secret)
		}
	}
}
