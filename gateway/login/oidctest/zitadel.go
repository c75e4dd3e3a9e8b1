package oidctest

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
)

// The user whom the provider of NewZitadel knows.
const (
	ZitadelUser     = "test-user@localhost"
	ZitadelPassword = "verysecure"
	ZitadelSubject  = "id1"
)

// NewZitadel starts the example provider of github.com/zitadel/oidc, a certified
// implementation, and returns its issuer. It has a page on which ZitadelUser
// signs in, and one client: confidential, or public with an empty secret. The
// library keeps its clients in a package variable, so tests that use it must not
// run in parallel.
func NewZitadel(tb testing.TB, clientID, secret string, redirectURI ...string) (issuer string) {
	tb.Helper()
	var op atomic.Pointer[http.Handler]
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		(*op.Load()).ServeHTTP(w, r)
	}))
	tb.Cleanup(srv.Close)

	client := storage.WebClient(clientID, secret, redirectURI...)
	if secret == "" {
		client = storage.NativeClient(clientID, redirectURI...)
	}
	storage.RegisterClients(client)
	store := storage.NewStorage(storage.NewUserStore("http://localhost:0/"))
	before := slog.Default() // the library replaces it, see its SetupServer
	var handler http.Handler = exampleop.SetupServer(srv.URL, store, slog.New(slog.DiscardHandler), false)
	tb.Cleanup(func() { slog.SetDefault(before) })
	op.Store(&handler)
	return srv.URL
}
