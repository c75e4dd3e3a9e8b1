package jwks_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/jose"
	"github.com/sallyport/sallyport/gateway/jwks"
)

func answerOf(err error) string {
	unknown, unavailable := errors.Is(err, jwks.ErrUnknownKey), errors.Is(err, jwks.ErrUnavailable)
	switch {
	case unknown && !unavailable:
		return "unknown"
	case unavailable && !unknown:
		return "unavailable"
	}
	return fmt.Sprint("neither: ", err)
}

func TestKnownKeysNeedNoFetch(t *testing.T) {
	i := newIssuer("a", "b")
	synctest.Test(t, func(t *testing.T) {
		s := i.started(t, nil)
		for range 100 {
			want(t, s, "a", "key")
			want(t, s, "b", "key")
		}
		if n := i.count(); n != 1 || !s.Ready() {
			t.Errorf("%d fetches, ready %v", n, s.Ready())
		}
		st := s.Status()
		if diff := cmp.Diff(jwks.Status{Issuer: issuerURL, Keys: 2, FetchedAt: time.Now(), Generation: 1}, st); diff != "" {
			t.Error(diff)
		}
	})
}

func TestKnownKeysCostNoAllocation(t *testing.T) {
	set, _, err := jose.ParseKeySet([]byte(setOf("a")))
	if err != nil {
		t.Fatal(err)
	}
	s := jwks.Static(set)
	if n := testing.AllocsPerRun(100, func() { _, _ = s.Key(t.Context(), "a", "ES256") }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// CVE-2026-48524: tokens with random key ids must not become requests to the
// issuer, nor slow down anybody else's tokens.
func TestUnknownKeyStorm(t *testing.T) {
	i := newIssuer("a")
	i.latency = 100 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		s := i.run(t, nil)
		want(t, s, "a", "key")

		// 1,000 at once: one fetch.
		var wg sync.WaitGroup
		for n := range 1000 {
			wg.Go(func() { want(t, s, fmt.Sprint("forged", n), "unknown") })
		}
		synctest.Wait()
		before := time.Now()
		want(t, s, "a", "key")
		if waited := time.Since(before); waited != 0 {
			t.Errorf("a good token waited %v for the forged ones", waited)
		}
		wg.Wait()
		if n := i.count(); n != 2 {
			t.Errorf("%d fetches, want the first and one more", n)
		}

		// Then 50 every 100 ms for a minute: two fetches more.
		for n := range 600 {
			for m := range 50 {
				wg.Go(func() { want(t, s, fmt.Sprint("forged", n, m), "unknown") })
			}
			pass(100 * time.Millisecond)
		}
		wg.Wait()
		if n := i.count() - 2; n > 2 {
			t.Errorf("%d fetches in a minute", n)
		}
	})
}

// OpenID Connect Core 1.0 section 10.1.1: an issuer signs with a new key as
// soon as it has published it.
func TestRotation(t *testing.T) {
	i := newIssuer("old")
	synctest.Test(t, func(t *testing.T) {
		s := i.started(t, nil)
		i.publish("old", "new")
		i.set(func(i *issuer) { i.latency = time.Second })
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { want(t, s, "new", "key") })
		}
		wg.Wait()
		if n := i.count(); n != 2 {
			t.Errorf("%d fetches, want exactly one more", n)
		}
		if g := s.Generation(); g != 2 {
			t.Errorf("generation %d", g)
		}

		i.publish("new")
		want(t, s, "old", "key") // until the set is read again
		pass(6 * time.Minute)
		want(t, s, "new", "key")
		if n := i.count(); n != 3 || s.Generation() != 3 {
			t.Errorf("%d fetches, generation %d", n, s.Generation())
		}
		want(t, s, "old", "unknown")
	})
}

func TestAbsentKeysAreRememberedForAWhile(t *testing.T) {
	i := newIssuer("a")
	synctest.Test(t, func(t *testing.T) {
		s := i.started(t, func(o *jwks.Options) { o.UnknownKeyInterval = 10 * time.Second })
		step := func(kid, answer string, fetches int) {
			t.Helper()
			want(t, s, kid, answer)
			if n := i.count(); n != fetches {
				t.Errorf("key %s: %d fetches, want %d", kid, n, fetches)
			}
		}
		step("outdated", "unknown", 2)
		step("other", "unknown", 2) // throttled, and so not proven absent
		pass(11 * time.Second)
		step("outdated", "unknown", 2) // remembered
		step("other", "unknown", 3)
		i.publish("a", "outdated") // published after it was used
		pass(10 * time.Second)
		step("outdated", "key", 4) // forgotten
	})
}

