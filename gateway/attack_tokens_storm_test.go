package gateway_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// crowd is a client for many requests at once, over connections that stay open.
func (s *site) crowd(t *testing.T, size int) *http.Client {
	t.Helper()
	transport := &http.Transport{
		MaxIdleConns: size, MaxIdleConnsPerHost: size,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", s.addr)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// TestFirstTokensOfANewKey (OpenID Connect Core 1.0 section 10.1.1): an issuer
// signs with a new key as soon as it is published.
func TestFirstTokensOfANewKey(t *testing.T) {
	t.Parallel()
	const size = 1000
	old, fresh, keys := newSigner(t, "old"), newSigner(t, "fresh"), newKeyServer(t)
	keys.publish(keySet(t, old))
	s := newKeySite(t, keys, "")
	s.becomes(t, goodToken(t, old, keysIssuer), http.StatusServiceUnavailable, http.StatusOK)
	before := keys.fetches()

	// The issuer answers once a good part of them wait.
	var sent atomic.Int64
	enough, set := make(chan struct{}), keySet(t, old, fresh)
	keys.answer(func(w http.ResponseWriter, r *http.Request) {
		<-enough
		answering(http.StatusOK, set)(w, r)
	})
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) {
		if sent.Add(1) == size/5 {
			close(enough)
		}
	}})
	token, client := goodToken(t, fresh, keysIssuer), s.crowd(t, size)
	var got sync.WaitGroup
	var good atomic.Int64
	for range size {
		got.Go(func() {
			status, err := statusBy(ctx, client, s.host, token)
			if err != nil || status != http.StatusOK {
				t.Errorf("%d %v", status, err)
				return
			}
			good.Add(1)
		})
	}
	got.Wait()
	if n := keys.fetches() - before; n != 1 || good.Load() != size {
		t.Errorf("%d fetches and %d good answers, want 1 and %d", n, good.Load(), size)
	}
	s.logsNoToken(t, token)
}

// TestStormOfUnknownKeys (CVE-2026-48524): forged tokens must not become requests
// to the issuer, nor be felt by others. How much they are felt is printed, next
// to a storm of as many good tokens.
func TestStormOfUnknownKeys(t *testing.T) {
	const size = 3_000
	key, keys := newSigner(t, "k1"), newKeyServer(t)
	keys.publish(keySet(t, key))
	s := newKeySite(t, keys, "")
	token := goodToken(t, key, keysIssuer)
	s.becomes(t, token, http.StatusServiceUnavailable, http.StatusOK)

	parts := strings.SplitN(token, ".", 2)
	for name, storm := range map[string]struct {
		token  func(n int) string
		status int
	}{
		"good tokens": {func(int) string { return token }, http.StatusOK},
		"tokens without keys": {func(n int) string {
			return segment(fmt.Sprintf(`{"alg":"ES256","kid":"forged-%d"}`, n)) + "." + parts[1]
		}, http.StatusUnauthorized},
	} {
		before, began := keys.fetches(), time.Now()
		p99 := s.storm(t, size, token, storm.token, storm.status)
		fetches, most := keys.fetches()-before, 1+int(time.Since(began)/(30*time.Second))
		if fetches > most {
			t.Errorf("%d fetches in %v", fetches, time.Since(began))
		}
		t.Logf("beside %d %s: %d fetches in %v, good tokens p99 %v", size, name, fetches, time.Since(began).Round(time.Millisecond), p99)
	}
	s.logsNoToken(t, token)
}

// storm sends size tokens, 50 at a time, and good ones beside them for as long.
// It returns the 99th percentile of the time that the good ones took.
func (s *keySite) storm(t *testing.T, size int, good string, token func(int) string, want int) time.Duration {
	t.Helper()
	client := s.crowd(t, 60)
	var next atomic.Int64
	var workers, others sync.WaitGroup
	for range 50 {
		workers.Go(func() {
			for n := next.Add(1); n <= int64(size); n = next.Add(1) {
				status, err := statusBy(t.Context(), client, s.host, token(int(n)))
				if err != nil || status != want {
					t.Errorf("storm: %d %v, want %d", status, err, want)
					return
				}
			}
		})
	}
	over := make(chan struct{})
	var mu sync.Mutex
	var times []time.Duration
	for range 4 {
		others.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				began := time.Now()
				status, err := statusBy(t.Context(), client, s.host, good)
				if err != nil || status != http.StatusOK {
					t.Errorf("a good token: %d %v", status, err)
					return
				}
				mu.Lock()
				times = append(times, time.Since(began))
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	close(over)
	others.Wait()
	if len(times) == 0 {
		t.Fatal("no good token was sent")
	}
	slices.Sort(times)
	s.upstream.take()
	return times[len(times)*99/100].Round(10 * time.Microsecond)
}
