package authn_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/config"
)

// TestAnswerCountsForAShortTimeAndNeverLongerThanTheToken: how often the
// endpoint is asked by a client that sends the same token every second.
func TestAnswerCountsForAShortTimeAndNeverLongerThanTheToken(t *testing.T) {
	for name, c := range map[string]struct {
		lives time.Duration // 0: the answer does not say
		ttl   time.Duration
		every time.Duration
		times int
		asked int
	}{
		"by default":                       {0, 30 * time.Second, time.Second, 61, 3},
		"with a shorter time":              {0, 5 * time.Second, time.Second, 11, 3},
		"without a cache":                  {0, 0, time.Second, 10, 10},
		"a token that lives longer":        {time.Hour, 30 * time.Second, time.Second, 30, 1},
		"a token that ends before":         {10 * time.Second, 30 * time.Second, time.Second, 11, 2},
		"a token that is over, by leeway":  {-5 * time.Second, 30 * time.Second, time.Second, 3, 3},
		"a token that ends this very time": {0 + time.Second, 30 * time.Second, time.Second, 3, 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				body := `{"active":true,"sub":"alice"}`
				if c.lives != 0 {
					body = fmt.Sprintf(`{"active":true,"sub":"alice","exp":%d}`, time.Now().Add(c.lives).Unix())
				}
				e := &endpoint{answer: says(body)}
				i := introspection(introspectionServer(t, entry(func(c2 *config.Introspection) { c2.CacheTTL = c.ttl }), e))
				tick := time.NewTicker(c.every)
				defer tick.Stop()
				for n := range c.times {
					if n > 0 {
						<-tick.C
					}
					id, err := i.Authenticate(t.Context(), opaque("opaque"))
					if got := verdict(t, id, err); got != accepted {
						t.Fatal(got)
					}
				}
				if e.asked() != c.asked {
					t.Errorf("asked %d times in %d requests, want %d", e.asked(), c.times, c.asked)
				}
			})
		})
	}
}

func TestRevokedAtItsServerATokenIsRefusedAfterTheCacheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		active := true
		e := &endpoint{answer: func(*http.Request, url.Values) (int, string) {
			return http.StatusOK, fmt.Sprintf(`{"active":%t,"sub":"alice"}`, active)
		}}
		i := introspection(introspectionServer(t, entry(nil), e))
		ask := func() string {
			id, err := i.Authenticate(t.Context(), opaque("opaque"))
			return verdict(t, id, err)
		}
		if got := ask(); got != accepted {
			t.Fatal(got)
		}
		active = false
		<-time.After(30 * time.Second)
		if got := ask(); got != authn.ReasonTokenInactive {
			t.Errorf("after the cache time: %s", got)
		}
		// And one that becomes active is accepted after five seconds.
		active = true
		if got := ask(); got != authn.ReasonTokenInactive {
			t.Errorf("at once: %s", got)
		}
		<-time.After(5 * time.Second)
		if got := ask(); got != accepted {
			t.Errorf("after five seconds: %s", got)
		}
	})
}

func TestRepeatedForgeryIsAskedAboutOnce(t *testing.T) {
	e := &endpoint{answer: says(`{"active":false}`)}
	i := introspection(introspectionServer(t, entry(nil), e))
	for range 1000 {
		id, err := i.Authenticate(t.Context(), opaque("forged"))
		if got := verdict(t, id, err); got != authn.ReasonTokenInactive {
			t.Fatal(got)
		}
	}
	if e.asked() != 1 {
		t.Errorf("asked %d times", e.asked())
	}
}

func TestFloodOfForgedTokensPushesNoGoodOneOut(t *testing.T) {
	e := &endpoint{answer: func(_ *http.Request, form url.Values) (int, string) {
		return http.StatusOK, fmt.Sprintf(`{"active":%t,"sub":"alice"}`, form.Get("token") == "good")
	}}
	i := introspection(introspectionServer(t, entry(nil), e))
	if _, err := i.Authenticate(t.Context(), opaque("good")); err != nil {
		t.Fatal(err)
	}
	const flood = 40_000 // more than are remembered
	for n := range flood {
		if id, _ := i.Authenticate(t.Context(), opaque(fmt.Sprintf("forged-%d", n))); id != nil {
			t.Fatal("a forged token was accepted")
		}
	}
	before := e.asked()
	if _, err := i.Authenticate(t.Context(), opaque("good")); err != nil {
		t.Fatal(err)
	}
	if e.asked() != before {
		t.Error("the good token was asked about again")
	}
}

func TestOneQuestionForManyRequestsWithTheSameToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: says(`{"active":true,"sub":"alice"}`), wait: func(context.Context) error { <-time.After(time.Second); return nil }}
		i := introspection(introspectionServer(t, entry(nil), e))

		// The first client goes away at once, and another a little later.
		first, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		var passed atomic.Int64
		all.Go(func() {
			if _, err := i.Authenticate(first, opaque("opaque")); !errors.Is(err, context.Canceled) {
				t.Errorf("the client that went away got %v", err)
			}
		})
		synctest.Wait()
		for range 100 {
			all.Go(func() {
				if id, err := i.Authenticate(t.Context(), opaque("opaque")); err == nil && id.Subject == "alice" {
					passed.Add(1)
				}
			})
		}
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			start := time.Now()
			_, err := i.Authenticate(ctx, opaque("opaque"))
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 100*time.Millisecond {
				t.Errorf("the client in a hurry got %v after %s", err, time.Since(start))
			}
		})
		synctest.Wait()
		leave()
		all.Wait()
		if passed.Load() != 100 || e.asked() != 1 {
			t.Errorf("%d of 100 passed, the endpoint was asked %d times", passed.Load(), e.asked())
		}
	})
}

