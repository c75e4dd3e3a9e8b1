package authn_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/jose"
	"github.com/sallyport/sallyport/gateway/jwks"
	"github.com/sallyport/sallyport/gateway/session"
)

const issuerName = "https://id.example.test"

// countedKeys is a key source that counts how often it is asked for a key:
// once for each proof.
type countedKeys struct {
	set        *jose.KeySet
	generation atomic.Uint64
	asked      atomic.Int64
	down       atomic.Bool
}

func (k *countedKeys) Key(_ context.Context, kid, alg string) (*jose.Key, error) {
	k.asked.Add(1)
	if k.down.Load() {
		return nil, jwks.ErrUnavailable
	}
	if found, ok := k.set.Find(kid, alg); ok {
		return found, nil
	}
	return nil, jwks.ErrUnknownKey
}

func (k *countedKeys) Generation() uint64 { return k.generation.Load() }

// op is an issuer with one key.
type op struct {
	signer *jose.Signer
	keys   *countedKeys
}

func newOP(tb testing.TB) *op {
	tb.Helper()
	signer, err := jose.NewSigner("ES256", "k1")
	if err != nil {
		tb.Fatal(err)
	}
	published, err := signer.PublicJWKS()
	if err != nil {
		tb.Fatal(err)
	}
	set, _, err := jose.ParseKeySet(published)
	if err != nil {
		tb.Fatal(err)
	}
	o := &op{signer: signer, keys: &countedKeys{set: set}}
	o.keys.generation.Store(1)
	return o
}

func mapping() config.ClaimMapping {
	return config.ClaimMapping{
		SubjectClaim: "sub", EmailClaim: "email", NameClaim: "name", UsernameClaim: "preferred_username", GroupsClaim: "groups",
	}
}

func (o *op) issuer() authn.Issuer {
	return authn.Issuer{Keys: o.keys, Mapping: mapping(), Rules: jose.Rules{
		Issuer: issuerName, Audiences: []string{"api", "other"}, Algorithms: []string{"ES256"},
	}}
}

// token signs claims over those of a good token of alice; nil takes one away.
func (o *op) token(tb testing.TB, over map[string]any) string {
	tb.Helper()
	now := time.Now()
	claims := map[string]any{
		"iss": issuerName, "sub": "alice", "aud": "api", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "jti": "t1",
	}
	maps.Copy(claims, over)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	raw, err := o.signer.Sign("at+jwt", claims)
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// present sends a token as a client does.
func present(tb testing.TB, a authn.Authenticator, r *http.Request) (*identity.Identity, error) {
	tb.Helper()
	cred, err := a.Extract(r)
	if err != nil {
		return nil, err
	}
	id, err := a.Authenticate(r.Context(), cred)
	if err != nil && id != nil {
		tb.Error("an identity came with an error")
	}
	return id, err
}

func bearing(tb testing.TB, token string) *http.Request {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodGet, "https://app.example.test/api/items?x=1", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

// reasonOf tells an answer: "" for a yes, "outage" where there is none.
func reasonOf(err error) string {
	if err == nil {
		return ""
	}
	if no, ok := errors.AsType[*authn.Refusal](err); ok {
		return no.Reason
	}
	return "outage"
}

func wantReason(tb testing.TB, err error, want string) {
	tb.Helper()
	if got := reasonOf(err); got != want {
		tb.Errorf("the answer is %q (%v), want %q", got, err, want)
	}
}

// feeds is a feed in memory that confirms when it is told to.
type feeds struct {
	mu        sync.Mutex
	entries   []session.FeedEntry
	followers []func([]session.FeedEntry)
	confirms  []func(time.Time)
	down      bool
}

func (f *feeds) Publish(_ context.Context, _ string, e session.FeedEntry) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return errors.New("down")
	}
	f.entries = append(f.entries, e)
	for _, apply := range f.followers {
		apply([]session.FeedEntry{e})
	}
	return nil
}

func (f *feeds) Follow(ctx context.Context, _ string, apply func([]session.FeedEntry), confirmed func(time.Time)) {
	f.mu.Lock()
	apply(f.entries)
	f.followers = append(f.followers, apply)
	f.confirms = append(f.confirms, confirmed)
	if !f.down {
		confirmed(time.Now())
	}
	f.mu.Unlock()
	<-ctx.Done()
}

func (f *feeds) confirm() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, confirmed := range f.confirms {
		confirmed(time.Now())
	}
}

// records are records in memory that can be down.
type records struct {
	session.Records
	mu   sync.Mutex
	kept map[string]time.Time
	down bool
}

func (r *records) SaveRecord(_ context.Context, kind, name string, _ uint64, _ []byte, expires time.Time) (uint64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down {
		return 0, errors.New("down")
	}
	key := kind + "/" + name
	if until, ok := r.kept[key]; ok && time.Now().Before(until) {
		return 0, session.ErrConflict
	}
	if r.kept == nil {
		r.kept = map[string]time.Time{}
	}
	r.kept[key] = expires
	return 1, nil
}

func pass(d time.Duration) { time.Sleep(d) } //nolint:forbidigo // the bubble's clock is virtual
