//go:build e2e

package ingress_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"

	"github.com/sallyport/sallyport/gateway/echo"
)

// application tells what it was sent: /ws is a WebSocket that echoes, /upload answers
// with the length and the hash of a body, anything else with the request.
type application struct {
	addr     string
	requests atomic.Int64
}

func startApplication(t *testing.T) *application {
	t.Helper()
	a := &application{}
	show := echo.New("/.auth")
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.requests.Add(1)
		switch {
		case strings.HasPrefix(r.URL.Path, "/ws"):
			serveWebSocket(w, r)
		case strings.HasPrefix(r.URL.Path, "/upload"):
			h := sha256.New()
			n, err := io.Copy(h, r.Body)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			fmt.Fprint(w, n, hex.EncodeToString(h.Sum(nil)))
		case strings.HasPrefix(r.URL.Path, "/unhappy"): // has refusals of its own
			w.Header().Set("WWW-Authenticate", "Basic realm=app")
			http.Error(w, "the application's own", http.StatusUnauthorized)
		default:
			show.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(srv.Close)
	t.Cleanup(srv.CloseClientConnections) // first: a failed test leaves requests behind
	a.addr = srv.Listener.Addr().String()
	return a
}

// serveWebSocket greets with who the application thinks is there, and echoes.
func serveWebSocket(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = c.CloseNow() }()
	err = c.Write(r.Context(), websocket.MessageText, []byte(r.Header.Get("X-Forwarded-User")))
	for err == nil {
		var kind websocket.MessageType
		var message []byte
		if kind, message, err = c.Read(r.Context()); err == nil {
			err = c.Write(r.Context(), kind, message)
		}
	}
}