func TestFloodOfDifferentTokensIsBoundedAtTheEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int64
		e := &endpoint{answer: says(`{"active":false}`), wait: func(ctx context.Context) error {
			n := now.Add(1)
			defer now.Add(-1)
			for old := most.Load(); n > old; old = most.Load() {
				if most.CompareAndSwap(old, n) {
					break
				}
			}
			<-ctx.Done()
			return ctx.Err()
		}}
		i := introspection(introspectionServer(t, entry(nil), e))
		var all sync.WaitGroup
		for n := range 10_000 {
			all.Go(func() {
				id, err := i.Authenticate(t.Context(), opaque(fmt.Sprintf("forged-%d", n)))
				if got := verdict(t, id, err); got != outage {
					t.Errorf("%s", got)
				}
			})
		}
		start := time.Now()
		all.Wait()
		if most.Load() > 64 || time.Since(start) > 2*time.Second {
			t.Errorf("%d calls at once; the last answer after %s", most.Load(), time.Since(start))
		}
	})
}

func TestSeveralServersAreAskedInTheirOrder(t *testing.T) {
	const yes, no, down = `{"active":true,"sub":"alice"}`, `{"active":false}`, ""
	for name, c := range map[string]struct {
		answers []string
		want    string
		asked   []int
	}{
		"the first knows it":                    {[]string{yes, yes}, accepted, []int{1, 0}},
		"the second knows it":                   {[]string{no, yes}, accepted, []int{1, 1}},
		"nobody knows it":                       {[]string{no, no}, authn.ReasonTokenInactive, []int{1, 1}},
		"one that is down, the other knows it":  {[]string{down, yes}, accepted, []int{1, 1}},
		"one that is down, the other does not":  {[]string{down, no}, outage, []int{1, 1}},
		"the other way round":                   {[]string{no, down}, outage, []int{1, 1}},
		"one that knows it and finds it wanted": {[]string{`{"active":true}`, yes}, "missing_claim", []int{1, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			var ends []*endpoint
			var servers []*authn.IntrospectionServer
			for n, body := range c.answers {
				e := &endpoint{answer: func(*http.Request, url.Values) (int, string) {
					if body == down {
						return http.StatusBadGateway, ""
					}
					return http.StatusOK, body
				}}
				ends = append(ends, e)
				servers = append(servers, introspectionServer(t, entry(func(c *config.Introspection) { c.Name = fmt.Sprintf("s%d", n) }), e))
			}
			id, err := introspection(servers...).Authenticate(t.Context(), opaque("opaque"))
			if got := verdict(t, id, err); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			for n, e := range ends {
				if e.asked() != c.asked[n] {
					t.Errorf("server %d was asked %d times, want %d", n, e.asked(), c.asked[n])
				}
			}
		})
	}
}

// TestTwoTokensAndTwoServersAreNeverConfused (CVE-2026-71326): in parallel, each
// request gets the answer to its own token from its own server.
func TestTwoTokensAndTwoServersAreNeverConfused(t *testing.T) {
	named := func(server string) *endpoint {
		return &endpoint{answer: func(_ *http.Request, form url.Values) (int, string) {
			return http.StatusOK, fmt.Sprintf(`{"active":true,"sub":"%s at %s"}`, form.Get("token"), server)
		}}
	}
	// Without a cache, and with one.
	for _, ttl := range []time.Duration{0, 30 * time.Second} {
		cfg := entry(func(c *config.Introspection) { c.CacheTTL = ttl })
		kinds := map[string]*authn.Introspection{
			"s1": introspection(introspectionServer(t, cfg, named("s1"))),
			"s2": introspection(introspectionServer(t, cfg, named("s2"))),
		}
		var all sync.WaitGroup
		for range 200 {
			for server, i := range kinds {
				for _, token := range []string{"t1", "t2", "t12", "T1"} {
					all.Go(func() {
						id, err := i.Authenticate(t.Context(), opaque(token))
						if err != nil || id.Subject != token+" at "+server {
							t.Errorf("%s at %s: %v, %v", token, server, id, err)
						}
					})
				}
			}
		}
		all.Wait()
	}
}

func TestKnownTokenCostsFewAllocationsAndSharesItsIdentity(t *testing.T) {
	e := &endpoint{answer: says(`{"active":true,"sub":"alice"}`)}
	i := introspection(introspectionServer(t, entry(nil), e)).For(nil)
	r := request("Authorization", "Bearer opaque-token-of-a-usual-length-for-such-servers")
	chain := authn.Order(authn.Chain{i})
	once := func() any {
		_, cred, err := chain.Extract(r, true)
		if err != nil {
			t.Fatal(err)
		}
		id, err := i.Authenticate(t.Context(), cred)
		if err != nil {
			t.Fatal(err)
		}
		return id.Memo
	}
	memo := once()
	if got := testing.AllocsPerRun(100, func() { once() }); got > 4 {
		t.Errorf("%.0f allocations", got)
	}
	if once() != memo {
		t.Error("the same token has two identities, whose headers are computed twice")
	}
}

func BenchmarkIntrospection(b *testing.B) {
	for _, lie := range []bool{false, true} {
		b.Run(map[bool]string{false: "cached", true: "forged"}[lie], func(b *testing.B) {
			e := &endpoint{answer: says(fmt.Sprintf(`{"active":%t,"sub":"alice"}`, !lie))}
			i := introspection(introspectionServer(b, entry(nil), e))
			c := opaque("opaque-token-of-a-usual-length-for-such-servers")
			_, _ = i.Authenticate(b.Context(), c)
			b.ReportAllocs()
			for b.Loop() {
				_, _ = i.Authenticate(b.Context(), c)
			}
		})
	}
}
