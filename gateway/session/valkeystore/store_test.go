//go:build e2e

package valkeystore_test

import (
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/session/sessiontest"
	"github.com/sallyport/sallyport/gateway/session/valkeystore"
	"github.com/sallyport/sallyport/gateway/tlstest"
)

func create(tb testing.TB, s session.Store, n int) *session.Session {
	tb.Helper()
	in := sessiontest.Session(n)
	if err := s.Create(tb.Context(), in); err != nil {
		tb.Fatal(err)
	}
	return in
}

func mustGet(tb testing.TB, s session.Store, key session.Key) *session.Session {
	tb.Helper()
	got, err := s.Get(tb.Context(), key)
	if err != nil {
		tb.Fatal(err)
	}
	return got
}

// sessionKeys lists the names of sessions in the server.
func sessionKeys(server *env.Valkey) []string {
	return strings.Fields(server.Do("--scan", "--pattern", "*}s*"))
}

// TestNothingComesBackAfterTheSignOut has 100 touches and refreshes of two
// gateways under way while a session is ended, 200 times.
func TestNothingComesBackAfterTheSignOut(t *testing.T) {
	t.Parallel()
	const rounds, workers = 200, 100
	server := env.StartValkey(t)
	stores := []*valkeystore.Store{open(t, settings(server.URL()), defaultCache()), open(t, settings(server.URL()), defaultCache())}
	var looked atomic.Int64
	for round := range rounds {
		in := create(t, stores[0], round)
		var ended atomic.Bool
		var wait sync.WaitGroup
		begin := make(chan struct{})
		for i := range workers {
			s := stores[i%2]
			wait.Go(func() {
				<-begin
				var err error
				after := ended.Load()
				if i%4 < 2 {
					err = s.Touch(t.Context(), in.Key(), time.Now())
				} else {
					_, err = s.Update(t.Context(), in.Key(), func(c *session.Session) error {
						c.Identity.Name, c.SealedTokens = strconv.Itoa(i), new([]byte("refreshed"))
						return nil
					})
				}
				if err == nil && after {
					t.Errorf("round %d: a change that began after the sign-out succeeded", round)
				}
				if err != nil && !errors.Is(err, session.ErrNotFound) {
					t.Error(err)
				}
			})
		}
		wait.Go(func() {
			<-begin
			if err := stores[round%2].Delete(t.Context(), in.Key()); err != nil {
				t.Error(err)
			}
			ended.Store(true)
			// The other gateway may hear of it a moment later; the server knows.
			for range 20 {
				looked.Add(1)
				if _, err := stores[round%2].Get(t.Context(), in.Key()); !errors.Is(err, session.ErrNotFound) {
					t.Errorf("round %d: after the sign-out: %v", round, err)
				}
			}
		})
		close(begin)
		wait.Wait()
		if names := sessionKeys(server); len(names) > 0 {
			t.Fatalf("round %d: %q came back", round, names)
		}
	}
	if left := server.Do("--scan", "--pattern", "*}k*"); left != "" {
		t.Errorf("tokens were left behind: %s", left)
	}
	t.Logf("%d rounds, %d looks after the sign-out", rounds, looked.Load())
}

