package login_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/login"
	"github.com/sallyport/sallyport/gateway/login/oidctest"
)

func TestIDTokenThatProvesNothingIsRefused(t *testing.T) {
	op := oidctest.New(t)
	claims := func(change func(map[string]any)) func(*oidctest.Script) {
		return func(s *oidctest.Script) { s.IDTokenClaims = change }
	}
	now := time.Now()
	tests := map[string]func(*oidctest.Script){
		"unsigned":                        func(s *oidctest.Script) { s.SignIDToken = oidctest.Unsigned },
		"signed with the client secret":   func(s *oidctest.Script) { s.SignIDToken = oidctest.SignSecret },
		"signed with another key":         func(s *oidctest.Script) { s.SignIDToken = op.SignForeign },
		"absent":                          func(s *oidctest.Script) { s.TokenAnswer = func(m map[string]any) { delete(m, "id_token") } },
		"not a string":                    func(s *oidctest.Script) { s.TokenAnswer = func(m map[string]any) { m["id_token"] = []string{"x"} } },
		"not a token":                     func(s *oidctest.Script) { s.SignIDToken = func(map[string]any) string { return "a.b.c" } },
		"without nonce":                   claims(func(c map[string]any) { delete(c, "nonce") }),
		"with another nonce":              claims(func(c map[string]any) { c["nonce"] = "x" }),
		"with the nonce of another login": claims(func(c map[string]any) { c["nonce"] = op.Authorizations()[0].Get("nonce") }),
		"for another audience":            claims(func(c map[string]any) { c["aud"] = "other" }),
		"for several without azp":         claims(func(c map[string]any) { c["aud"] = []string{"other", oidctest.ClientID} }),
		"with another azp":                claims(func(c map[string]any) { c["azp"] = "other" }),
		"of another issuer":               claims(func(c map[string]any) { c["iss"] = "https://evil.test" }),
		"of the issuer with a slash":      claims(func(c map[string]any) { c["iss"] = op.Issuer + "/" }),
		"expired":                         claims(func(c map[string]any) { c["exp"] = now.Add(-2 * time.Minute).Unix() }),
		"without exp":                     claims(func(c map[string]any) { delete(c, "exp") }),
		"not valid yet":                   claims(func(c map[string]any) { c["nbf"] = now.Add(3 * time.Minute).Unix() }),
		"without sub":                     claims(func(c map[string]any) { delete(c, "sub") }),
		"with an empty sub":               claims(func(c map[string]any) { c["sub"] = "" }),
		"of another access token":         claims(func(c map[string]any) { c["at_hash"] = "AAAAAAAAAAAAAAAAAAAAAA" }),
	}
	g := newGateway(t, corp(op)).waitReady(t)
	g.browser(t).beginLogin("/") // the other login, whose nonce is tried
	for name, script := range tests {
		t.Run(name, func(t *testing.T) {
			b := g.browser(t)
			callback := b.beginLogin("/")
			op.Set(script)
			defer op.Reset()
			refused(t, b, b.get(callback), http.StatusBadRequest, login.ReasonInvalidIDToken)
		})
	}
}

func TestReplayedIDTokenIsRefused(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op)).waitReady(t)
	stolen := ""
	op.Set(func(s *oidctest.Script) {
		s.SignIDToken = func(c map[string]any) string { stolen = op.Sign(maps.Clone(c)); return stolen }
	})
	g.browser(t).signIn("/")
	op.Set(func(s *oidctest.Script) {
		s.SignIDToken = nil
		s.TokenAnswer = func(m map[string]any) { m["id_token"] = stolen }
	})
	b := g.browser(t)
	if got := b.get(b.beginLogin("/")); got.StatusCode != http.StatusBadRequest || b.session() != "" {
		t.Errorf("answered with %d", got.StatusCode)
	}
}

func TestClockOfTheProviderMayBeOffByAMinute(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op)).waitReady(t)
	for name, change := range map[string]func(map[string]any){
		"it is slow": func(c map[string]any) {
			c["iat"], c["exp"] = time.Now().Add(-5*time.Minute).Unix(), time.Now().Add(-50*time.Second).Unix()
		},
		"it is fast": func(c map[string]any) {
			c["iat"], c["nbf"] = time.Now().Add(50*time.Second).Unix(), time.Now().Add(50*time.Second).Unix()
		},
	} {
		t.Run(name, func(t *testing.T) {
			op.Set(func(s *oidctest.Script) { s.IDTokenClaims = change })
			g.browser(t).signIn("/")
		})
	}
}

