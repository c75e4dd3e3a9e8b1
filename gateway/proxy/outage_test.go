package proxy_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/guard"
	"github.com/sallyport/sallyport/gateway/headers"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/proxy"
	"github.com/sallyport/sallyport/gateway/route"
	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/session/embedded"
	"github.com/sallyport/sallyport/gateway/telemetry"
	"github.com/sallyport/sallyport/gateway/upstream"
	"github.com/sallyport/sallyport/policy"
)

// moodyStore is a store whose look-ups fail on demand.
type moodyStore struct {
	session.Store
	down  atomic.Bool
	asked atomic.Int32 // while down
}

func (m *moodyStore) Get(ctx context.Context, key session.Key) (*session.Session, error) {
	if m.down.Load() {
		m.asked.Add(1)
		return nil, errors.New("connection refused")
	}
	return m.Store.Get(ctx, key)
}

// echo answers every message of a WebSocket with itself.
func echo(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true}) // the gateway looked at the Origin
	if err != nil {
		return
	}
	defer func() { _ = c.CloseNow() }()
	for {
		kind, data, err := c.Read(r.Context())
		if err != nil || c.Write(r.Context(), kind, data) != nil {
			return
		}
	}
}

// front is a proxy in front of an application, with its streams looked after.
func front(t *testing.T, manager *session.Manager, app string) *httptest.Server {
	t.Helper()
	settings := config.Route{Name: "app", Upstream: config.Upstreams{app}}
	pool, err := upstream.New(upstream.Options{Route: settings})
	if err != nil {
		t.Fatal(err)
	}
	set, err := headers.Compile(nil, headers.Options{})
	if err != nil {
		t.Fatal(err)
	}
	rt := &route.Route{
		Name: "app", Headers: set, Policy: policy.Authenticated(),
		Auth: authn.Order([]authn.Authenticator{authn.NewSession(manager)}),
	}
	table, err := route.NewTable([]route.Entry{{Route: rt, Paths: []string{"/"}}}, []string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	streams := session.NewStreams(manager.Live, nil)
	p, err := proxy.New(proxy.Options{
		Guard: guard.New(guard.Options{Routes: table, Cookies: manager.Cookies(), Scheme: "http"}), Targets: map[*route.Route]*proxy.Target{rt: {Pool: pool, Settings: settings}}, Scheme: "http", Streams: streams,
		Challenge: func(*http.Request, *guard.Verdict) guard.Prompt { return guard.Prompt{} },
		Metrics:   telemetry.NewMetrics("test"), Log: zap.NewNop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := p.Serve(&telemetry.Recorder{ResponseWriter: w}, r); err != nil {
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	ctx, stop := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() { streams.Run(ctx); close(over) }()
	t.Cleanup(func() { stop(); <-over; server.Close(); pool.Close() })
	return server
}

// TestStoreOutageEndsNoWebSocket: the one of a session that was ended meanwhile
// is closed as soon as the store can say so.
func TestStoreOutageEndsNoWebSocket(t *testing.T) {
	mem, err := embedded.Open(embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	store := &moodyStore{Store: mem}
	ring, err := session.NewKeyring([]byte("0123456789abcdefghijklmnopqrstuv"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.Server.PublicURL = "http://127.0.0.1"
	manager := session.NewManager(session.Options{Store: store, Keyring: ring, Server: cfg.Server, Session: cfg.Session})
	t.Cleanup(func() {
		manager.Close()
		if err := mem.Close(); err != nil {
			t.Error(err)
		}
	})
	app := httptest.NewServer(http.HandlerFunc(echo))
	defer app.Close()
	server := front(t, manager, app.URL)

	s, ck, err := manager.Start(t.Context(), session.SignIn{Identity: &identity.Identity{Subject: "alice"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := websocket.Dial(t.Context(), server.URL, &websocket.DialOptions{
		HTTPHeader: http.Header{"Cookie": {ck.Name + "=" + ck.Value}, "Origin": {server.URL}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.CloseNow() }()

	store.down.Store(true)
	deadline := time.Now().Add(20 * time.Second)
	for store.asked.Load() < 6 { // the WebSocket is in use while the store can't answer
		if err := c.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		if _, data, err := c.Read(t.Context()); err != nil || string(data) != "hello" {
			t.Fatalf("%q, %v", data, err)
		}
		if time.Now().After(deadline) {
			t.Fatal("the session is not looked at")
		}
	}
	if err := store.Delete(t.Context(), s.Key()); err != nil {
		t.Fatal(err)
	}
	store.down.Store(false)
	_, _, err = c.Read(t.Context())
	if websocket.CloseStatus(err) != websocket.StatusPolicyViolation || !strings.Contains(err.Error(), "session ended") {
		t.Errorf("it ended with %v", err)
	}
}