// The memory of absent keys must not grow with what attackers send.
func TestAbsentKeysAreBounded(t *testing.T) {
	i := newIssuer("a")
	i.latency = time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		s := i.started(t, func(o *jwks.Options) { o.UnknownKeyInterval = time.Hour })
		pass(time.Second)
		var wg sync.WaitGroup
		for n := range 5000 {
			wg.Go(func() { want(t, s, fmt.Sprint("forged", n), "unknown") })
		}
		wg.Wait()
		if n := s.Absent(); n == 0 || n > 1024 {
			t.Errorf("%d keys are remembered as absent", n)
		}
		if n := i.count(); n != 2 {
			t.Errorf("%d fetches", n)
		}
		pass(3 * time.Hour)
		want(t, s, "forged later", "unknown")
		if n := s.Absent(); n != 1 {
			t.Errorf("%d keys are still remembered hours later", n)
		}
	})
}

// A fetch that has left already may bring a set from before the key was
// published; whoever asks now needs another one.
func TestAskingDuringAFetchCausesAnother(t *testing.T) {
	i := newIssuer("a")
	synctest.Test(t, func(t *testing.T) {
		s := i.started(t, func(o *jwks.Options) { o.MinRefresh, o.MaxRefresh = time.Minute, time.Minute })
		served := setOf("a")
		i.set(func(i *issuer) {
			i.latency = 3 * time.Second
			i.answer = func(*http.Request) (int, string) {
				now := served
				served = setOf("a", "new")
				return http.StatusOK, now
			}
		})
		for i.count() < 2 {
			pass(time.Second)
		}
		want(t, s, "new", "key")
		if n := i.count(); n != 3 {
			t.Errorf("%d fetches", n)
		}
	})
}

func TestColdStartWithTheIssuerDown(t *testing.T) {
	i := newIssuer("a")
	i.err = errors.New("connection refused")
	synctest.Test(t, func(t *testing.T) {
		s := i.started(t, nil)
		pass(4 * time.Second) // the fourth fetch comes after seven
		before := time.Now()
		want(t, s, "a", "unavailable")
		if waited := time.Since(before); waited != 0 {
			t.Errorf("waited %v though no fetch was under way", waited)
		}
		if s.Ready() || s.Generation() != 0 || s.Status().LastError != "connect" {
			t.Errorf("got %+v", s.Status())
		}
		pass(5 * time.Minute)
		for n, gap := range i.gaps() {
			due := min(time.Second<<n, time.Minute)
			if gap < due*9/10 || gap > due*11/10 {
				t.Errorf("try %d came after %v, want about %v", n+2, gap, due)
			}
		}
		i.publish("a")
		pass(70 * time.Second)
		want(t, s, "a", "key")
		if st := s.Status(); st.LastError != "" || !s.Ready() {
			t.Errorf("got %+v", st)
		}
	})
}

func TestFirstRequestsWaitForTheFirstSet(t *testing.T) {
	t.Run("and get their key", func(t *testing.T) {
		i := newIssuer("a")
		i.latency = time.Second
		synctest.Test(t, func(t *testing.T) { want(t, i.run(t, nil), "a", "key") })
	})
	t.Run("also when the next fetch comes in a moment", func(t *testing.T) {
		i := newIssuer("a")
		i.err = errors.New("connection refused")
		synctest.Test(t, func(t *testing.T) {
			s := i.started(t, nil)
			i.publish("a") // it is back, and the user comes from its page
			before := time.Now()
			want(t, s, "a", "key")
			if waited := time.Since(before); waited > 1100*time.Millisecond {
				t.Errorf("waited %v", waited)
			}
		})
	})
	t.Run("but not for long", func(t *testing.T) {
		i := newIssuer("a")
		i.latency = 4 * time.Second
		synctest.Test(t, func(t *testing.T) {
			s, before := i.run(t, nil), time.Now()
			want(t, s, "a", "unavailable")
			if waited := time.Since(before); waited != 2*time.Second {
				t.Errorf("waited %v", waited)
			}
		})
	})
	t.Run("nor longer than their context", func(t *testing.T) {
		i := newIssuer("a")
		i.latency = 4 * time.Second
		synctest.Test(t, func(t *testing.T) {
			s := i.run(t, nil)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			before := time.Now()
			_, err := s.Key(ctx, "a", "ES256")
			if answerOf(err) != "unavailable" || !errors.Is(err, context.DeadlineExceeded) || time.Since(before) != 50*time.Millisecond {
				t.Errorf("after %v: %v", time.Since(before), err)
			}
		})
	})
	t.Run("also where nobody fetches", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			want(t, jwks.New(jwks.Options{Client: &http.Client{Transport: newIssuer()}}), "a", "unavailable")
		})
	})
}