// TestAUseDoesNotEmptyOtherGatewaysCaches: the idle timeout slides and nobody
// has to read the session again.
func TestAUseDoesNotEmptyOtherGatewaysCaches(t *testing.T) {
	t.Parallel()
	server := env.StartValkey(t)
	a, b := open(t, settings(server.URL()), defaultCache()), open(t, settings(server.URL()), defaultCache())
	in := create(t, a, 1)
	mustGet(t, b, in.Key())
	before := b.Stats()
	for i := range 100 {
		if err := a.Touch(t.Context(), in.Key(), time.Now().Add(time.Duration(i)*time.Second)); err != nil {
			t.Fatal(err)
		}
		mustGet(t, b, in.Key())
	}
	if after := b.Stats(); after.Misses != before.Misses || after.Invalidations != before.Invalidations {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

func TestConcurrentMissesReadOnce(t *testing.T) {
	t.Parallel()
	server := env.StartValkey(t)
	way := env.StartTCPProxy(t, server.Addr)
	s := open(t, settings("valkey://"+way.Addr), defaultCache())
	in := create(t, s, 1)
	reads := server.CommandCalls("get")
	way.Delay(20 * time.Millisecond)
	var wait sync.WaitGroup
	for range 200 {
		wait.Go(func() { mustGet(t, s, in.Key()) })
	}
	wait.Wait()
	// The session, and its tombstone.
	if n := server.CommandCalls("get") - reads; n > 2 {
		t.Errorf("200 requests at once read %d times", n)
	}
	for range 100 {
		if _, err := s.Get(t.Context(), sessiontest.Key(2)); !errors.Is(err, session.ErrNotFound) {
			t.Fatal(err)
		}
	}
	// A cookie of a session that is over is refused from memory as well.
	if n := server.CommandCalls("get") - reads; n > 4 {
		t.Errorf("a session that does not exist was read %d times", n-2)
	}
}

// TestPasswordFileMayBeExchanged: new connections use what it says now.
func TestPasswordFileMayBeExchanged(t *testing.T) {
	t.Parallel()
	server := env.StartValkey(t, env.ValkeyACL("operator", "o", "user default off", "user operator on >o ~* &* +@all", "user gateway on >first ~* &* +@all"))
	dir := t.TempDir()
	cfg := settings(server.URL())
	cfg.Username, cfg.PasswordFile = "gateway", env.WriteFile(t, dir, "password", "first\n")
	s := open(t, cfg, defaultCache())
	in := create(t, s, 1)
	server.Do("ACL", "SETUSER", "gateway", "resetpass", ">second")
	env.WriteFile(t, dir, "password", "second\n")
	server.Do("CLIENT", "KILL", "USER", "gateway")
	eventually(t, "it answers with the new password", func() bool { return s.Ping(t.Context()) == nil })
	mustGet(t, s, in.Key())
}

// TestCertificatesMayBeExchanged likewise.
func TestCertificatesMayBeExchanged(t *testing.T) {
	t.Parallel()
	ca, strangers := tlstest.New(t), tlstest.New(t)
	server := env.StartValkey(t, env.ValkeyMutualTLS(ca))
	good, bad := ca.Client("gateway"), strangers.Client("gateway")
	dir := t.TempDir()
	install := func(pair tlstest.KeyPair) {
		env.WriteFile(t, dir, "cert", readFile(t, pair.CertFile))
		env.WriteFile(t, dir, "key", readFile(t, pair.KeyFile))
	}
	install(bad)
	cfg := settings(server.URL())
	cfg.TLS = config.ClientTLS{CAFile: ca.CertFile, CertFile: dir + "/cert", KeyFile: dir + "/key", ServerName: "localhost"}
	s, err := valkeystore.Open(valkeystore.Options{Valkey: cfg, Cache: defaultCache()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Ping(t.Context()); err == nil {
		t.Error("a stranger's certificate was accepted")
	}
	install(good)
	eventually(t, "it answers with the new certificate", func() bool { return s.Ping(t.Context()) == nil })
}

// TestIdleSessionIsAliveWhereAnotherGatewaySawTheUser: the last word on idleness
// is the store's.
func TestIdleSessionIsAliveWhereAnotherGatewaySawTheUser(t *testing.T) {
	t.Parallel()
	server := env.StartValkey(t)
	a, b := open(t, settings(server.URL()), defaultCache()), open(t, settings(server.URL()), defaultCache())
	ring, err := session.NewKeyring([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	manager := func(s session.Store) *session.Manager {
		m := session.NewManager(session.Options{
			Store: s, Keyring: ring, Server: config.Server{PublicURL: "http://localhost"},
			Session: config.Session{IdleTimeout: time.Second, AbsoluteTimeout: time.Hour},
		})
		t.Cleanup(m.Close)
		return m
	}
	ma, mb := manager(a), manager(b)
	_, cookie, err := ma.Start(t.Context(), session.SignIn{Identity: &identity.Identity{Subject: "alice"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	candidates := ma.Cookies().Read(map[string][]string{"Cookie": {cookie.Name + "=" + cookie.Value}})
	use := func(m *session.Manager, active bool) error {
		_, err := m.Authenticate(t.Context(), &candidates, active)
		return err
	}
	if err := use(mb, false); err != nil {
		t.Fatal(err)
	}
	// Used at A alone for three idle timeouts.
	end := time.Now().Add(3 * time.Second)
	eventually(t, "three idle timeouts have passed", func() bool {
		if err := use(ma, true); err != nil {
			t.Fatalf("at A, where it is used: %v", err)
		}
		return time.Now().After(end)
	})
	if err := use(mb, false); err != nil {
		t.Errorf("at B, which has not seen the user: %v", err)
	}
	eventually(t, "it is idle at both", func() bool {
		return errors.Is(use(mb, false), session.ErrIdle) && errors.Is(use(ma, false), session.ErrIdle)
	})
}

// TestConnectionsThatWentSilentAreReplaced: a firewall forgets the connections
// that are open, and lets new ones through.
func TestConnectionsThatWentSilentAreReplaced(t *testing.T) {
	t.Parallel()
	server := env.StartValkey(t)
	way := env.StartTCPProxy(t, server.Addr)
	cfg := settings("valkey://" + way.Addr)
	cfg.Timeout = 250 * time.Millisecond
	s, direct := open(t, cfg, defaultCache()), open(t, settings(server.URL()), defaultCache())
	cached, cold := create(t, s, 1), create(t, s, 2)
	mustGet(t, s, cached.Key())
	way.BlackHoleExisting()
	begin := time.Now()
	if err := direct.Delete(t.Context(), cached.Key()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a session that was not cached is found", func() bool {
		_, err := s.Get(t.Context(), cold.Key())
		return err == nil
	})
	took := time.Since(begin)
	if _, err := s.Get(t.Context(), cached.Key()); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("the session that was ended meanwhile: %v", err)
	}
	t.Logf("replaced after %v", took)
	if took > 4*time.Second { // by itself the client takes six or seven
		t.Errorf("it took %v", took)
	}
	way.Heal()
	mustGet(t, s, cold.Key())
}
