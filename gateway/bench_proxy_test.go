package gateway_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/jose"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// BenchmarkProxy compares the whole gateway, with session, policy, headers, the
// log line and metrics, with the ReverseProxy that everybody starts from. Both
// are asked by the same keep-alive clients for the same 1 KiB, over loopback;
// client and application are in the measure, so the difference counts and not
// the ratio.
func BenchmarkProxy(b *testing.B) {
	body := strings.Repeat("x", 1<<10)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = []string{"text/plain"}
		_, _ = io.WriteString(w, body)
	}))
	b.Cleanup(app.Close)

	bare := httptest.NewServer(bareProxy(b, app.URL))
	b.Cleanup(bare.Close)
	g := newBenchGateway(b, app.URL)
	sallyport := httptest.NewServer(g.handler)
	b.Cleanup(sallyport.Close)

	cookie := "theme=dark; " + g.cookie
	b.Run("bare", func(b *testing.B) { askInParallel(b, bare.URL, "Cookie", cookie) })
	b.Run("session", func(b *testing.B) { askInParallel(b, sallyport.URL, "Cookie", cookie) })
	b.Run("token", func(b *testing.B) { askInParallel(b, sallyport.URL+"/api", "Authorization", "Bearer "+g.token) })
}

func askInParallel(b *testing.B, base, name, value string) {
	b.Helper()
	b.ReportAllocs()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}}
	defer client.CloseIdleConnections()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, base+"/projects/42/issues?page=2", nil)
			if err != nil {
				b.Error(err)
				return
			}
			req.Host = "localhost:8080"
			req.Header[name] = []string{value}
			res, err := client.Do(req)
			if err != nil {
				b.Error(err)
				return
			}
			if n, err := io.Copy(io.Discard, res.Body); err != nil || n != 1<<10 || res.StatusCode != http.StatusOK {
				b.Errorf("%d with %d bytes: %v", res.StatusCode, n, err)
			}
			_ = res.Body.Close()
		}
	})
}

// bareProxy is the tuned baseline: one large idle pool, pooled buffers, no
// compression, and nothing else.
func bareProxy(tb testing.TB, upstream string) http.Handler {
	tb.Helper()
	u, err := url.Parse(upstream)
	if err != nil {
		tb.Fatal(err)
	}
	return &httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) { pr.SetURL(u) },
		Transport: &http.Transport{
			DialContext:  (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			MaxIdleConns: 4096, MaxIdleConnsPerHost: 1024, DisableCompression: true,
		},
		BufferPool: &pooledBuffers{},
	}
}

type pooledBuffers struct{ pool sync.Pool }

func (p *pooledBuffers) Get() []byte {
	if b, ok := p.pool.Get().(*[32 << 10]byte); ok {
		return b[:]
	}
	return make([]byte, 32<<10)
}

func (p *pooledBuffers) Put(b []byte) { p.pool.Put((*[32 << 10]byte)(b)) }

// benchGateway is a whole gateway with its log written to nowhere, a cookie of a
// session in it, and a token that it accepts.
type benchGateway struct {
	handler       http.Handler
	cookie, token string
}

func newBenchGateway(tb testing.TB, upstream string, sections ...string) *benchGateway {
	tb.Helper()
	signer, err := jose.NewSecretSigner("HS256", "", []byte(benchSecret))
	if err != nil {
		tb.Fatal(err)
	}
	token, err := signer.Sign("at+jwt", map[string]any{
		"iss": "https://id.example.test", "aud": "api", "sub": "alice", "exp": time.Now().Add(time.Hour).Unix(), "groups": []string{"users", "staff"},
	})
	if err != nil {
		tb.Fatal(err)
	}
	cfg, err := config.Parse("bench.yaml", []byte(`
admin: {listen: ""}
session: {embedded: {path: ""}}
login: {providers: [{name: dev, type: dev, identities: [{subject: alice, email: alice@example.test, groups: [users, staff]}]}]}
tokens: {issuers: [{issuer: "https://id.example.test", audiences: [api], secret: `+benchSecret+`}]}
policies:
  - name: five
    rules:
      - {name: contractors, deny: {groups: [contractors]}}
      - {name: suspended, deny: {claims: [{name: status, values: [suspended]}]}}
      - {name: board, allow: {emails: [dana@example.test]}}
      - {name: admins, allow: {groups: [admin]}}
      - {name: staff, allow: {groups: [staff]}}
routes:
  - {name: app, paths: [/], upstream: "`+upstream+`", policy: five}
  - {name: api, paths: [/api], upstream: "`+upstream+`", auth: [bearer], policy: five}
`+strings.Join(sections, "\n")), nil)
	if err != nil {
		tb.Fatal(err)
	}
	lines := telemetry.NewLines(io.Discard)
	log, err := telemetry.NewLogger(config.Log{Level: "info", Format: "json"}, lines)
	if err != nil {
		tb.Fatal(err)
	}
	gw, err := gateway.New(tb.Context(), cfg, log, "bench")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := errors.Join(gw.Close(), lines.Close()); err != nil {
			tb.Error(err)
		}
	})
	gateway.RunBackground(tb, gw) // without which no token is known not to be revoked
	return &benchGateway{gw.Handler(), devCookie(tb, gw), token}
}

// devCookie signs alice in.
func devCookie(tb testing.TB, gw *gateway.Gateway) string {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodPost, "/.auth/login", strings.NewReader("provider=dev&username=alice"))
	r.Host = "localhost:8080"
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	gw.Handler().ServeHTTP(w, r)
	for _, ck := range w.Result().Cookies() {
		return ck.Name + "=" + ck.Value
	}
	tb.Fatalf("sign-in: %d\n%s", w.Code, w.Body)
	return ""
}

const benchSecret = "0123456789abcdef0123456789abcdef"
