//go:build e2e

package e2e_test

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// TestLargeTokensBehindSmallLimits: the provider's tokens have 60 kB, with 300
// groups. The browser carries one small cookie, every answer fits the 4 kB that
// proxies in front give to its headers, and the application, which takes 8 kB,
// sees neither cookie nor tokens.
func TestLargeTokensBehindSmallLimits(t *testing.T) {
	t.Parallel()
	const limit = 8 << 10
	app := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var b strings.Builder
		_ = r.Header.Write(&b)
		if b.Len() > limit {
			w.WriteHeader(http.StatusRequestHeaderFieldsTooLarge)
			return
		}
		_ = json.NewEncoder(w).Encode(r.Header)
	}))
	app.Config.MaxHeaderBytes = limit
	app.Start()
	t.Cleanup(app.Close)

	s := startSite(t, siteOptions{
		provider: env.OIDCProviderOptions{TokenBytes: 24 << 10, Groups: 300, BulkBytes: 4 << 10},
		routes:   []string{`- {name: java, paths: [/java], upstream: "` + app.URL + `", policy: authenticated}`},
	})
	s.waitReady(t)
	p := s.person(t)
	got := p.signIn("/java/start", "alice")
	p.wantAt(got, "/java/start")
	if !strings.Contains(got.body, "group-0299") {
		t.Errorf("the application was not told of all groups: %.300s", got.body)
	}
	for range 3 {
		got = p.open("/java/page")
		p.wantAt(got, "/java/page")
		if strings.Contains(got.body, `"Cookie"`) || strings.Contains(got.body, "bbbb") {
			t.Errorf("the application was sent too much: %.300s", got.body)
		}
	}
	for _, h := range p.hops {
		if strings.HasPrefix(h.url, s.url) && h.size >= 4<<10 {
			t.Errorf("the answer at %s has %d bytes of headers", h.url, h.size)
		}
		for _, c := range h.setCookie {
			if size := len(c.Raw); strings.HasPrefix(h.url, s.url) && size >= 256 {
				t.Errorf("a cookie of %d bytes is set at %s", size, h.url)
			}
		}
	}
	if header := "Cookie: sp=" + p.cookie("sp"); len(header) >= 60 {
		t.Errorf("every request carries %d bytes: %s", len(header), header)
	}
}

// TestLargeTokensAtASlowProvider: a provider that takes its time, and sends much,
// is waited for, and the connection of the browser is not given up.
func TestLargeTokensAtASlowProvider(t *testing.T) {
	t.Parallel()
	s := startSite(t, siteOptions{provider: env.OIDCProviderOptions{TokenBytes: 20 << 10}})
	s.waitReady(t)
	p := s.person(t)
	at := p.open("/slow")
	p.wantProvider(at)
	s.provider.Behave(env.OIDCBehaviour{Delay: 2 * time.Second})
	p.wantAt(p.answer(at, "account", "alice"), "/slow")
	if got := s.provider.Counts(); got.Codes() != 1 || len(got.Refused) != 0 {
		t.Errorf("the provider has seen %+v", got)
	}
}

// TestHalfOpenCallback: the browser gives up while its code is being redeemed,
// and asks again. It gets a page, and no loop.
func TestHalfOpenCallback(t *testing.T) {
	t.Parallel()
	s := startSite(t, siteOptions{})
	s.waitReady(t)
	p := s.person(t)
	at := p.open("/half")
	p.wantProvider(at)
	callback := p.callback(at)
	cookie := "sp_login=" + p.cookie("sp_login")
	s.provider.Behave(env.OIDCBehaviour{Delay: time.Second})

	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	host := strings.TrimPrefix(s.url, "http://")
	if _, err := conn.Write([]byte("GET " + strings.TrimPrefix(callback, s.url) + " HTTP/1.1\r\nHost: " + host + "\r\nAccept: text/html\r\nCookie: " + cookie + "\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	env.WaitUntil(t, "the callback is being answered", func() bool { return s.provider.Counts().TokenPending > 0 })
	_ = conn.Close()
	env.WaitUntil(t, "the provider has done", func() bool { return s.provider.Counts().TokenPending == 0 })

	s.provider.Behave(env.OIDCBehaviour{})
	p.open(callback) // the code may be used up by now
	if got := p.open("/half"); got.url != s.url+"/half" || got.status != http.StatusOK {
		t.Errorf("after it: %s (%d)", got.url, got.status)
	}
}
