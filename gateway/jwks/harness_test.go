package jwks_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/gateway/jose"
	"github.com/sallyport/sallyport/gateway/jwks"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const issuerURL = "https://op1.test"

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// keySets caches one ES256 key per id, for they take time to make.
var keySets sync.Map

func signer(kid string) *jose.Signer {
	s, ok := keySets.Load(kid)
	if !ok {
		s, _ = keySets.LoadOrStore(kid, must(jose.NewSigner("ES256", kid)))
	}
	return s.(*jose.Signer)
}

// setOf is the JWKS document of keys with these ids.
func setOf(kids ...string) string {
	signers := make([]*jose.Signer, len(kids))
	for i, kid := range kids {
		signers[i] = signer(kid)
	}
	return string(must(jose.PublicJWKS(signers...)))
}

// issuer is a provider without a network: it answers in the test's own time.
type issuer struct {
	mu      sync.Mutex
	body    string
	status  int
	header  http.Header
	err     error
	latency time.Duration
	calls   []time.Time
	headers []http.Header
	answer  func(*http.Request) (status int, body string) // instead of body and status
}

func newIssuer(kids ...string) *issuer {
	return &issuer{body: setOf(kids...), status: http.StatusOK, header: http.Header{}}
}

func (i *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	i.mu.Lock()
	i.calls = append(i.calls, time.Now())
	i.headers = append(i.headers, r.Header.Clone())
	latency := i.latency
	i.mu.Unlock()
	if latency > 0 {
		select {
		case <-time.After(latency):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.err != nil {
		return nil, i.err
	}
	status, body := i.status, i.body
	if i.answer != nil {
		status, body = i.answer(r)
	}
	if tag := i.header.Get("ETag"); tag != "" && r.Header.Get("If-None-Match") == tag {
		status, body = http.StatusNotModified, ""
	}
	return &http.Response{
		StatusCode: status, Header: i.header.Clone(), Request: r,
		Body: io.NopCloser(strings.NewReader(body)),
	}, nil
}

func (i *issuer) set(change func(*issuer)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change(i)
}

func (i *issuer) publish(kids ...string) {
	i.set(func(i *issuer) { i.body, i.status, i.err = setOf(kids...), http.StatusOK, nil })
}

func (i *issuer) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.calls)
}

// gaps are the times between the fetches so far.
func (i *issuer) gaps() []time.Duration {
	i.mu.Lock()
	defer i.mu.Unlock()
	var gaps []time.Duration
	for n := 1; n < len(i.calls); n++ {
		gaps = append(gaps, i.calls[n].Sub(i.calls[n-1]))
	}
	return gaps
}

// run starts a source for the issuer and ends it with the test. It must be
// called in a bubble.
func (i *issuer) run(t *testing.T, change func(*jwks.Options)) *jwks.Source {
	t.Helper()
	o := jwks.Options{Issuer: issuerURL, JWKSURL: issuerURL + "/jwks.json", Client: &http.Client{Transport: i, Timeout: 5 * time.Second}}
	if change != nil {
		change(&o)
	}
	s := jwks.New(o)
	start(t, s)
	return s
}

func start(t *testing.T, s *jwks.Source) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

// started is a source whose first fetch is over.
func (i *issuer) started(t *testing.T, change func(*jwks.Options)) *jwks.Source {
	t.Helper()
	s := i.run(t, change)
	synctest.Wait()
	return s
}

// pass lets fake time pass.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// want checks what Key says: "key", "unknown" or "unavailable".
func want(t *testing.T, s *jwks.Source, kid, answer string) {
	t.Helper()
	if got := ask(t.Context(), s, kid); got != answer {
		t.Errorf("key %s: got %s, want %s", kid, got, answer)
	}
}

func ask(ctx context.Context, s *jwks.Source, kid string) string {
	k, err := s.Key(ctx, kid, "ES256")
	switch {
	case err == nil && k != nil && k.ID == kid:
		return "key"
	case k != nil:
		return fmt.Sprintf("a key %q beside %v", k.ID, err)
	}
	return answerOf(err)
}

// recorder keeps what OnFetch hears.
type recorder struct {
	mu      sync.Mutex
	results []string
}

func (r *recorder) add(result string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.results = append(r.results, result)
}

// want checks that there were enough results: one of the first kind, then only
// of the other.
func (r *recorder) want(t *testing.T, least int, first, others string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	ok := len(r.results) >= least && r.results[0] == first
	if !ok || slices.ContainsFunc(r.results[1:], func(s string) bool { return s != others }) {
		t.Errorf("results %q, want %s, then %s", r.results, first, others)
	}
}
