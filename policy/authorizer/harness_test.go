package authorizer_test

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/policy"
	"github.com/sallyport/sallyport/policy/authorizer"
	"github.com/sallyport/sallyport/policy/authorizer/opatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const serviceURL = "http://opa.test/v1/data/app/authz"

// service is an opatest.Server on a network in memory, so that time is the test's
// own in a synctest bubble.
type service struct {
	*opatest.Server
	network *network
}

func newService(t *testing.T) *service {
	t.Helper()
	s := &service{Server: opatest.New(), network: &network{conns: make(chan net.Conn), closed: make(chan struct{})}}
	server := &http.Server{Handler: s.Server}
	ended := make(chan struct{})
	go func() { _ = server.Serve(s.network); close(ended) }()
	t.Cleanup(func() { _ = server.Close(); <-ended })
	return s
}

// client makes a client of the service.
func (s *service) client(t *testing.T, change func(*authorizer.Options)) *authorizer.Client {
	t.Helper()
	o := authorizer.Options{Policy: "app", URL: serviceURL, Timeout: time.Second}
	if change != nil {
		change(&o)
	}
	c, err := authorizer.New(o)
	if err != nil {
		t.Fatal(err)
	}
	c.Over(s.network.dial)
	t.Cleanup(c.Close)
	return c
}

func remembering(lasts time.Duration) func(*authorizer.Options) {
	return func(o *authorizer.Options) { o.Cache = lasts }
}

// network is a listener whose connections are pipes. While it is down, nobody gets one.
type network struct {
	mu     sync.Mutex
	down   bool
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (n *network) setDown(down bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = down
}

func (n *network) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	n.mu.Lock()
	down := n.down
	n.mu.Unlock()
	if down {
		return nil, errors.New("connection refused")
	}
	here, there := net.Pipe()
	select {
	case n.conns <- there:
		return here, nil
	case <-n.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (n *network) Accept() (net.Conn, error) {
	select {
	case c := <-n.conns:
		return c, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

func (n *network) Close() error {
	n.once.Do(func() { close(n.closed) })
	return nil
}

func (n *network) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

type claims map[string]any

func (c claims) Claim(name string) any { return c[name] }
func (c claims) All() map[string]any   { return c }

// alice is a request with something in every field.
func alice() *policy.Input {
	return &policy.Input{
		Route: "app",
		Identity: policy.Identity{
			Issuer: "https://id.example.test", Subject: "alice", Email: "Alice@Example.test", EmailVerified: true,
			Name: "Alice <A>", PreferredUsername: "al", Groups: []string{"staff", "admin"},
			ACR: "mfa", AMR: []string{"pwd", "otp"}, AuthTime: time.Date(2026, 3, 2, 10, 0, 0, 5, time.FixedZone("", 3600)),
			Provider: "corp", Credential: "session",
			Claims: claims{"tenant": "t1", "level": 3.0, "scope": "read write", "a": map[string]any{"z": true, "b": nil}},
		},
		Request: policy.Request{
			Method: "GET", Host: "app.example.test", Path: "/reports/1", RawQuery: "page=2&sort=name&sort=date",
			Header: http.Header{"X-Tenant": {"t1", "t2"}, "Cookie": {"sp=secret-of-the-session"}, "Authorization": {"Bearer secret-of-the-token"}, "User-Agent": {"x"}},
		},
		Client: policy.Client{Address: netip.MustParseAddr("::ffff:192.0.2.7")},
		Now:    time.Now(),
	}
}

// set is a policy of the client alone.
func set(t testing.TB, c policy.Authorizer, rules ...policy.Rule) *policy.Set {
	t.Helper()
	engine, err := policy.NewEngine(policy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := engine.Compile(policy.Policy{Name: "app", Authorizer: c, Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const outage = "outage"

// verdict is what a policy with the client says: the effect and the reason, or that
// nobody can tell. It knows what belongs to what.
func verdict(t *testing.T, d policy.Decision, err error) string {
	t.Helper()
	_, unknown := errors.AsType[*policy.OutageError](err)
	switch {
	case unknown && d.Effect == policy.Deny:
		return outage
	case err != nil && d.Effect == policy.Deny && d.Reason == policy.ReasonPolicyError:
		return policy.ReasonPolicyError
	case err == nil && d.Effect == policy.Allow && d.Reason == policy.ReasonAllowedByAuthorizer,
		err == nil && d.Effect == policy.Deny && d.Reason == policy.ReasonDeniedByAuthorizer,
		err == nil && d.Effect == policy.NeedStepUp && d.Reason == policy.ReasonStepUp && !d.StepUp.Empty():
		return d.Effect.String()
	}
	t.Errorf("decided %+v, %v", d, err)
	return "?"
}

// asks asks as one user does.
func asks(t *testing.T, c policy.Authorizer, in *policy.Input) string {
	t.Helper()
	d, err := set(t, c).Evaluate(t.Context(), in)
	return verdict(t, d, err)
}

// quietLog keeps what a server says of handshakes out of the output.
func quietLog(t *testing.T) *log.Logger { return log.New(t.Output(), "", 0) }
