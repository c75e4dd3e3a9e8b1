package session_test

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/session/embedded"
)

// provider is a scripted Refresher with rotating refresh tokens: each can be
// redeemed once, and one that comes again ends the grant, unless it is lenient.
// Its tokens are written as a number.
type provider struct {
	mu      sync.Mutex
	current int // the refresh token that it would take
	ended   bool
	calls   []time.Time

	life    time.Duration // of access tokens; 0 = it does not say
	latency time.Duration
	lenient bool
	single  bool // it gives a refresh token at the sign-in alone
	fail    func(call int) error
	who     *identity.Identity
}

func (p *provider) Refresh(ctx context.Context, _ string, tokens []byte, _ *identity.Identity) (*session.Refreshed, error) {
	p.mu.Lock()
	p.calls = append(p.calls, time.Now())
	call, latency := len(p.calls), p.latency
	p.mu.Unlock()
	select {
	case <-time.After(latency):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != nil {
		if err := p.fail(call); err != nil {
			return nil, err
		}
	}
	given, err := strconv.Atoi(string(tokens))
	if err != nil {
		return nil, err
	}
	if p.ended || given != p.current && !p.lenient {
		p.ended = true // reuse is theft (RFC 9700, section 4.14.2)
		return nil, session.ErrGrantEnded
	}
	p.current++
	out := &session.Refreshed{Tokens: strconv.AppendInt(nil, int64(p.current), 10), Renewable: !p.single, Identity: p.who}
	if p.life > 0 {
		out.AccessExpires = time.Now().Add(p.life)
	}
	return out, nil
}

func (p *provider) AccessToken(tokens []byte) (string, time.Time, error) {
	return "access-" + string(tokens), time.Time{}, nil
}

func (p *provider) IDToken(tokens []byte) (string, error) {
	return "id-" + string(tokens), nil
}

func (p *provider) called() []time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]time.Time(nil), p.calls...)
}

func (p *provider) set(change func(*provider)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

// gates is a store that can fail, in part.
type gates struct {
	*embedded.Store
	records, updates atomic.Bool // these fail
	tokens           atomic.Int64
}

var errDown = errors.New("store down")

func (g *gates) LoadRecord(ctx context.Context, kind, name string) (session.Record, error) {
	if g.records.Load() {
		return session.Record{}, errDown
	}
	return g.Store.LoadRecord(ctx, kind, name)
}

func (g *gates) SaveRecord(ctx context.Context, kind, name string, version uint64, value []byte, expires time.Time) (uint64, error) {
	if g.records.Load() {
		return 0, errDown
	}
	return g.Store.SaveRecord(ctx, kind, name, version, value, expires)
}

func (g *gates) Update(ctx context.Context, key session.Key, change func(*session.Session) error) (*session.Session, error) {
	if g.updates.Load() {
		return nil, errDown
	}
	return g.Store.Update(ctx, key, change)
}

func (g *gates) Tokens(ctx context.Context, key session.Key) ([]byte, error) {
	g.tokens.Add(1)
	return g.Store.Tokens(ctx, key)
}

// renewing is some gateways over one store, each by a way of its own, and a
// provider.
type renewing struct {
	t        *testing.T
	provider *provider
	store    *embedded.Store
	ways     []*gates
	gateways []*session.Manager
	stop     []func() // each Manager

	mu      sync.Mutex
	results map[string]int
	ended   []string
}

func renewSettings() config.Refresh {
	return config.Refresh{Ahead: time.Minute, Grace: 5 * time.Minute, MinRemaining: 30 * time.Second}
}

// newRenewing must run inside a synctest bubble.
func newRenewing(t *testing.T, gateways int) *renewing {
	t.Helper()
	store, err := embedded.Open(embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	b := &renewing{t: t, store: store, provider: &provider{life: 10 * time.Minute}, results: map[string]int{}}
	srv, cfg := settings()
	for range gateways {
		way := &gates{Store: store}
		m := session.NewManager(session.Options{Store: way, Keyring: newRing(t, 1), Server: srv, Session: cfg})
		m.Renewing(session.Renewing{
			Refresher: b.provider, Records: way, Settings: renewSettings(),
			Observe: func(result string) {
				b.mu.Lock()
				defer b.mu.Unlock()
				b.results[result]++
			},
			Ended: func(_ *session.Session, result string) {
				b.mu.Lock()
				defer b.mu.Unlock()
				b.ended = append(b.ended, result)
			},
		})
		stop := sync.OnceFunc(m.Close)
		t.Cleanup(stop)
		b.stop = append(b.stop, stop)
		b.ways, b.gateways = append(b.ways, way), append(b.gateways, m)
	}
	return b
}

func (b *renewing) count(result string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.results[result]
}

// signIn starts a session whose access token lives for the provider's life.
func (b *renewing) signIn() *http.Cookie {
	b.t.Helper()
	in := session.SignIn{Identity: alice(), Provider: "corp", Tokens: []byte("0"), Renewable: true}
	if b.provider.life > 0 {
		in.AccessExpires = time.Now().Add(b.provider.life)
	}
	return b.signInWith(in)
}

func (b *renewing) signInWith(in session.SignIn) *http.Cookie {
	b.t.Helper()
	_, ck, err := b.gateways[0].Start(b.t.Context(), in, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return ck
}

// ask is a request at a gateway, as far as sessions go.
func (b *renewing) ask(m *session.Manager, ck *http.Cookie) (*session.Session, error) {
	found := m.Cookies().Read(http.Header{"Cookie": {line(ck)}})
	s, err := m.Authenticate(b.t.Context(), &found, true)
	if err != nil {
		return nil, err
	}
	return m.Renew(b.t.Context(), s)
}

// mustAsk is ask of a session that goes on.
func (b *renewing) mustAsk(m *session.Manager, ck *http.Cookie) *session.Session {
	b.t.Helper()
	s, err := b.ask(m, ck)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func key(m *session.Manager, t *testing.T, ck *http.Cookie) session.Key {
	t.Helper()
	found := m.Cookies().Read(http.Header{"Cookie": {line(ck)}})
	s, err := m.Authenticate(t.Context(), &found, false)
	if err != nil {
		t.Fatal(err)
	}
	return s.Key()
}
