package session_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/session/embedded"
)

// bench is a Manager over a memory store, for one browser.
type bench struct {
	t       *testing.T
	manager *session.Manager
	store   *watchedStore
}

// watchedStore counts what the Manager asks, and fails on demand.
type watchedStore struct {
	session.Store
	gets    int
	touches atomic.Int64 // by the Manager's own goroutine
	fail    error
}

func (w *watchedStore) Get(ctx context.Context, key session.Key) (*session.Session, error) {
	w.gets++
	if w.fail != nil {
		return nil, w.fail
	}
	return w.Store.Get(ctx, key)
}

func (w *watchedStore) Touch(ctx context.Context, key session.Key, at time.Time) error {
	w.touches.Add(1)
	return w.Store.Touch(ctx, key, at)
}

func newRing(t testing.TB, seeds ...byte) *session.Keyring {
	t.Helper()
	var secrets [][]byte
	for _, seed := range seeds {
		secret := make([]byte, session.KeySize)
		for i := range secret {
			secret[i] = seed + byte(i)
		}
		secrets = append(secrets, secret)
	}
	ring, err := session.NewKeyring(secrets...)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func settings() (config.Server, config.Session) {
	c := config.Default()
	c.Server.PublicURL = "https://app.example.test"
	return c.Server, c.Session
}

// newBench must run inside a synctest bubble. Its store and Manager end with it.
func newBench(t *testing.T) *bench {
	t.Helper()
	mem, err := embedded.Open(embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, store: &watchedStore{Store: mem}}
	srv, cfg := settings()
	b.manager = session.NewManager(session.Options{Store: b.store, Keyring: newRing(t, 1), Server: srv, Session: cfg})
	t.Cleanup(func() {
		b.manager.Close()
		if err := mem.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// pass lets time go by. In a synctest bubble nobody waits for it.
func pass(d time.Duration) { time.Sleep(d) } //nolint:forbidigo // the bubble's clock is virtual

func alice() *identity.Identity {
	return &identity.Identity{Issuer: "https://op.test", Subject: "alice", Groups: []string{"users"}}
}

func (b *bench) signIn(who *identity.Identity, previous *session.Candidates) *http.Cookie {
	b.t.Helper()
	_, ck, err := b.manager.Start(b.t.Context(), session.SignIn{Identity: who, Provider: "test", Tokens: []byte("tokens of " + who.Subject)}, previous)
	if err != nil {
		b.t.Fatal(err)
	}
	return ck
}

// ask authenticates a request with these raw cookies.
func (b *bench) ask(active bool, cookies ...string) (*session.Session, error) {
	found := b.manager.Cookies().Read(http.Header{"Cookie": cookies})
	if found.Len() == 0 {
		return nil, errNoCookie
	}
	return b.manager.Authenticate(b.t.Context(), &found, active)
}

var errNoCookie = errors.New("no cookie whose check holds")

func line(ck *http.Cookie) string { return ck.Name + "=" + ck.Value }
