package jwks_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/sallyport/sallyport/gateway/jwks"
)

// CVE-2026-31837: whatever the issuer answers, a good set is not given up for
// it, and no other keys are made up.
func TestABadAnswerNeverReplacesAGoodSet(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil  func(*issuer)
		class  string
		result string
	}{
		"500":                  {func(i *issuer) { i.status = 500 }, "status", "error"},
		"404":                  {func(i *issuer) { i.status = 404 }, "status", "error"},
		"204":                  {func(i *issuer) { i.status, i.body = 204, "" }, "status", "error"},
		"304 that was not due": {func(i *issuer) { i.status, i.body = 304, "" }, "status", "error"},
		"HTML":                 {func(i *issuer) { i.body = "<!doctype html><title>Sign in</title>" }, "malformed", "rejected"},
		"cut off":              {func(i *issuer) { i.body = i.body[:len(i.body)/2] }, "malformed", "rejected"},
		"empty":                {func(i *issuer) { i.body = "" }, "malformed", "rejected"},
		"no keys":              {func(i *issuer) { i.body = `{"keys":[]}` }, "no_usable_keys", "rejected"},
		"only unusable keys":   {func(i *issuer) { i.body = `{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"a"}]}` }, "no_usable_keys", "rejected"},
		"an error document":    {func(i *issuer) { i.body = `{"error":"temporarily_unavailable"}` }, "malformed", "rejected"},
		"far too many keys":    {func(i *issuer) { i.body = `{"keys":[` + repeat(`{},`, 5000) + `{}]}` }, "malformed", "rejected"},
		"a huge body":          {func(i *issuer) { i.body = setOf("a") + repeat(" ", 2<<20) }, "too_large", "error"},
		"no connection":        {func(i *issuer) { i.err = errors.New("connection reset") }, "connect", "error"},
		"no answer":            {func(i *issuer) { i.latency = time.Hour }, "timeout", "error"},
	} {
		t.Run(name, func(t *testing.T) {
			var results recorder
			i := newIssuer("a")
			synctest.Test(t, func(t *testing.T) {
				s := i.started(t, func(o *jwks.Options) {
					o.OnFetch = results.add
					o.MaxStale = time.Hour
				})
				i.set(tt.spoil)
				pass(10 * time.Minute)
				want(t, s, "a", "key")
				if st := s.Status(); st.LastError != tt.class || st.Generation != 1 || !s.Ready() {
					t.Errorf("got %+v", st)
				}
				results.want(t, 3, "ok", tt.result)
				// The issuer could not say whether there are new keys.
				want(t, s, "b", "unavailable")

				// In the end the set is too old to be believed ...
				pass(time.Hour)
				want(t, s, "a", "unavailable")
				if s.Ready() || s.Generation() != 0 {
					t.Error("still ready")
				}
				// ... until the issuer is back.
				i.set(func(i *issuer) { i.latency = 0 })
				i.publish("a")
				pass(2 * time.Minute)
				want(t, s, "a", "key")
			})
		})
	}
}

func repeat(s string, n int) string { return string(slices.Repeat([]byte(s), n)) }

func TestRefreshFollowsCacheControlWithinBounds(t *testing.T) {
	for name, tt := range map[string]struct {
		header string
		every  time.Duration
	}{
		"none":             {"", 5 * time.Minute},
		"max-age=600":      {"public, max-age=600", 10 * time.Minute},
		"in capitals":      {"Max-Age=600", 10 * time.Minute},
		"quoted":           {`max-age="600"`, 10 * time.Minute},
		"a second":         {"max-age=1", 5 * time.Minute},
		"a day":            {"max-age=86400", time.Hour},
		"a century":        {"max-age=3155760000", 5 * time.Minute},
		"no-store":         {"no-store, max-age=3600", 5 * time.Minute},
		"nonsense":         {"max-age=-1", 5 * time.Minute},
		"s-maxage is none": {"s-maxage=600", 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIssuer("a")
			if tt.header != "" {
				i.header.Set("Cache-Control", tt.header)
			}
			synctest.Test(t, func(t *testing.T) {
				i.started(t, nil)
				pass(5 * time.Hour)
				gaps := i.gaps()
				for _, gap := range gaps {
					if gap < tt.every*9/10 || gap > tt.every*11/10 {
						t.Fatalf("fetched again after %v, want about %v", gap, tt.every)
					}
				}
				if len(gaps) < 4 || slices.Min(gaps) == slices.Max(gaps) {
					t.Errorf("no jitter in %v", gaps)
				}
			})
		})
	}
}

func TestUnchangedSetsAreNotSentAgain(t *testing.T) {
	var results recorder
	i := newIssuer("a")
	i.header.Set("ETag", `"v1"`)
	synctest.Test(t, func(t *testing.T) {
		s := i.started(t, func(o *jwks.Options) {
			o.OnFetch = results.add
			o.MaxStale = 20 * time.Minute
		})
		pass(time.Hour)
		want(t, s, "a", "key") // 304 confirms the set
		results.want(t, 10, "ok", "not_modified")
		i.set(func(i *issuer) {
			if i.headers[0].Get("If-None-Match") != "" || i.headers[1].Get("If-None-Match") != `"v1"` {
				t.Errorf("sent %q", i.headers[:2])
			}
			i.header.Set("ETag", `"v2"`)
		})
		i.publish("a", "b")
		pass(6 * time.Minute)
		want(t, s, "b", "key")
		if s.Generation() != 2 {
			t.Errorf("generation %d", s.Generation())
		}
	})
}

func TestGenerationChangesOnlyWithTheKeys(t *testing.T) {
	i := newIssuer("a")
	synctest.Test(t, func(t *testing.T) {
		s := i.started(t, nil)
		pass(time.Hour)
		if n := i.count(); n < 10 || s.Generation() != 1 {
			t.Errorf("%d fetches, generation %d", n, s.Generation())
		}
	})
}

func TestOnlyChangesOfStateAreLogged(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	i := newIssuer("a")
	synctest.Test(t, func(t *testing.T) {
		i.started(t, func(o *jwks.Options) { o.Log = zap.New(core) })
		pass(time.Hour)
		i.set(func(i *issuer) { i.status = 503 })
		pass(30 * time.Hour)
		i.publish("a", "b")
		pass(time.Hour)
		var got []string
		for _, e := range logs.All() {
			got = append(got, e.Level.String()+" "+e.Message)
		}
		wanted := []string{
			"info key set loaded",
			"warn key set could not be fetched",
			"error key set is too old: tokens of this issuer cannot be checked",
			"info key set loaded",
			"info key set could be fetched again",
		}
		if diff := cmp.Diff(wanted, got); diff != "" {
			t.Error(diff)
		}
	})
}
