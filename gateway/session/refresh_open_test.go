package session_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
)

func TestAForwardedTokenAlwaysHasTimeLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newRenewing(t, 1)
		b.provider.life = 2 * time.Minute
		m, ck := b.gateways[0], b.signIn()
		id := key(m, t, ck)
		least := time.Hour
		for range 600 {
			token, err := m.AccessToken(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			s, err := b.store.Get(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if want := "access-" + string('0'+rune(s.Grant.Generation)); token != want {
				t.Fatalf("%s, want %s", token, want)
			}
			least = min(least, time.Until(time.Unix(0, s.Grant.Expires)))
			pass(time.Second)
		}
		if least < renewSettings().MinRemaining {
			t.Errorf("a token with %v left was forwarded", least)
		}
		if got := len(b.provider.called()); got > 8 {
			t.Errorf("the provider was asked %d times in ten minutes", got)
		}
	})
}

func TestForwardingATokenAsksTheStoreOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newRenewing(t, 1)
		m, ck := b.gateways[0], b.signIn()
		id := key(m, t, ck)
		for range 1000 {
			if _, err := m.AccessToken(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		if got := b.ways[0].tokens.Load(); got != 1 {
			t.Errorf("the tokens were read %d times", got)
		}
	})
}

func TestATokenThatCanNotBeForwarded(t *testing.T) {
	notFound := func(err error) bool { return errors.Is(err, session.ErrNotFound) }
	outage := func(err error) bool {
		return err != nil && !errors.Is(err, session.ErrNotFound) && !errors.Is(err, session.ErrNoTokens)
	}
	tests := map[string]struct {
		in    session.SignIn
		life  time.Duration
		fail  error
		want  func(error) bool
		calls int
	}{
		"the provider gave none":                           {session.SignIn{Identity: alice()}, 0, nil, func(err error) bool { return errors.Is(err, session.ErrNoTokens) }, 0},
		"it has ended, and there is no refresh token":      {session.SignIn{Identity: alice(), Tokens: []byte("0"), AccessExpires: bubble(time.Minute)}, 0, nil, notFound, 0},
		"it has ended, and so has the grant":               {session.SignIn{Identity: alice(), Tokens: []byte("0"), AccessExpires: bubble(time.Minute), Renewable: true}, 0, session.ErrGrantEnded, notFound, 1},
		"it has ended, and the provider is down":           {session.SignIn{Identity: alice(), Tokens: []byte("0"), AccessExpires: bubble(time.Minute), Renewable: true}, 0, errors.New("503"), outage, 1},
		"none lives long enough; and no storm comes of it": {session.SignIn{Identity: alice(), Tokens: []byte("0"), AccessExpires: bubble(time.Minute), Renewable: true}, 10 * time.Second, nil, outage, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newRenewing(t, 1)
				b.provider.life = tt.life
				if tt.fail != nil {
					b.provider.fail = func(int) error { return tt.fail }
				}
				m, ck := b.gateways[0], b.signInWith(tt.in)
				id := key(m, t, ck)
				pass(time.Minute)
				for range 20 {
					token, err := m.AccessToken(t.Context(), id)
					if token != "" || !tt.want(err) {
						t.Fatalf("%q, %v", token, err)
					}
				}
				if got := len(b.provider.called()); got != tt.calls {
					t.Errorf("the provider was asked %d times, want %d", got, tt.calls)
				}
			})
		})
	}
}

// bubble is a time d after the clock of a synctest bubble begins.
func bubble(d time.Duration) time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(d) }

// TestTheNewestIDTokenIsForwarded, also when it and the access token have ended: it
// says who signed in, and ends no session.
func TestTheNewestIDTokenIsForwarded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newRenewing(t, 1)
		b.provider.life = 2 * time.Minute
		m, ck := b.gateways[0], b.signIn()
		id := key(m, t, ck)
		for want := range 3 {
			for range 100 {
				token, err := m.IDToken(t.Context(), id)
				if err != nil || token != "id-"+string('0'+rune(want)) {
					t.Fatalf("after %d refreshes: %q, %v", want, token, err)
				}
				if access, err := m.AccessToken(t.Context(), id); err != nil || access == token {
					t.Fatalf("the access token is %q, %v", access, err)
				}
			}
			if got := b.ways[0].tokens.Load(); got != int64(3*want+2) {
				t.Errorf("after %d refreshes the tokens were read %d times, once for each of the two and by each refresh", want, got)
			}
			pass(90 * time.Second)
			b.mustAsk(m, ck)
			synctest.Wait()
		}
		b.provider.set(func(p *provider) { p.fail = func(int) error { return errors.New("503") } })
		pass(3 * time.Minute)
		if token, err := m.IDToken(t.Context(), id); err != nil || token != "id-3" {
			t.Errorf("with the access token at its end: %q, %v", token, err)
		}
	})
}

func TestASessionWithoutAnIDToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newRenewing(t, 1)
		m, ck := b.gateways[0], b.signInWith(session.SignIn{Identity: alice()})
		id := key(m, t, ck)
		if token, err := m.IDToken(t.Context(), id); token != "" || !errors.Is(err, session.ErrNoTokens) {
			t.Errorf("%q, %v", token, err)
		}
		if err := b.store.Delete(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if token, err := m.IDToken(t.Context(), id); token != "" || !errors.Is(err, session.ErrNotFound) {
			t.Errorf("of a session that is over: %q, %v", token, err)
		}
	})
}
