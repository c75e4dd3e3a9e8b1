package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// keyServer is where an issuer publishes its keys: it can misbehave, and counts
// who asks.
type keyServer struct {
	server *httptest.Server

	mu    sync.Mutex
	serve http.HandlerFunc
	count int
}

func newKeyServer(t *testing.T) *keyServer {
	t.Helper()
	k := &keyServer{serve: http.NotFound}
	k.server = httptest.NewServer(http.HandlerFunc(k.handle))
	t.Cleanup(k.server.Close)
	return k
}

func (k *keyServer) handle(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	k.count++
	serve := k.serve
	k.mu.Unlock()
	serve(w, r)
}

func (k *keyServer) url() string { return k.server.URL + "/jwks.json" }

// answer says how every request is answered from now on.
func (k *keyServer) answer(serve http.HandlerFunc) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.serve = serve
}

// publish answers with a key set from now on.
func (k *keyServer) publish(text string) { k.answer(answering(http.StatusOK, text)) }

// fetches is how many requests there were.
func (k *keyServer) fetches() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.count
}

func answering(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(text))
	}
}
