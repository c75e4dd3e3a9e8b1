package jwks_test

import (
	"bytes"
	"compress/gzip"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/jwks"
)

// serve starts a provider on loopback, over real sockets.
func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv
}

func newClient(t *testing.T, caFile string) *http.Client {
	t.Helper()
	c, err := jwks.NewClient(caFile)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// eventually polls until ok or the deadline.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatal("not in time: ", what)
		case <-tick.C:
		}
	}
}

// live runs a source against a server and waits for its first fetch.
func live(t *testing.T, change func(*jwks.Options)) *jwks.Source {
	t.Helper()
	var fetched atomic.Int64
	o := jwks.Options{Issuer: issuerURL, Client: newClient(t, ""), OnFetch: func(string) { fetched.Add(1) }}
	change(&o)
	s := jwks.New(o)
	start(t, s)
	eventually(t, "the first fetch", func() bool { return fetched.Load() > 0 && (s.Ready() || s.Status().LastError != "") })
	return s
}

func TestRedirectsStayAtTheirOrigin(t *testing.T) {
	var elsewhere atomic.Int64
	other := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		elsewhere.Add(1)
		_, _ = io.WriteString(w, setOf("a"))
	})
	var target string
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/jwks":
			w.Header().Set("Location", target)
			w.WriteHeader(http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		default:
			_, _ = io.WriteString(w, setOf("a"))
		}
	})
	for name, tt := range map[string]struct{ to, class string }{
		"same origin":           {"/moved", ""},
		"another port":          {other.URL + "/jwks.json", "redirect"},
		"another name":          {strings.Replace(srv.URL, "127.0.0.1", "localhost", 1) + "/moved", "redirect"},
		"another scheme":        {strings.Replace(srv.URL, "http:", "https:", 1) + "/moved", "redirect"},
		"the cloud's metadata":  {"http://169.254.169.254/latest/meta-data/", "redirect"},
		"a file":                {"file:///etc/passwd", "redirect"},
		"a user part":           {strings.Replace(other.URL, "http://", "http://"+srv.Listener.Addr().String()+"@", 1), "redirect"},
		"without end":           {"/loop", "redirect"},
		"scheme-relative":       {"//" + other.Listener.Addr().String() + "/", "redirect"},
		"not a URL":             {"http://[", "connect"},
		"no Location after all": {"", "status"},
	} {
		t.Run(name, func(t *testing.T) {
			target = tt.to
			s := live(t, func(o *jwks.Options) { o.JWKSURL = srv.URL + "/jwks" })
			if got := s.Status().LastError; got != tt.class {
				t.Errorf("got %q, want %q", got, tt.class)
			}
		})
	}
	if n := elsewhere.Load(); n != 0 {
		t.Errorf("the other host was asked %d times", n)
	}
}

// CVE-2026-50285, CVE-2026-26998: an answer must not be as large as it likes.
func TestOversizedAnswers(t *testing.T) {
	block := strings.Repeat(" ", 64<<10)
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	for range 320 {
		_, _ = io.WriteString(z, block)
	}
	_ = z.Close()
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		class  string
	}{
		"endless": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, block); err != nil {
					return
				}
			}
		}, "too_large"},
		"100 MB announced": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "104857600")
			for range 1600 {
				if _, err := io.WriteString(w, block); err != nil {
					return
				}
			}
		}, "too_large"},
		"gzip of 1:1000": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb.Bytes())
		}, "too_large"},
		"header of 10 MB": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Large", strings.Repeat("x", 10<<20))
			_, _ = io.WriteString(w, setOf("a"))
		}, "connect"},
		"cut off in the middle": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "5000")
			_, _ = io.WriteString(w, setOf("a"))
		}, "connect"},
	} {
		t.Run(name, func(t *testing.T) {
			var bad atomic.Bool
			srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if bad.Load() {
					tt.answer(w, r)
					return
				}
				_, _ = io.WriteString(w, setOf("a"))
			})
			s := live(t, func(o *jwks.Options) {
				o.JWKSURL, o.MinRefresh, o.MaxRefresh = srv.URL, 10*time.Millisecond, 10*time.Millisecond
			})
			want(t, s, "a", "key")
			runtime.GC()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			bad.Store(true)
			eventually(t, "a refused answer", func() bool { return s.Status().LastError == tt.class })
			want(t, s, "a", "key")
			runtime.GC()
			runtime.ReadMemStats(&after)
			if after.HeapAlloc > before.HeapAlloc+32<<20 {
				t.Errorf("%d MiB stay in use", (after.HeapAlloc-before.HeapAlloc)>>20)
			}
		})
	}
}

func TestTLSTrust(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, setOf("a")) }))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	s := live(t, func(o *jwks.Options) { o.JWKSURL = srv.URL })
	if got := s.Status().LastError; got != "tls" {
		t.Errorf("a certificate that nobody vouches for: got %q", got)
	}

	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	s = live(t, func(o *jwks.Options) { o.JWKSURL, o.Client = srv.URL, newClient(t, ca) })
	want(t, s, "a", "key")

	empty := filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(empty, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{empty, filepath.Join(dir, "absent.pem")} {
		if c, err := jwks.NewClient(file); err == nil || c != nil {
			t.Errorf("%s: got %v, %v", file, c, err)
		}
	}
}

func TestDiscoveryOverLoopback(t *testing.T) {
	var srv *httptest.Server
	srv = serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/jwks" {
			_, _ = io.WriteString(w, setOf("a"))
			return
		}
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, srv.URL, srv.URL+"/jwks")
	})
	s := live(t, func(o *jwks.Options) { o.Issuer = srv.URL })
	want(t, s, "a", "key")
}
