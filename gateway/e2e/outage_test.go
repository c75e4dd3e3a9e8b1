//go:build e2e

package e2e_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/tlstest"
)

// sessions signs in n times, at the gateways in turn.
func (f *fleet) sessions(t *testing.T, n int) []string {
	t.Helper()
	cookies := make([]string, n)
	for i := range cookies {
		cookies[i] = f.signIn(t, f.gateways[i%len(f.gateways)], "alice")
	}
	return cookies
}

// allWork fails unless every session is served by every gateway.
func (f *fleet) allWork(t *testing.T, cookies []string) {
	t.Helper()
	// A shard that is back is noticed within a quarter of a second.
	patience := time.Now().Add(5 * time.Second)
	for _, g := range f.gateways {
		f.waitStatus(t, g, cookies[0], http.StatusOK)
		for _, cookie := range cookies {
			env.WaitUntil(t, "a session is served", func() bool {
				r := f.get(g, "/", cookie)
				if r.status != http.StatusOK && (r.status != http.StatusServiceUnavailable || time.Now().After(patience)) {
					t.Fatalf("after the outage: %v", r)
				}
				return r.status == http.StatusOK
			})
		}
	}
}

// TestCrashOfTheStoreSignsNobodyOut kills Valkey under load and starts it again,
// twice. Answers are 200 or 503; cookies stay, nobody is sent to sign in.
func TestCrashOfTheStoreSignsNobodyOut(t *testing.T) {
	server := env.StartValkey(t, env.ValkeyArgs("--appendonly", "yes"))
	f := startFleet(t, 2, valkeyAt(server.URL()), "")
	cookies := f.sessions(t, 200)
	for range 2 {
		stop := f.load(cookies, 16, 2*time.Millisecond, f.gateways...)
		f.waitStatus(t, f.gateways[0], cookies[0], http.StatusOK)
		server.Kill()
		f.waitStatus(t, f.gateways[0], cookies[0], http.StatusServiceUnavailable)

		// What needs no session goes on, what would change one says so.
		if r := f.get(f.gateways[0], "/assets/x", cookies[0]); r.status != http.StatusOK {
			t.Errorf("a public page during the outage: %v", r)
		}
		if _, status := f.trySignIn(f.gateways[0], "alice"); status != http.StatusServiceUnavailable {
			t.Errorf("signing in during the outage: %d", status)
		}
		if status := f.signOut(f.gateways[0], cookies[0]); status != http.StatusServiceUnavailable {
			t.Errorf("signing out during the outage: %d", status)
		}
		res, err := f.client.Get(f.gateways[0].AdminURL + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()

		begin := time.Now()
		server.Restart()
		f.waitStatus(t, f.gateways[0], cookies[0], http.StatusOK)
		back := time.Since(begin)
		f.allWork(t, cookies)
		ok, unavailable := count(t, stop())
		t.Logf("crash and restart under load: %d answers 200, %d answers 503; served again %v after the start", ok, unavailable, back)
		if unavailable == 0 {
			t.Error("there was no outage")
		}
	}
}

// TestFrozenStore stops Valkey without closing anything. Cached sessions are
// served for max_staleness; nothing waits longer than the deadline.
func TestFrozenStore(t *testing.T) {
	const deadline, slack = 250 * time.Millisecond, 50 * time.Millisecond
	server := env.StartValkey(t)
	f := startFleet(t, 1, valkeyAt(server.URL())+", timeout: 250ms", "cache: {max_staleness: 3s}")
	g := f.gateways[0]
	cached, cold := f.sessions(t, 20), f.sessions(t, 20)
	for _, cookie := range cached {
		f.waitStatus(t, g, cookie, http.StatusOK)
	}
	f.client.CloseIdleConnections()
	baseline := f.metric(t, g, "go_goroutines")

	server.Freeze()
	frozen := time.Now()
	var results []result
	var mu sync.Mutex
	var wait sync.WaitGroup
	for range 3 { // several rounds, as requests come
		for _, cookie := range cold {
			wait.Go(func() {
				r := f.get(g, "/", cookie)
				mu.Lock()
				defer mu.Unlock()
				results = append(results, r)
			})
		}
		wait.Wait()
	}
	if ok, _ := count(t, results); ok > 0 {
		t.Errorf("%d sessions that were not cached were served", ok)
	}
	for _, cookie := range cached {
		if r := f.get(g, "/", cookie); r.status != http.StatusOK && time.Since(frozen) < 2*time.Second {
			t.Errorf("%v after the freeze, a cached session: %v", time.Since(frozen), r)
		}
	}
	f.waitStatus(t, g, cached[0], http.StatusServiceUnavailable)
	served := time.Since(frozen)
	if served > 3*time.Second+500*time.Millisecond {
		t.Errorf("a cached session was served %v after the freeze", served)
	}
	for range 200 {
		results = append(results, f.get(g, "/", cold[0]))
	}
	var took, open []time.Duration
	for i, r := range results {
		if took = append(took, r.took); i >= len(results)-200 {
			open = append(open, r.took)
		}
		if r.took > deadline+slack+raceSlack {
			t.Errorf("a request took %v", r.took)
		}
	}
	t.Logf("frozen store: requests took %s; once it is known to be dead %s; cached sessions were served for %v", spread(took), spread(open), served)

	server.Thaw()
	f.allWork(t, append(cached, cold...))
	env.WaitUntil(t, "the goroutines return to the baseline", func() bool {
		f.client.CloseIdleConnections()
		return f.metric(t, g, "go_goroutines") <= baseline+5
	})
	t.Logf("goroutines: %.0f before, %.0f after", baseline, f.metric(t, g, "go_goroutines"))
}

// TestPausesOfTheStoreGoUnnoticed: a store that pauses for less than the
// deadline costs time and nothing else.
func TestPausesOfTheStoreGoUnnoticed(t *testing.T) {
	server := env.StartValkey(t, env.ValkeyDebug())
	f := startFleet(t, 1, valkeyAt(server.URL())+", timeout: 1s", "")
	cookies := f.sessions(t, 50)
	stop := f.load(cookies, 8, 5*time.Millisecond, f.gateways...)
	server.Do("CLIENT", "PAUSE", "300", "ALL")
	server.Do("DEBUG", "SLEEP", "0.3")
	server.Do("CLIENT", "PAUSE", "300", "WRITE")
	f.allWork(t, cookies)
	if ok, unavailable := count(t, stop()); unavailable > 0 {
		t.Errorf("%d answers 200, %d answers 503", ok, unavailable)
	}
	env.WaitUntil(t, "every session to count as active", func() bool {
		return f.metric(t, f.gateways[0], "sallyport_sessions_active") == float64(len(cookies))
	})
}

// TestClientsThatLeaveEndNothing cancel requests in the middle of the look-up.
func TestClientsThatLeaveEndNothing(t *testing.T) {
	server := env.StartValkey(t)
	way := env.StartTCPProxy(t, server.Addr)
	f := startFleet(t, 1, valkeyAt("valkey://"+way.Addr)+", timeout: 1s", "")
	cookies := f.sessions(t, 50)
	deleted := server.CommandCalls("del")
	way.Delay(50 * time.Millisecond) // 100 ms a round trip
	impatient := &http.Client{Timeout: 20 * time.Millisecond, Transport: f.client.Transport}
	var wait sync.WaitGroup
	for _, cookie := range cookies {
		wait.Go(func() {
			req, err := http.NewRequest(http.MethodGet, f.gateways[0].URL+"/", nil)
			if err != nil {
				t.Error(err)
				return
			}
			req.Header.Set("Cookie", cookie)
			if res, err := impatient.Do(req); err == nil {
				res.Body.Close()
			}
		})
	}
	wait.Wait()
	way.Delay(0)
	f.allWork(t, cookies)
	if n := server.CommandCalls("del"); n > deleted {
		t.Errorf("%d keys were deleted", n-deleted)
	}
}

// TestStoreThatIsDownAtTheStart is an outage like any other: no crash, a log
// line that names the failing step, and service as soon as it is there.
func TestStoreThatIsDownAtTheStart(t *testing.T) {
	t.Parallel()
	ca, other := tlstest.New(t), tlstest.New(t)
	primary := env.StartValkey(t, env.ValkeyPassword("the-right-password"))
	replica := env.StartValkey(t, env.ValkeyArgs("--replicaof", "127.0.0.1 "+primary.Addr[strings.LastIndex(primary.Addr, ":")+1:], "--primaryauth", "the-right-password"))
	tls := env.StartValkey(t, env.ValkeyTLS(ca))
	limited := env.StartValkey(t, env.ValkeyACL("operator", "o", "user default off", "user operator on >o ~* &* +@all",
		"user weak on >w ~* &* +@all -client|caching"))
	env.Secret("Valkey password", "the-wrong-password")
	for _, c := range []struct{ name, valkey, step string }{
		{"an address that nobody listens at", "urls: [valkey://127.0.0.1:1]", "connect"},
		{"a name that does not exist", "urls: [valkey://valkey.invalid]", "resolve"},
		{"a certificate of another authority", "urls: [valkeys://localhost:" + tls.Addr[strings.LastIndex(tls.Addr, ":")+1:] + "], tls: {ca_file: " + other.CertFile + "}", "tls"},
		{"a wrong password", valkeyAt(primary.URL()) + ", password: the-wrong-password", "auth"},
		{"no password", valkeyAt(primary.URL()), "auth"},
		{"a replica", valkeyAt(replica.URL()), "role"},
		{"a user without a right", valkeyAt(limited.URL()) + ", username: weak, password: w", "permissions"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := startFleet(t, 1, c.valkey, "").gateways[0]
			env.WaitUntil(t, "the log names the step "+c.step, func() bool { return strings.Contains(g.Output(), `"step":"`+c.step+`"`) })
			if got := send(t, client(t), "GET", g.URL+"/", "Cookie", "sp=x"); got.status != http.StatusUnauthorized {
				t.Errorf("without a session: %d", got.status)
			}
			env.WaitUntil(t, "readyz shows the store", func() bool {
				got := send(t, client(t), "GET", g.AdminURL+"/readyz")
				return got.status == http.StatusServiceUnavailable && strings.Contains(got.body, `"name":"store"`) && strings.Contains(got.body, "failing")
			})
			if strings.Contains(g.Output(), "wrong") && strings.Contains(g.Output(), "password: wrong") {
				t.Error("the password is in the log")
			}
		})
	}

	t.Run("it is there later", func(t *testing.T) {
		t.Parallel()
		server := env.StartValkey(t)
		server.Shutdown()
		f := startFleet(t, 1, valkeyAt(server.URL()), "")
		if _, status := f.trySignIn(f.gateways[0], "alice"); status != http.StatusServiceUnavailable {
			t.Errorf("signing in: %d", status)
		}
		server.Restart()
		var cookie string
		env.WaitUntil(t, "signing in works", func() bool {
			cookie, _ = f.trySignIn(f.gateways[0], "alice")
			return cookie != ""
		})
		f.waitStatus(t, f.gateways[0], cookie, http.StatusOK)
		env.WaitUntil(t, "readyz is ready", func() bool {
			return send(t, client(t), "GET", f.gateways[0].AdminURL+"/readyz").status == http.StatusOK
		})
	})
}

