package sealing_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/sealing"
	"github.com/sallyport/sallyport/gateway/session"
)

// memory is a store of records that can be out of reach.
type memory struct {
	mu      sync.Mutex
	records map[string]session.Record
	down    error
	saves   int
	told    func() // is called when a gateway has told the others something
}

var errDown = errors.New("store: connection refused")

func (m *memory) LoadRecord(_ context.Context, kind, name string) (session.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down != nil {
		return session.Record{}, m.down
	}
	r, ok := m.records[kind+"/"+name]
	if !ok {
		return session.Record{}, session.ErrNotFound
	}
	return r, nil
}

func (m *memory) SaveRecord(_ context.Context, kind, name string, version uint64, value []byte, _ time.Time) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down != nil {
		return 0, m.down
	}
	if m.records[kind+"/"+name].Version != version {
		return 0, session.ErrConflict
	}
	if m.records == nil {
		m.records = make(map[string]session.Record)
	}
	m.records[kind+"/"+name] = session.Record{Value: bytes.Clone(value), Version: version + 1}
	m.saves++
	return version + 1, nil
}

func (m *memory) RemoveRecord(_ context.Context, kind, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.records, kind+"/"+name)
	return m.down
}

func (m *memory) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.saves
}

func (m *memory) onTold(do func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.told = do
}

func (m *memory) tell() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.told != nil {
		m.told()
	}
}

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = err
}

// users are sessions that need keys.
type users struct {
	use      session.KeyUse
	released []session.KeyName
}

func (u *users) KeyUse(context.Context, session.KeyName, time.Time) (session.KeyUse, error) {
	return u.use, nil
}

func (u *users) ReleaseKey(_ context.Context, key session.KeyName, _ time.Time) (session.KeyUse, error) {
	u.released = append(u.released, key)
	return u.use, nil
}

// secret is the key of a letter, as files hold it.
func secret(letter string) string {
	return base64.StdEncoding.EncodeToString([]byte(strings.Repeat(letter+".", 16)))
}

func nameOf(t *testing.T, letter string) session.KeyName {
	t.Helper()
	name, err := session.NameKey([]byte(strings.Repeat(letter+".", 16)))
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// gateway is one with a file of keys of its own.
type gateway struct {
	*sealing.Ring
	t       *testing.T
	file    string
	users   *users
	reseals atomic.Int64
	stop    func()
}

// start starts a gateway whose file holds these keys, in this order.
func start(t *testing.T, m *memory, name string, keys ...string) *gateway {
	t.Helper()
	g := &gateway{t: t, users: &users{}}
	o := sealing.Options{Records: m, Host: name, Absolute: 12 * time.Hour, Log: zap.NewNop(), Read: os.ReadFile, Told: m.tell}
	if len(keys) > 0 {
		g.file = filepath.Join(t.TempDir(), "keys")
		g.write(keys...)
		o.Files, o.Shared = []string{g.file}, true
	}
	var err error
	if g.Ring, err = sealing.Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	g.Bind(func() sealing.Sessions { return g.users }, func(context.Context) error { g.reseals.Add(1); return nil })
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { g.Run(ctx) })
	g.stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(g.stop)
	return g
}

// write puts these keys into the gateway's file.
func (g *gateway) write(keys ...string) {
	g.t.Helper()
	var text strings.Builder
	for _, k := range keys {
		text.WriteString(secret(k) + "\n")
	}
	if err := os.WriteFile(g.file, []byte(text.String()), 0o600); err != nil {
		g.t.Fatal(err)
	}
}

func (g *gateway) wantSeals(key string) {
	g.t.Helper()
	if got := g.Keyring().Sealing(); got != nameOf(g.t, key) {
		g.t.Errorf("%s seals, want %s (%s)", got, key, nameOf(g.t, key))
	}
}

// pass lets time go by. In a synctest bubble nobody waits for it.
func pass(d time.Duration) { time.Sleep(d) } //nolint:forbidigo // the bubble's clock is virtual
