package authn_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/jwks"
)

func TestTroubleOfTheEndpointIsAnOutageAndNeverANo(t *testing.T) {
	for name, status := range map[string]int{
		"a redirect": 307, "no client credentials": 401, "a request that it does not understand": 400, "a gateway before it": 502, "too many": 429, "no content": 204,
	} {
		t.Run(name, func(t *testing.T) {
			e := &endpoint{answer: func(*http.Request, url.Values) (int, string) { return status, `{"active":true,"sub":"alice"}` }}
			i := introspection(introspectionServer(t, entry(nil), e))
			for range 2 { // it is asked again at once: trouble is not remembered
				id, err := i.Authenticate(t.Context(), opaque("opaque"))
				if got := verdict(t, id, err); got != outage {
					t.Errorf("%s", got)
				}
			}
			if e.asked() != 2 {
				t.Errorf("asked %d times", e.asked())
			}
		})
	}
}

// TestRealEndpointThatMisbehaves goes over the network, with the client that
// the gateway uses.
func TestRealEndpointThatMisbehaves(t *testing.T) {
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		elsewhere.Add(1)
		fmt.Fprint(w, `{"active":true,"sub":"alice"}`)
	}))
	defer other.Close()
	for name, serve := range map[string]http.HandlerFunc{
		"an endless body": func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, `{"active":true,"sub":"alice","x":"`)
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, strings.Repeat("x", 1<<16)); err != nil {
					return
				}
			}
		},
		"an endless wait": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		},
		"a body that stops": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, `{"active":true,"sub":"alice"`)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
		"a body shorter than promised": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, `{"active":true,"sub":"alice"}`)
		},
		"a redirect to another server": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		},
		"a redirect to itself": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				http.Redirect(w, r, "/again", http.StatusPermanentRedirect)
				return
			}
			elsewhere.Add(1)
			fmt.Fprint(w, `{"active":true,"sub":"alice"}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(serve)
			defer server.Close()
			client, err := jwks.NewClient("")
			if err != nil {
				t.Fatal(err)
			}
			defer client.CloseIdleConnections()
			cfg := entry(func(c *config.Introspection) { c.Endpoint, c.Timeout = server.URL, 200*time.Millisecond })
			s, err := authn.NewIntrospectionServer(cfg, client, zap.NewNop())
			if err != nil {
				t.Fatal(err)
			}
			id, err := introspection(s).Authenticate(t.Context(), opaque("opaque"))
			if got := verdict(t, id, err); got != outage {
				t.Errorf("%s", got)
			}
			if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "opaque") {
				t.Errorf("the error holds a secret: %v", err)
			}
		})
	}
	if n := elsewhere.Load(); n != 0 {
		t.Errorf("the token was sent elsewhere %d times", n)
	}
}

func TestSlowServerCostsItsDeadlineAndNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: says(`{"active":true,"sub":"alice"}`), wait: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
		i := introspection(introspectionServer(t, entry(nil), e))
		start := time.Now()
		id, err := i.Authenticate(t.Context(), opaque("opaque"))
		if got := verdict(t, id, err); got != outage || time.Since(start) != 2*time.Second {
			t.Errorf("%s after %s", got, time.Since(start))
		}
	})
}

func TestRefusedClientCredentialsAreLoggedOnceAndClearly(t *testing.T) {
	status := http.StatusUnauthorized
	e := &endpoint{answer: func(*http.Request, url.Values) (int, string) { return status, `{"active":true,"sub":"a"}` }}
	core, logs := observer.New(zap.DebugLevel)
	s, err := authn.NewIntrospectionServer(entry(nil), &http.Client{Transport: e}, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	i := introspection(s)
	ask := func(token string, want string) {
		t.Helper()
		id, err := i.Authenticate(t.Context(), opaque(token))
		if got := verdict(t, id, err); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	ask("a", outage)
	ask("b", outage)
	if got := logs.FilterLevelExact(zap.ErrorLevel).Len(); got != 1 {
		t.Errorf("%d lines", got)
	}
	status = http.StatusOK
	ask("c", accepted)
	status = http.StatusUnauthorized
	ask("d", outage)
	if got := logs.FilterLevelExact(zap.ErrorLevel).Len(); got != 2 {
		t.Errorf("%d lines after it worked again", got)
	}
	for _, line := range logs.All() {
		if text := fmt.Sprint(line); strings.Contains(text, "s3cret") {
			t.Errorf("the log holds the secret: %s", text)
		}
	}
}
