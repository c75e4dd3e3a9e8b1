//go:build e2e

package e2e_test

import (
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// TestUnauthenticatedSPAStorm: the session of a dashboard has ended, and its
// open tab goes on asking. Nothing of it starts a sign-in, sets a cookie or
// reaches the store; the next navigation signs in as if nothing had been.
func TestUnauthenticatedSPAStorm(t *testing.T) {
	t.Parallel()
	s := startSite(t, siteOptions{gateways: 2})
	s.waitReady(t)
	p := s.person(t)
	p.wantAt(p.signIn("/dashboard", "alice"), "/dashboard")
	cookie := "sp=" + p.cookie("sp")
	if status := s.signOut(t, cookie); status != http.StatusSeeOther {
		t.Fatalf("sign-out: %d", status)
	}
	before, asked := s.keys(), s.provider.Counts()

	kinds := [][]string{
		{"Accept", "application/json", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Sec-Fetch-Site", "same-origin"},
		{"Accept", "*/*", "X-Requested-With", "XMLHttpRequest"},
		{"Accept", "text/html", "X-Requested-With", "XMLHttpRequest"},
		{"Accept", "image/avif,image/*", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image", "Sec-Fetch-Site", "same-origin"},
		{"Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe", "Sec-Fetch-Site", "same-origin"},
		{"Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Purpose", "prefetch"},
		{"Accept", "application/manifest+json", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "manifest", "Sec-Fetch-Site", "same-origin"},
		{"Accept", "text/event-stream", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Sec-Fetch-Site", "same-origin"},
		{"User-Agent", "health-checker/1.0"},
	}
	const rounds, requests = 40, 30
	c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: requests}}
	t.Cleanup(c.CloseIdleConnections)
	c.CheckRedirect = client(t).CheckRedirect
	var wait sync.WaitGroup
	var wrong atomic.Int64
	var sizes sync.Map // of the headers of answers
	for n := range requests {
		wait.Go(func() {
			for range rounds {
				got := send(t, c, http.MethodGet, s.url+"/api/widgets?n=1", append([]string{"Cookie", cookie}, kinds[n%len(kinds)]...)...)
				switch {
				case got.status != http.StatusUnauthorized, len(got.header["Set-Cookie"]) > 0, got.header.Get("Location") != "":
					if wrong.Add(1) < 5 {
						t.Errorf("%v got %d, cookies %q, location %q", kinds[n%len(kinds)], got.status, got.header["Set-Cookie"], got.header.Get("Location"))
					}
				case !strings.Contains(got.body, `"login_url"`) && !strings.Contains(got.body, "<html"):
					t.Errorf("%v is not told where to sign in: %s", kinds[n%len(kinds)], got.body)
				}
				var b strings.Builder
				got.header.Del("Date")
				got.header.Del("Content-Length") // a request id is as long as another
				_ = got.header.Write(&b)
				if size, loaded := sizes.LoadOrStore(n%len(kinds), b.Len()); loaded && size != b.Len() {
					t.Errorf("the headers of an answer grew from %v to %d bytes", size, b.Len())
				}
			}
		})
	}
	wait.Wait()

	if after := s.keys(); !maps.Equal(before, after) {
		t.Errorf("the store changed: %d keys before, %d after", len(before), len(after))
	}
	if after := s.provider.Counts(); after.Authorization != asked.Authorization || after.PAR != asked.PAR {
		t.Errorf("the provider was asked: before %+v, after %+v", asked, after)
	}
	p.wantAt(p.open("/dashboard"), "/dashboard") // the provider still knows her
}

// keys are the names of everything in the store.
func (s *site) keys() map[string]bool {
	all := map[string]bool{}
	for key := range strings.FieldsSeq(s.valkey.Do("KEYS", "*")) {
		all[key] = true
	}
	return all
}

// TestProviderDownAtStart: the provider is away when the gateway starts. Who is
// signed in goes on, signing in says that it is down, and works as soon as the
// provider is back, without a restart.
func TestProviderDownAtStart(t *testing.T) {
	t.Parallel()
	s := startSite(t, siteOptions{})
	s.waitReady(t)
	p := s.person(t)
	p.wantAt(p.signIn("/", "alice"), "/")
	s.provider.Kill()
	s.restart(t, 0)

	p.wantAt(p.open("/reports?x=1"), "/reports?x=1") // an existing session
	other := s.person(t)
	if got := other.open("/assets/logo.svg"); got.status != http.StatusOK {
		t.Errorf("a public page: %d", got.status)
	}
	got := other.open("/reports")
	if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" || other.cookie("sp_login") != "" {
		t.Errorf("signing in while the provider is down: %d, Retry-After %q, cookie %q", got.status, got.header.Get("Retry-After"), other.cookie("sp_login"))
	}
	if got := send(t, client(t), http.MethodGet, s.url+"/reports", "Accept", "application/json"); got.status != http.StatusUnauthorized {
		t.Errorf("a program without a session: %d, want 401", got.status)
	}
	if got := send(t, client(t), http.MethodGet, s.gateways[0].AdminURL+"/livez"); got.status != http.StatusOK {
		t.Errorf("livez: %d", got.status)
	}

	s.provider.Start() // with other keys: what it knew is gone
	s.waitReady(t)
	third := s.person(t)
	third.wantAt(third.signIn("/reports", "bob"), "/reports")
}

// TestProviderDownInMidLogin: the provider goes away between its page and the
// callback. The person is told so, keeps no half session, and tries again.
func TestProviderDownInMidLogin(t *testing.T) {
	t.Parallel()
	s := startSite(t, siteOptions{})
	s.waitReady(t)
	p := s.person(t)
	at := p.open("/reports")
	p.wantProvider(at)
	s.provider.Behave(env.OIDCBehaviour{Status: http.StatusServiceUnavailable})
	got := p.answer(at, "account", "alice")
	if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" || len(p.sessions()) != 0 {
		t.Errorf("the callback: %d, Retry-After %q, sessions %q", got.status, got.header.Get("Retry-After"), p.sessions())
	}
	s.provider.Behave(env.OIDCBehaviour{})
	if got := p.open("/reports"); got.url != s.url+"/reports" || got.status != http.StatusOK {
		t.Errorf("the next try: %s (%d)", got.url, got.status)
	}
}