func TestWaitersForAnUnknownKeyHonourTheirContext(t *testing.T) {
	i := newIssuer("a")
	synctest.Test(t, func(t *testing.T) {
		s := i.started(t, nil)
		i.set(func(i *issuer) { i.latency = time.Hour })
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		before := time.Now()
		_, err := s.Key(ctx, "new", "ES256")
		if answerOf(err) != "unavailable" || !errors.Is(err, context.DeadlineExceeded) || time.Since(before) != 50*time.Millisecond {
			t.Errorf("after %v: %v", time.Since(before), err)
		}
		want(t, s, "a", "key")
	})
}

func TestOnlyConfiguredAlgorithmsAreAskedFor(t *testing.T) {
	i := newIssuer("a")
	synctest.Test(t, func(t *testing.T) {
		s := i.started(t, func(o *jwks.Options) { o.Algorithms = []string{"ES256"} })
		for _, alg := range []string{"RS256", "HS256", "none", ""} {
			if _, err := s.Key(t.Context(), "a", alg); answerOf(err) != "unknown" {
				t.Errorf("%s: %v", alg, err)
			}
		}
		want(t, s, "a", "key")
		if n := i.count(); n != 1 {
			t.Errorf("%d fetches", n)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := i.started(t, func(o *jwks.Options) { o.Algorithms = []string{"RS256"} })
		if s.Ready() || s.Status().LastError != "no_usable_keys" {
			t.Errorf("a set without a key that may be used is ready: %+v", s.Status())
		}
	})
}

func TestAfterRunNothingIsFetched(t *testing.T) {
	i := newIssuer("a")
	synctest.Test(t, func(t *testing.T) {
		s := jwks.New(jwks.Options{Issuer: issuerURL, JWKSURL: issuerURL + "/jwks", Client: &http.Client{Transport: i}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		s.Run(ctx)
		want(t, s, "a", "key")
		want(t, s, "new", "unavailable")
		if n := i.count(); n != 1 {
			t.Errorf("%d fetches", n)
		}
	})
}

func TestStaticKeys(t *testing.T) {
	set, _, err := jose.ParseKeySet([]byte(setOf("a")))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		s := jwks.Static(set)
		start(t, s)
		pass(1000 * time.Hour)
		want(t, s, "a", "key")
		want(t, s, "b", "unknown")
		if !s.Ready() || s.Status().Keys != 1 || s.Generation() != 1 {
			t.Errorf("got %+v", s.Status())
		}
		none := jwks.Static(nil)
		want(t, none, "a", "unavailable")
		if none.Ready() {
			t.Error("ready without keys")
		}
	})
}

func TestAKeySetAddressThatIsNotSecure(t *testing.T) {
	for address, class := range map[string]string{
		"http://op1.test/jwks":          "insecure_url",
		"file:///etc/passwd":            "insecure_url",
		"gopher://op1.test/":            "insecure_url",
		"http://localhost:1/jwks":       "",
		"http://127.0.0.1:1/jwks":       "",
		"http://[::1]:1/jwks":           "",
		"http://localhost.evil.test/":   "insecure_url",
		"http://127.0.0.1.evil.test/":   "insecure_url",
		"https://op1.test/jwks":         "",
		"://":                           "malformed",
		"https://op1.test/\x7f":         "malformed",
		"http://127.0.0.1@evil.test/":   "insecure_url",
		"HTTP://op1.test/jwks":          "insecure_url",
		"//op1.test/jwks":               "insecure_url",
		"javascript:alert(1)":           "insecure_url",
		"http://2130706433/":            "insecure_url",
		"http://[::ffff:127.0.0.1]:1/x": "",
	} {
		t.Run(address, func(t *testing.T) {
			i := newIssuer("a")
			synctest.Test(t, func(t *testing.T) {
				s := i.started(t, func(o *jwks.Options) { o.JWKSURL = address })
				if got := s.Status().LastError; got != class {
					t.Errorf("got %q, want %q", got, class)
				}
				if n := i.count(); class != "" && n != 0 {
					t.Errorf("%d requests were sent", n)
				}
			})
		})
	}
	i := newIssuer("a")
	synctest.Test(t, func(t *testing.T) {
		s := i.started(t, func(o *jwks.Options) { o.JWKSURL, o.InsecureHTTP = "http://op1.test/jwks", true })
		want(t, s, "a", "key")
	})
}
