package session_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/session/embedded"
)

// newLimited is a Manager that allows a user some sessions at a time. It must run
// inside a synctest bubble.
func newLimited(t *testing.T, most int, whenFull string) (*session.Manager, *embedded.Store) {
	t.Helper()
	mem, err := embedded.Open(embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	srv, cfg := settings()
	cfg.MaxPerUser, cfg.WhenFull = most, whenFull
	m := session.NewManager(session.Options{Store: mem, Keyring: newRing(t, 1), Server: srv, Session: cfg})
	t.Cleanup(func() {
		m.Close()
		if err := mem.Close(); err != nil {
			t.Error(err)
		}
	})
	return m, mem
}

func startAs(t *testing.T, m *session.Manager, issuer, subject string, held *session.Candidates) (*session.Session, *http.Cookie, error) {
	t.Helper()
	return m.Start(t.Context(), session.SignIn{Identity: &identity.Identity{Issuer: issuer, Subject: subject}}, held)
}

func mustStart(t *testing.T, m *session.Manager, issuer, subject string) (session.Key, *session.Candidates) {
	t.Helper()
	s, ck, err := startAs(t, m, issuer, subject, nil)
	if err != nil {
		t.Fatal(err)
	}
	held := m.Cookies().Read(http.Header{"Cookie": {ck.Name + "=" + ck.Value}})
	return s.Key(), &held
}

func keys(t *testing.T, m *session.Manager, issuer, subject string) []session.Key {
	t.Helper()
	listed, err := m.Sessions(t.Context(), issuer, subject)
	if err != nil {
		t.Fatal(err)
	}
	var all []session.Key
	for _, l := range listed {
		all = append(all, l.Key())
	}
	return all
}

func TestSessionsBeyondTheLimitEndOldestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := newLimited(t, 2, config.WhenFullOldestOut)
		var made []session.Key
		for range 4 {
			pass(time.Second)
			key, _ := mustStart(t, m, "iss", "alice")
			made = append(made, key)
		}
		other, _ := mustStart(t, m, "another issuer", "alice")
		if got := keys(t, m, "iss", "alice"); len(got) != 2 || !slices.Contains(got, made[2]) || !slices.Contains(got, made[3]) {
			t.Errorf("the sessions left are %v of %v", got, made)
		}
		if got := keys(t, m, "another issuer", "alice"); !slices.Equal(got, []session.Key{other}) {
			t.Errorf("the same name at another issuer has %v", got)
		}
	})
}

func TestSignInWithoutRoomChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := newLimited(t, 2, config.WhenFullRefuse)
		_, held := mustStart(t, m, "iss", "alice")
		_, _ = mustStart(t, m, "iss", "alice")
		before := keys(t, m, "iss", "alice")
		if s, ck, err := startAs(t, m, "iss", "alice", nil); !errors.Is(err, session.ErrTooMany) || s != nil || ck != nil {
			t.Errorf("%v %v %v", s, ck, err)
		}
		if after := keys(t, m, "iss", "alice"); !slices.Equal(before, after) {
			t.Errorf("%v became %v", before, after)
		}
		if _, _, err := startAs(t, m, "iss", "alice", held); err != nil {
			t.Errorf("in the browser of one of them: %v", err)
		}
		if _, _, err := startAs(t, m, "iss", "bob", nil); err != nil {
			t.Errorf("another user: %v", err)
		}
		// One that is over takes no room, though the store may still have it.
		pass(31 * time.Minute)
		if got := keys(t, m, "iss", "alice"); len(got) != 0 {
			t.Errorf("idle sessions are listed: %v", got)
		}
		if _, _, err := startAs(t, m, "iss", "alice", nil); err != nil {
			t.Errorf("after the others were idle: %v", err)
		}
	})
}

// TestSessionInUseIsListedWithItsLastUse, also what is known at this gateway
// alone so far.
func TestSessionInUseIsListedWithItsLastUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, mem := newLimited(t, 0, "")
		key, held := mustStart(t, m, "iss", "alice")
		for range 3 {
			pass(20 * time.Minute)
			if _, err := m.Authenticate(t.Context(), held, true); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		pass(time.Second)
		if _, err := m.Authenticate(t.Context(), held, true); err != nil { // within the interval: not written yet
			t.Fatal(err)
		}
		listed, err := m.Sessions(t.Context(), "iss", "alice")
		if err != nil || len(listed) != 1 || listed[0].Key() != key {
			t.Fatalf("%v %v", listed, err)
		}
		if since := time.Since(listed[0].LastSeen); since > time.Millisecond {
			t.Errorf("last seen %v ago", since)
		}
		if at, _ := mem.LastSeen(t.Context(), key); time.Since(at) < time.Second {
			t.Errorf("the test shows nothing: the store knows of it, %v ago", time.Since(at))
		}
	})
}

func TestLimitThatCanNotBeJudgedIsAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, whenFull := range []string{config.WhenFullRefuse, config.WhenFullOldestOut} {
			mem, err := embedded.Open(embedded.Options{})
			if err != nil {
				t.Fatal(err)
			}
			srv, cfg := settings()
			cfg.MaxPerUser, cfg.WhenFull = 1, whenFull
			broken := &unlistable{Store: mem}
			m := session.NewManager(session.Options{Store: broken, Keyring: newRing(t, 1), Server: srv, Session: cfg})
			s, ck, err := startAs(t, m, "iss", "alice", nil)
			if err == nil || errors.Is(err, session.ErrTooMany) || s != nil || ck != nil {
				t.Errorf("%s: %v %v %v", whenFull, s, ck, err)
			}
			if n := mem.Len(); n != 0 {
				t.Errorf("%s: %d sessions are left of a sign-in that failed", whenFull, n)
			}
			m.Close()
			if err := mem.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// unlistable is a store that can't list.
type unlistable struct{ session.Store }

func (unlistable) List(context.Context, session.Filter) ([]session.Listed, error) {
	return nil, errors.New("down")
}
