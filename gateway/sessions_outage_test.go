package gateway_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// silentStore takes connections and what comes by them, and never answers.
func silentStore(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var taken []net.Conn
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			taken = append(taken, c)
			mu.Unlock()
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		accepting.Wait()
		for _, c := range taken {
			_ = c.Close()
		}
	})
	return ln.Addr().String()
}

// absentStore is an address at which nobody listens.
func absentStore(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// TestOperatorsAreToldThatTheStoreIsOutOfOrder: what is not known is not "no session".
func TestOperatorsAreToldThatTheStoreIsOutOfOrder(t *testing.T) {
	t.Parallel()
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="), 0o600); err != nil {
		t.Fatal(err)
	}
	const id = "0123456789abcdef"
	refusing, _ := talkativeStore(t, "not here: %s %s")
	for name, address := range map[string]string{"nobody is there": absentStore(t), "it never answers": silentStore(t), "it answers with errors": refusing} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, plan{
				adminToken: adminToken(t),
				session:    fmt.Sprintf("store: valkey, keys_files: [%s], valkey: {urls: ['valkey://%s']}", key, address),
			})
			const words = "The store does not answer, so it is not known which sessions there are. Try again."
			unknown := func(what string, w *httptest.ResponseRecorder, kind string) {
				t.Helper()
				if w.Code != http.StatusServiceUnavailable || !strings.HasPrefix(w.Header().Get("Content-Type"), kind) || w.Header().Get("Retry-After") == "" {
					t.Errorf("%s: %d %v\n%.400s", what, w.Code, w.Header(), w.Body)
				}
				if text := w.Body.String(); !strings.Contains(text, words) || strings.Contains(text, address) {
					t.Errorf("%s: it is not said, or too much is: %.600s", what, text)
				}
			}
			asOperator := func(r *http.Request) {
				r.Header.Set("Authorization", "Bearer operator")
				r.Header.Set("Content-Type", "application/json")
			}
			for _, query := range []string{"", "?subject=alice", "?issuer=urn:sallyport:dev&subject=alice", "?issuer=i&provider_session=x", "?older_than=1h", "?limit=1"} {
				w := s.operate(t, http.MethodGet, "/api/v1/sessions"+query, "", asOperator)
				unknown("the list"+query, w, "application/problem+json")
				var problem map[string]any
				if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil || problem["reason"] != "store_unavailable" || problem["sessions"] != nil {
					t.Errorf("the list%s: %s", query, w.Body)
				}
			}
			unknown("one is shown", s.operate(t, http.MethodGet, "/api/v1/sessions/"+id, "", asOperator), "application/problem+json")
			unknown("one is ended", s.operate(t, http.MethodDelete, "/api/v1/sessions/"+id, "", asOperator), "application/problem+json")
			for _, body := range []string{`{"issuer": "i", "subject": "alice"}`, `{"issuer": "i", "provider_session": "x"}`, `{"before": "2026-01-01T00:00:00Z"}`} {
				w := s.operate(t, http.MethodPost, "/api/v1/sessions/revoke", body, asOperator)
				unknown("revoking "+body, w, "application/problem+json")
			}
			if line := s.audited(t, "revoke_sessions"); line["outcome"] != "failed" {
				t.Errorf("audit: %v", line)
			}

			inBrowser := s.operator(t)
			page := func(r *http.Request) { inBrowser(r); r.Header.Set("Accept", "text/html") }
			for _, path := range []string{"/sessions", "/sessions?subject=alice", "/sessions/" + id, "/sessions/revoke?issuer=i&subject=alice", "/sessions/revoke?id=" + id} {
				unknown(path, s.operate(t, http.MethodGet, path, "", page), "text/html")
			}
			form := "issuer=i&subject=alice&form_token=" + formToken(t, s.operate(t, http.MethodGet, "/routes", "", page).Body.String())
			done := s.operate(t, http.MethodPost, "/sessions/revoke", form, func(r *http.Request) {
				page(r)
				r.Header.Set("Origin", "http://127.0.0.1:9080")
			})
			if done.Code != http.StatusSeeOther {
				t.Fatalf("ending them on the page: %d %s", done.Code, done.Body)
			}
			poll(t, "the page to tell how it went", func() bool {
				w := s.operate(t, http.MethodGet, done.Header().Get("Location"), "", page)
				return strings.Contains(w.Body.String(), "The store does not answer, so it is not known whether all of it was done. Try again.")
			})
		})
	}
}
