//go:build !race

package gateway_test

import (
	"bytes"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/sallyport/sallyport/gateway/guard"
)

// The race detector makes sync.Pool forget at random, so that nothing is
// counted under it.

func TestDecidingASessionAllocatesNothing(t *testing.T) {
	j := newJudge(t)
	r := j.sessionRequest(t)
	if got := testing.AllocsPerRun(1000, func() { allow(t, j.guard, r) }); got > 0 {
		t.Errorf("a decision allocates %.1f times", got)
	}
}

func TestDecidingAProvenTokenAllocatesNothing(t *testing.T) {
	j := newJudge(t)
	for _, alg := range benchAlgorithms() {
		r := j.bearerRequest(t, alg)
		if got := testing.AllocsPerRun(1000, func() { allow(t, j.guard, r) }); got > 0 {
			t.Errorf("a decision by %s allocates %.1f times", alg, got)
		}
	}
}

func TestAnAssertionThatIsReusedAllocatesNothing(t *testing.T) {
	j := newJudge(t)
	r := j.assertedRequest(t)
	if got := testing.AllocsPerRun(1000, func() { allow(t, j.guard, r) }); got > 0 {
		t.Errorf("a decision allocates %.1f times", got)
	}
}

func TestForwardingATokenThatIsOpenAllocatesNothing(t *testing.T) {
	j := newJudge(t)
	r := j.forwardedRequest(t)
	if got := testing.AllocsPerRun(1000, func() { allow(t, j.guard, r) }); got > 0 {
		t.Errorf("a decision allocates %.1f times", got)
	}
}

// TestTellingAnApplicationEverythingAllocatesNothingMore: headers of every kind, an
// assertion, the ID token and a credential of the application's own cost no more
// than the default headers do.
func TestTellingAnApplicationEverythingAllocatesNothingMore(t *testing.T) {
	j := newJudge(t)
	count := func(r *http.Request) float64 {
		out := r.Header.Clone()
		return testing.AllocsPerRun(1000, func() {
			v, err := j.guard.Decide(r)
			if err != nil || v.Outcome != guard.Allow {
				t.Fatalf("%v: %s %s", err, v.Outcome, v.Reason)
			}
			clear(out)
			v.Rewrite(out)
		})
	}
	plain, everything := count(j.sessionRequest(t)), count(j.everythingRequest(t))
	if everything > plain {
		t.Errorf("a decision allocates %.1f times, with the default headers %.1f times", everything, plain)
	}
}

// TestServingARequestAllocatesLessThanABareProxy counts whole requests, with the
// server's part of a test: what the gateway adds to ReverseProxy is less than what
// its own transport spares. Each figure is what there is now; whoever needs more says
// what for.
func TestServingARequestAllocatesLessThanABareProxy(t *testing.T) {
	app := cannedApp(t)
	g := newBenchGateway(t, app)
	count := func(h http.Handler, path, name, value string) float64 {
		return testing.AllocsPerRun(500, func() {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
			r.Host = "localhost:8080"
			r.Header[name] = []string{value}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != http.StatusNoContent {
				t.Fatalf("the answer is %d\n%s", w.Code, w.Body)
			}
		})
	}
	cookie := "theme=dark; " + g.cookie
	bare := count(bareProxy(t, app), "/projects/42", "Cookie", cookie)
	for name, tt := range map[string]struct {
		most  float64
		count float64
	}{
		"a session": {50, count(g.handler, "/projects/42", "Cookie", cookie)},
		"a token":   {48, count(g.handler, "/api/projects/42", "Authorization", "Bearer "+g.token)},
	} {
		t.Logf("with %s a request allocates %.0f times, through a bare proxy %.0f", name, tt.count, bare)
		if tt.count > tt.most || tt.count >= bare {
			t.Errorf("with %s a request allocates %.0f times, through a bare proxy %.0f, want at most %.0f", name, tt.count, bare, tt.most)
		}
	}
}

// TestACheckAllocatesLittle counts what the gateway does for a check, without the
// server's part. Each figure is what there is now; whoever needs more says what for.
func TestACheckAllocatesLittle(t *testing.T) {
	g := askedGateway(t)
	for _, dialect := range []string{"nginx", "traefik"} {
		r := checkOf(t, "http://localhost:8080", dialect, g.cookie)
		r.RequestURI, r.RemoteAddr = r.URL.RequestURI(), "127.0.0.1:4711"
		sent, w := r.Header.Clone(), &blindWriter{header: make(http.Header, 32)}
		got := testing.AllocsPerRun(500, func() {
			clear(r.Header)
			maps.Copy(r.Header, sent)
			clear(w.header)
			g.handler.ServeHTTP(w, r)
			if w.status != http.StatusOK {
				t.Fatalf("the answer is %d", w.status)
			}
		})
		if got > 10 { // 9, and now and then one that a pool has lost to the collector
			t.Errorf("a check of %s allocates %.0f times", dialect, got)
		}
	}
}

// blindWriter keeps nothing but the header and the status.
type blindWriter struct {
	header http.Header
	status int
}

func (w *blindWriter) Header() http.Header         { return w.header }
func (w *blindWriter) Write(b []byte) (int, error) { return len(b), nil }
func (w *blindWriter) WriteHeader(status int)      { w.status = status }

// cannedApp is an application that allocates nothing: it answers every request
// head with the same bytes, so that all that is counted is the proxy's.
func cannedApp(tb testing.TB) string {
	tb.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Close() })
	answer := []byte("HTTP/1.1 204 No Content\r\n\r\n")
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf, n := make([]byte, 16<<10), 0
				for {
					got, err := c.Read(buf[n:])
					if err != nil {
						return
					}
					if n += got; !bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) {
						continue
					}
					n = 0
					if _, err := c.Write(answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}