func TestUserinfoCountsOnlyForTheSameSubject(t *testing.T) {
	op := oidctest.New(t)
	tests := map[string]struct {
		script func(*oidctest.Script)
		status int
	}{
		"another subject":     {func(s *oidctest.Script) { s.Userinfo = func(m map[string]any) { m["sub"] = "admin" } }, 400},
		"no subject":          {func(s *oidctest.Script) { s.Userinfo = func(m map[string]any) { delete(m, "sub") } }, 400},
		"subject of a number": {func(s *oidctest.Script) { s.Userinfo = func(m map[string]any) { m["sub"] = 7 } }, 400},
		"a list":              {func(s *oidctest.Script) { s.UserinfoBody = `[{"sub":"alice"}]` }, 400},
		"null":                {func(s *oidctest.Script) { s.UserinfoBody = `null` }, 400},
		"an unsigned JWT": {func(s *oidctest.Script) {
			s.UserinfoType = "application/jwt"
			s.UserinfoBody = oidctest.Unsigned(map[string]any{"sub": "alice"})
		}, 400},
		"HTML":                 {func(s *oidctest.Script) { s.UserinfoType = "text/html" }, 400},
		"401":                  {func(s *oidctest.Script) { s.UserinfoStatus = 401 }, 400},
		"a redirect":           {func(s *oidctest.Script) { s.UserinfoStatus = 302 }, 400},
		"500":                  {func(s *oidctest.Script) { s.UserinfoStatus = 500 }, 503},
		"more than a megabyte": {func(s *oidctest.Script) { s.UserinfoBody = `{"sub":"alice","x":"` + strings.Repeat("a", 2<<20) + `"}` }, 400},
	}
	g := newGateway(t, corp(op)).waitReady(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := g.browser(t)
			callback := b.beginLogin("/")
			op.Set(tt.script)
			defer op.Reset()
			reason := login.ReasonInvalidUserinfo
			if tt.status == http.StatusServiceUnavailable {
				reason = login.ReasonProviderUnavailable
			}
			refused(t, b, b.get(callback), tt.status, reason)
		})
	}
	op.Set(func(s *oidctest.Script) {
		s.Claims = map[string]any{"name": "of the ID token"}
		s.Userinfo = func(m map[string]any) { m["name"], m["groups"] = "of userinfo", []string{"staff"} }
	})
	g.browser(t).signIn("/")
	id := g.Store.all()[0].Identity
	if id.Email != "alice@example.com" || !id.EmailVerified || id.Name != "of the ID token" || len(id.Groups) != 1 {
		t.Errorf("merged into %+v", id)
	}
}

func TestTokenEndpointTroubleIsToldApart(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op)).waitReady(t)
	tests := map[string]struct {
		status int
		code   string
		want   int
		reason string
	}{
		"the code is no good":      {400, "invalid_grant", 400, login.ReasonInvalidGrant},
		"the client is no good":    {401, "invalid_client", 400, login.ReasonProviderError},
		"the endpoint is broken":   {500, "", 503, login.ReasonProviderUnavailable},
		"the endpoint is too busy": {429, "", 503, login.ReasonProviderUnavailable},
		"the endpoint redirects":   {307, "", 400, login.ReasonProviderError},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := g.browser(t)
			callback := b.beginLogin("/")
			op.Set(func(s *oidctest.Script) { s.TokenStatus, s.TokenError = tt.status, tt.code })
			defer op.Reset()
			got := b.get(callback)
			refused(t, b, got, tt.want, tt.reason)
			if tt.want == http.StatusServiceUnavailable && got.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		})
	}
}

func TestNoSecretFollowsARedirect(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op)).waitReady(t)
	var strangers atomic.Int32
	stranger := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { strangers.Add(1) }))
	t.Cleanup(stranger.Close)
	for _, target := range []string{stranger.URL, op.Issuer + "/elsewhere"} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			for name, script := range map[string]func(*oidctest.Script){
				"token":    func(s *oidctest.Script) { s.TokenStatus, s.Redirect = status, target },
				"userinfo": func(s *oidctest.Script) { s.UserinfoStatus, s.Redirect = status, target },
			} {
				b := g.browser(t)
				callback := b.beginLogin("/")
				op.Set(script)
				if got := b.get(callback); got.StatusCode != http.StatusBadRequest || b.session() != "" {
					t.Errorf("%s endpoint with %d: answered with %d %s", name, status, got.StatusCode, got.body)
				}
				op.Reset()
			}
		}
	}
	if n := strangers.Load(); n != 0 {
		t.Errorf("another host was asked %d times", n)
	}
}

func TestKeysThatCannotBeFetchedAreAnOutage(t *testing.T) {
	op := oidctest.New(t)
	op.Set(func(s *oidctest.Script) { s.KeysStatus = http.StatusInternalServerError })
	g := newGateway(t, corp(op)).waitReady(t)
	b := g.browser(t)
	refused(t, b, b.get(b.beginLogin("/")), http.StatusServiceUnavailable, login.ReasonProviderUnavailable)
}
