//go:build e2e

package e2e_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// api is an application that is sent the provider's access token, and asks the
// provider about it (RFC 7662). It answers 200 to a token that is good there.
func (s *site) api(t *testing.T) string {
	t.Helper()
	asks := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	t.Cleanup(asks.CloseIdleConnections)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, s.provider.Issuer+"/token/introspection",
			strings.NewReader(url.Values{"token": {token}}.Encode()))
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth("web", clientSecret)
		res, err := asks.Do(req)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer res.Body.Close()
		var answer struct {
			Active bool `json:"active"`
		}
		if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || !answer.Active {
			w.WriteHeader(http.StatusGone)
		}
	}))
	t.Cleanup(app.Close)
	return app.URL
}

// ask sends a request whose answer may never come.
func (s *site) ask(path, cookie string) error {
	req, err := http.NewRequest(http.MethodGet, s.url+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Cookie", cookie)
	res, err := (&http.Client{Timeout: 10 * time.Second}).Do(req)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

// startRenewing starts a site whose access tokens live 4 s, with an
// application that wants good ones.
func startRenewing(t *testing.T, gateways int, provider env.OIDCProviderOptions) *site {
	t.Helper()
	provider.AccessToken = 4 * time.Second
	s := startSite(t, siteOptions{
		gateways: gateways, provider: provider,
		session: "refresh: {ahead: 2s, grace: 3s, min_remaining: 1s}",
		app:     func(s *site) string { return s.api(t) },
		routes:  []string{`- {name: api, paths: [/api], upstream: "APP", policy: authenticated, forward_access_token: true}`},
	})
	s.waitReady(t)
	return s
}

// TestRefreshWithRotation: somebody works on while his access token expires
// several times. The provider's refresh tokens can be used once, and a second
// use would end everything; the application never sees a token that is no good.
func TestRefreshWithRotation(t *testing.T) {
	t.Parallel()
	s := startRenewing(t, 2, env.OIDCProviderOptions{TokenBytes: 8 << 10, Groups: 300})
	p := s.person(t)
	p.wantAt(p.signIn("/", "alice"), "/")
	cookie, wrong := "sp="+p.cookie("sp"), 0
	env.WaitUntil(t, "three refreshes", func() bool {
		got := send(t, client(t), http.MethodGet, s.url+"/api", "Cookie", cookie)
		if got.status != http.StatusOK || len(got.header["Set-Cookie"]) != 0 {
			if wrong++; wrong <= 5 {
				t.Errorf("status %d, cookies %q: %.200s", got.status, got.header["Set-Cookie"], got.body)
			}
		}
		return s.provider.Counts().Refreshes() >= 3
	})
	if counts := s.provider.Counts(); len(counts.Refused) != 0 || counts.Codes() != 1 || counts.Refreshes() > 4 {
		t.Errorf("the provider has seen %+v", counts)
	}
	p.wantAt(p.open("/afterwards"), "/afterwards")
}

// TestStampedeAtExpiry: 200 requests come at once, at three gateways, when the
// access token has expired and the provider is slow. It is asked once.
func TestStampedeAtExpiry(t *testing.T) {
	t.Parallel()
	s := startRenewing(t, 3, env.OIDCProviderOptions{})
	p := s.person(t)
	p.wantAt(p.signIn("/", "alice"), "/")
	expired, cookie := time.Now().Add(4*time.Second), "sp="+p.cookie("sp")
	s.provider.Behave(env.OIDCBehaviour{Delay: 800 * time.Millisecond})
	env.WaitUntil(t, "the access token has expired", func() bool { return time.Now().After(expired) })

	c := client(t)
	c.Timeout, c.Jar = 20*time.Second, nil
	var wait sync.WaitGroup
	var good atomic.Int64
	for range 200 {
		wait.Go(func() {
			if got := send(t, c, http.MethodGet, s.url+"/api", "Cookie", cookie); got.status == http.StatusOK && len(got.header["Set-Cookie"]) == 0 {
				good.Add(1)
			}
		})
	}
	wait.Wait()
	if counts := s.provider.Counts(); good.Load() != 200 || counts.Refreshes() != 1 || len(counts.Refused) != 0 {
		t.Errorf("%d good answers; the provider has seen %+v", good.Load(), counts)
	}
}

// TestHolderOfARefreshIsKilled: the gateway that redeems the refresh token is
// killed in the middle, and the provider has rotated it. The person signs in
// once more at most, and sees no error.
func TestHolderOfARefreshIsKilled(t *testing.T) {
	t.Parallel()
	s := startRenewing(t, 2, env.OIDCProviderOptions{})
	p := s.person(t)
	p.wantAt(p.signIn("/", "alice"), "/")
	expired, cookie, before := time.Now().Add(4*time.Second), "sp="+p.cookie("sp"), s.provider.Counts()
	s.provider.Behave(env.OIDCBehaviour{Delay: 2 * time.Second})
	env.WaitUntil(t, "the access token has expired", func() bool { return time.Now().After(expired) })

	s.only.Store(0)
	var wait sync.WaitGroup
	wait.Go(func() { _ = s.ask("/api", cookie) })
	env.WaitUntil(t, "the refresh token is being redeemed", func() bool { return s.provider.Counts().TokenPending > 0 })
	s.gateways[0].Kill()
	s.only.Store(1)
	wait.Wait()
	env.WaitUntil(t, "the provider has rotated", func() bool { return s.provider.Counts().Refreshes() == before.Refreshes()+1 })
	s.provider.Behave(env.OIDCBehaviour{})

	got := p.open("/api")
	if got.status == http.StatusOK && strings.HasPrefix(got.url, s.provider.Issuer) {
		got = p.answer(got, "account", "alice")
	}
	p.wantAt(got, "/api")
	if after := s.provider.Counts(); after.Codes() > before.Codes()+1 {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

// TestRefreshWhileTheProviderIsDown: its trouble signs nobody out. When the
// grace is over the answer is 503, and all is well when it is back.
func TestRefreshWhileTheProviderIsDown(t *testing.T) {
	t.Parallel()
	s := startRenewing(t, 1, env.OIDCProviderOptions{})
	p := s.person(t)
	p.wantAt(p.signIn("/", "alice"), "/")
	cookie := "sp=" + p.cookie("sp")
	s.provider.Behave(env.OIDCBehaviour{Status: http.StatusServiceUnavailable})
	for _, status := range []int{http.StatusServiceUnavailable, http.StatusOK} {
		env.WaitUntil(t, "the answer is "+http.StatusText(status), func() bool {
			got := send(t, client(t), http.MethodGet, s.url+"/", "Cookie", cookie)
			if got.status != http.StatusOK && got.status != http.StatusServiceUnavailable || len(got.header["Set-Cookie"]) != 0 {
				t.Fatalf("status %d, cookies %q", got.status, got.header["Set-Cookie"])
			}
			return got.status == status
		})
		s.provider.Behave(env.OIDCBehaviour{})
	}
}
