package assertion_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/assertion"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/jose"
)

const issuer = "https://app.example.test/.auth"

// memory is a store that several rings share, and that can fail.
type memory struct {
	mu      sync.Mutex
	plain   []byte
	version uint64
	down    error
	saves   int
}

func (m *memory) Load(context.Context) ([]byte, uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.down != nil:
		return nil, 0, m.down
	case m.version == 0:
		return nil, 0, assertion.ErrAbsent
	}
	return bytes.Clone(m.plain), m.version, nil
}

func (m *memory) Save(_ context.Context, plain []byte, version uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.down != nil:
		return m.down
	case version != m.version:
		return assertion.ErrConflict
	}
	m.plain, m.version = bytes.Clone(plain), version+1
	m.saves++
	return nil
}

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = err
}

// lose forgets the ring, as a store that was emptied does.
func (m *memory) lose() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.plain, m.version = nil, 0
}

var errDown = errors.New("store: connection refused")

func stored(t testing.TB, m *memory, algorithm string) *assertion.Ring {
	t.Helper()
	r := assertion.NewStored(assertion.StoredOptions{Store: m, Algorithm: algorithm, Longest: time.Minute})
	if err := r.Refresh(t.Context()); err != nil && m.down == nil {
		t.Fatal(err)
	}
	return r
}

// kids are the published ids, and the one that signs.
func kids(t testing.TB, r *assertion.Ring) (published []string, signing string) {
	t.Helper()
	body, _, err := r.JWKS()
	if err != nil {
		t.Fatal(err)
	}
	var set struct {
		Keys []struct{ Kid, Alg, D string }
	}
	if err := json.Unmarshal(body, &set); err != nil {
		t.Fatal(err)
	}
	for _, k := range set.Keys {
		if k.D != "" || k.Alg == "" {
			t.Errorf("key %+v", k)
		}
		published = append(published, k.Kid)
	}
	token, err := jose.Parse(mint(t, r, someone(1)))
	if err != nil {
		t.Fatal(err)
	}
	return published, token.Header.KeyID
}

// mint makes an assertion afresh.
func mint(t testing.TB, r *assertion.Ring, id *identity.Identity) string {
	t.Helper()
	raw, err := minter(r).Mint(id, "app", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func minter(r *assertion.Ring) *assertion.Minter {
	return assertion.New(assertion.Options{Ring: r, Issuer: issuer, Lifetime: time.Minute})
}

// verify proves a token with the ring's published keys, as an application does,
// and returns its claims.
func verify(t testing.TB, r *assertion.Ring, raw string) map[string]any {
	t.Helper()
	token, err := jose.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	k, ok, err := r.Find(token.Header.KeyID, token.Header.Algorithm)
	if err != nil || !ok {
		t.Fatalf("the key of the token is not published: %v", err)
	}
	claims, err := token.Verify(k)
	if err != nil {
		t.Fatal(err)
	}
	return claims.Raw
}

func someone(n byte) *identity.Identity {
	return &identity.Identity{
		Issuer: "https://id.example.test", Subject: "alice", Email: "alice@example.test", EmailVerified: true,
		Name: "Alice", PreferredUsername: "al", Groups: []string{"staff", "admin"}, AMR: []string{"pwd", "otp"}, ACR: "2",
		AuthTime: time.Now().Add(-time.Hour), ExpiresAt: time.Now().Add(time.Hour), Ref: identity.Ref{n, 1},
	}
}

// pass lets time go by in a synctest bubble.
func pass(d time.Duration) { time.Sleep(d) } //nolint:forbidigo // the bubble's clock is virtual