// TestBrowserInAnOutage: a person sees a page that says what is the matter, and
// is still signed in afterwards.
func TestBrowserInAnOutage(t *testing.T) {
	t.Parallel()
	server := env.StartValkey(t, env.ValkeyArgs("--appendonly", "yes"))
	f := startFleet(t, 1, valkeyAt(server.URL()), "")
	g := f.gateways[0]
	browser := env.StartBrowser(t)
	page := g.URL + "/reports?year=2026"
	browser.Open(page)
	browser.Click(`form:has(input[value="alice"]) button, button[value="alice"]`)
	browser.WaitText("X-Forwarded-User")
	cookie := browser.Cookie(g.URL, "sp")
	server.Kill()
	f.waitStatus(t, g, "sp="+cookie, http.StatusServiceUnavailable) // the cut is known a moment later
	browser.Open(page)
	browser.WaitText("You have not been signed out.")
	browser.Screenshot("outage")
	if at := browser.URL(); at != page {
		t.Errorf("during the outage at %s", at)
	}
	server.Restart()
	f.waitStatus(t, g, "sp="+cookie, http.StatusOK)
	browser.Open(page)
	browser.WaitText("alice@example.com")
	if at, now := browser.URL(), browser.Cookie(g.URL, "sp"); at != page || now != cookie {
		t.Errorf("after the outage at %s, the cookie is the same: %v", at, now == cookie)
	}
}
