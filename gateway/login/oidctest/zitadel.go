package oidctest

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// The user whom the provider of NewZitadel knows.
const (
	ZitadelUser     = "test-user@localhost"
	ZitadelPassword = "verysecure"
	ZitadelSubject  = "id1"
)

// zitadel is held by the test that uses the library's variables.
var zitadel sync.Mutex //nolint:gochecknoglobals // so are they

// NewZitadel starts the example provider of github.com/zitadel/oidc, a certified
// implementation, and returns its issuer. It has a page on which ZitadelUser
// signs in, and one client: confidential, or public with an empty secret. A
// sign-out may end at /.auth/logout/done of every host of the redirect URIs. The
// library keeps its clients in a package variable, so tests that use it wait for one
// another: one of them can't have two.
func NewZitadel(tb testing.TB, clientID, secret string, redirectURI ...string) (issuer string) {
	tb.Helper()
	zitadel.Lock()
	tb.Cleanup(zitadel.Unlock)
	var served atomic.Pointer[http.Handler]
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		(*served.Load()).ServeHTTP(w, r)
	}))
	tb.Cleanup(srv.Close)

	client := storage.WebClient(clientID, secret, redirectURI...)
	if secret == "" {
		client = storage.NativeClient(clientID, redirectURI...)
	}
	storage.RegisterClients(client)
	store := &zitadelStore{Storage: storage.NewStorage(storage.NewUserStore("http://localhost:0/"))}
	for _, uri := range redirectURI {
		if origin, _, ok := strings.Cut(uri, "/.auth/"); ok {
			store.afterLogout = append(store.afterLogout, origin+"/.auth/logout/done")
		}
	}
	before := slog.Default() // the library replaces it, see its SetupServer
	var handler http.Handler = exampleop.SetupServer(srv.URL, store, slog.New(slog.DiscardHandler), false)
	tb.Cleanup(func() { slog.SetDefault(before) })
	served.Store(&handler)
	return srv.URL
}

// zitadelStore adds what clients of the example lack: somewhere to go after a
// sign-out.
type zitadelStore struct {
	*storage.Storage
	afterLogout []string
}

func (s *zitadelStore) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	c, err := s.Storage.GetClientByClientID(ctx, id)
	if err != nil {
		return nil, err
	}
	return zitadelClient{c, s.afterLogout}, nil
}

type zitadelClient struct {
	op.Client
	afterLogout []string
}

func (c zitadelClient) PostLogoutRedirectURIs() []string { return c.afterLogout }
