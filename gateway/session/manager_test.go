package session_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/session/embedded"
)

func TestSessionSlidesWithActivityUpToTheAbsoluteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		ck := b.signIn(alice(), nil)
		began := time.Now()
		// Always a second before the idle timeout: the user stays signed in.
		for time.Since(began)+30*time.Minute-time.Second < 12*time.Hour {
			pass(30*time.Minute - time.Second)
			if _, err := b.ask(true, line(ck)); err != nil {
				t.Fatalf("after %v of activity: %v", time.Since(began), err)
			}
		}
		pass(12*time.Hour - time.Since(began))
		if _, err := b.ask(true, line(ck)); !errors.Is(err, session.ErrNotFound) {
			t.Fatalf("at the absolute timeout: %v", err)
		}
	})
}

func TestIdleSessionIsRefusedAndPollingDoesNotKeepItAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		ck := b.signIn(alice(), nil)
		for range 30 {
			pass(time.Minute)
			if _, err := b.ask(false, line(ck)); err != nil {
				t.Fatal(err)
			}
		}
		pass(time.Second)
		if _, err := b.ask(true, line(ck)); !errors.Is(err, session.ErrIdle) && !errors.Is(err, session.ErrNotFound) {
			t.Fatalf("after the idle timeout: %v", err)
		}
	})
}

func TestLastSeenIsWrittenAtMostOnceAMinuteAndTrailing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		ck := b.signIn(alice(), nil)
		var key session.Key
		for range 600 { // ten requests a second, for a minute
			pass(100 * time.Millisecond)
			s, err := b.ask(true, line(ck))
			if err != nil {
				t.Fatal(err)
			}
			key = s.Key()
		}
		last := time.Now()
		synctest.Wait()
		if n := b.store.touches.Load(); n > 2 {
			t.Errorf("%d writes in a minute of activity", n)
		}
		pass(2 * time.Minute)
		synctest.Wait()
		at, err := b.store.LastSeen(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if !at.Equal(last) {
			t.Errorf("the store has last seen %v, the last use was %v", at, last)
		}
	})
}

func TestActivityOnAnotherGatewayCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		ck := b.signIn(alice(), nil)
		s, err := b.ask(true, line(ck))
		if err != nil {
			t.Fatal(err)
		}
		pass(29 * time.Minute)
		if err := b.store.Store.Touch(t.Context(), s.Key(), time.Now()); err != nil {
			t.Fatal(err)
		}
		pass(29 * time.Minute)
		if _, err := b.ask(true, line(ck)); err != nil {
			t.Errorf("used on another gateway 29 minutes ago: %v", err)
		}
	})
}

func TestSessionFixation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		mallory := b.signIn(&identity.Identity{Issuer: "https://op.test", Subject: "mallory"}, nil)
		// The browser holds mallory's live session when alice signs in.
		before := b.manager.Cookies().Read(http.Header{"Cookie": {line(mallory)}})
		mine := b.signIn(alice(), &before)
		if mine.Value == mallory.Value {
			t.Fatal("the id did not change at sign-in")
		}
		if _, err := b.ask(true, line(mallory)); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("the old id: %v", err)
		}
		s, err := b.ask(true, line(mine))
		if err != nil || s.Identity.Subject != "alice" {
			t.Errorf("the new id: %v, %v", s, err)
		}
	})
}

func TestCookieTossing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		mine := line(b.signIn(alice(), nil))
		other := line(b.signIn(&identity.Identity{Issuer: "https://op.test", Subject: "mallory"}, nil))
		ended := b.signIn(alice(), nil)
		gone := b.manager.Cookies().Read(http.Header{"Cookie": {line(ended)}})
		if err := b.manager.End(t.Context(), &gone); err != nil {
			t.Fatal(err)
		}
		value := strings.TrimPrefix(mine, "__Host-sp=")

		for name, c := range map[string]struct {
			cookies []string
			want    error
		}{
			"two different live sessions":                   {[]string{other + "; " + mine}, session.ErrAmbiguous},
			"the same, in the other order":                  {[]string{mine + "; " + other}, session.ErrAmbiguous},
			"the same, on two lines":                        {[]string{mine, other}, session.ErrAmbiguous},
			"the same value twice":                          {[]string{mine + "; " + mine}, nil},
			"garbage before the live one":                   {[]string{"__Host-sp=garbage; " + mine}, nil},
			"garbage after the live one":                    {[]string{mine + "; __Host-sp=garbage"}, nil},
			"an ended session beside the live one":          {[]string{line(ended) + "; " + mine}, nil},
			"an ended session alone":                        {[]string{line(ended)}, session.ErrNotFound},
			"other cookies around it":                       {[]string{"a=1; b=\"x y\";" + mine + ";c=d=e"}, nil},
			"a name without the prefix":                     {[]string{"sp=" + value}, errNoCookie},
			"a name in lower case":                          {[]string{"__host-sp=" + value}, errNoCookie},
			"a name in upper case":                          {[]string{"__HOST-SP=" + value}, errNoCookie},
			"a name with another prefix":                    {[]string{"__Secure-sp=" + value}, errNoCookie},
			"a name with brackets":                          {[]string{"__Host-sp[]=" + value}, errNoCookie},
			"a name that only begins like it":               {[]string{"__Host-sp.x=" + value}, errNoCookie},
			"a quoted value":                                {[]string{`__Host-sp="` + value + `"`}, errNoCookie},
			"a value with one more character":               {[]string{mine + "A"}, errNoCookie},
			"a value with one character less":               {[]string{mine[:len(mine)-1]}, errNoCookie},
			"nothing but separators":                        {[]string{"; ; =; a; __Host-sp"}, errNoCookie},
			"a chunk count instead of a value":              {[]string{"__Host-sp_chunks=99999999"}, errNoCookie},
			"a megabyte":                                    {[]string{"__Host-sp=" + strings.Repeat("A", 1<<20)}, errNoCookie},
			"four thousand cookies before (CVE-2025-58186)": {[]string{strings.Repeat("a=b; ", 4000) + mine}, nil},
		} {
			s, err := b.ask(true, c.cookies...)
			if !errors.Is(err, c.want) {
				t.Errorf("%s: got %v, want %v", name, err, c.want)
			} else if err == nil && s.Identity.Subject != "alice" {
				t.Errorf("%s: signed in as %s", name, s.Identity.Subject)
			}
		}
	})
}

func TestForgedCookieCostsTheStoreNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		ck := b.signIn(alice(), nil)
		before := b.store.gets
		for i := range ck.Value {
			flipped := []byte(ck.Value)
			if flipped[i]++; flipped[i] == ck.Value[i] {
				t.Fatal("not flipped")
			}
			if _, err := b.ask(true, ck.Name+"="+string(flipped)); !errors.Is(err, errNoCookie) {
				t.Errorf("with character %d changed: %v", i, err)
			}
		}
		if b.store.gets != before {
			t.Errorf("%d look-ups for forged cookies", b.store.gets-before)
		}
	})
}

func TestStoreOutageIsNeverAMissingSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		ck := b.signIn(alice(), nil)
		outage := errors.New("store is away")
		b.store.fail = outage
		_, err := b.ask(true, line(ck))
		if !errors.Is(err, outage) || errors.Is(err, session.ErrNotFound) {
			t.Errorf("got %v", err)
		}
		b.store.fail = nil
		if _, err := b.ask(true, line(ck)); err != nil {
			t.Errorf("after the outage: %v", err)
		}
	})
}

func TestRotateChangesTheIDAndKeepsTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		ck := b.signIn(alice(), nil)
		old, err := b.ask(true, line(ck))
		if err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		now, fresh, err := b.manager.Rotate(t.Context(), old.Key(), func(s *session.Session) error {
			s.Identity.ACR = "mfa"
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.ask(true, line(ck)); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("the old cookie: %v", err)
		}
		got, err := b.ask(true, line(fresh))
		if err != nil {
			t.Fatal(err)
		}
		if got.Identity.ACR != "mfa" || !got.ExpiresAt().Equal(old.ExpiresAt()) || got.Created != old.Created {
			t.Errorf("after rotation: %+v", got)
		}
		if old.Identity.ACR != "" {
			t.Error("the session that others hold was changed")
		}
		tokens, err := b.manager.Tokens(t.Context(), now.Key())
		if err != nil || string(tokens) != "tokens of alice" {
			t.Errorf("tokens after rotation: %q, %v", tokens, err)
		}
	})
}

func TestTokensAreSealedAtRestAndBoundToTheirSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.signIn(alice(), nil)
		list, err := b.store.List(t.Context(), session.Filter{})
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		sealed, err := b.store.Tokens(t.Context(), list[0].Key())
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(sealed), "tokens of") {
			t.Error("the store sees tokens in the clear")
		}
		var another session.Key
		if _, err := b.manager.Keyring().Open(session.PurposeTokens, sealed, another[:]); !errors.Is(err, session.ErrUnsealed) {
			t.Errorf("opened for another session: %v", err)
		}
	})
}

func TestCookieHeaderIsUnderSixtyBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		ck := b.signIn(alice(), nil)
		header := "Cookie: " + line(ck)
		if len(header) >= 60 || len(header) != b.manager.Cookies().WireSize() {
			t.Errorf("%d bytes (WireSize says %d): %s", len(header), b.manager.Cookies().WireSize(), header)
		}
	})
}

func TestAuthenticatingASessionAllocatesNothing(t *testing.T) {
	mem, err := embedded.Open(embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	srv, cfg := settings()
	m := session.NewManager(session.Options{Store: mem, Keyring: newRing(t, 1), Server: srv, Session: cfg})
	defer m.Close()
	_, ck, err := m.Start(t.Context(), session.SignIn{Identity: alice()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{"Cookie": {"a=1; " + line(ck)}}
	ctx := t.Context()
	if n := testing.AllocsPerRun(1000, func() {
		found := m.Cookies().Read(h)
		if _, err := m.Authenticate(ctx, &found, true); err != nil {
			t.Fatal(err)
		}
	}); n > 0 && !raceEnabled {
		t.Errorf("%v allocations", n)
	}
}
