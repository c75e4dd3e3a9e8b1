package gateway_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap/zaptest/observer"

	"github.com/sallyport/sallyport/gateway/login/oidctest"
)

// newRefreshSite is a site whose users sign in at a provider that gives short
// tokens and rotates them. /tokens/ gets its access tokens.
func newRefreshSite(t *testing.T, script func(*oidctest.Script)) (*site, *oidctest.Provider) {
	t.Helper()
	op := oidctest.New(t)
	op.Set(func(s *oidctest.Script) {
		s.Claims = map[string]any{"email": "alice@example.test", "email_verified": true, "groups": []string{"users", "admin"}}
		s.Refresh.AccessLife = 2 * time.Second
		script(s)
	})
	return newSite(t, plan{
		session:   "refresh: {ahead: 1s, grace: 3s, min_remaining: 1s}",
		providers: fmt.Sprintf("- {name: corp, type: oidc, issuer: %q, client_id: %s, client_secret: %s}", op.Issuer, oidctest.ClientID, oidctest.ClientSecret),
		tokens:    "exchange: {enabled: true, audiences: [api]}",
		routes:    `- {name: tokens, paths: [/tokens/], upstream: "$UP", policy: users, forward_access_token: true}`,
	}), op
}

func good(*oidctest.Script) {}

// atProvider signs alice in at the provider and returns her Cookie header.
func (s *site) atProvider(t *testing.T) string {
	t.Helper()
	var begun answer
	poll(t, "the provider to be known", func() bool {
		begun = s.as(t, "", "/.auth/login?provider=corp")
		return begun.StatusCode == http.StatusFound
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, begun.Header.Get("Location"), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	consented, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = consented.Body.Close()
	_, back, _ := strings.Cut(consented.Header.Get("Location"), s.host)
	attempt := begun.Cookies()[0]
	done := s.as(t, "", back, "Cookie: "+attempt.Name+"="+attempt.Value)
	for _, ck := range done.Cookies() {
		if ck.Name == s.cookie {
			return ck.Name + "=" + ck.Value
		}
	}
	t.Fatalf("signing in at the provider: %d\n%s", done.StatusCode, done.text)
	return ""
}

// expire lets the access token of 2 s end.
func expire(t *testing.T) {
	t.Helper()
	ends := time.Now().Add(2100 * time.Millisecond)
	poll(t, "the access token to end", func() bool { return time.Now().After(ends) })
}

// TestParallelRequestsAtExpiryRefreshOnce: the provider takes a second use of a
// refresh token for theft, and ends the grant.
func TestParallelRequestsAtExpiryRefreshOnce(t *testing.T) {
	t.Parallel()
	s, op := newRefreshSite(t, func(s *oidctest.Script) { s.Refresh.Latency = 300 * time.Millisecond })
	cookie := s.atProvider(t)
	expire(t)
	op.Set(func(s *oidctest.Script) { s.Refresh.AccessLife = time.Minute })
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if a := s.as(t, "", "/app", "Cookie: "+cookie); a.StatusCode != http.StatusOK || len(a.Header["Set-Cookie"]) > 0 {
				t.Errorf("%d %v\n%.300s", a.StatusCode, a.Header, a.text)
			}
		})
	}
	all.Wait()
	if got := op.Calls(oidctest.Refresh); got != 1 {
		t.Errorf("%d refreshes", got)
	}
	s.upstream.take()
	s.passed(t, s.as(t, "", "/app", "Cookie: "+cookie)).isUser(t, "alice", "alice@example.test", "users,admin", "")
}

// TestAFormThatIsSentAtExpiryArrives, with its body as it was.
func TestAFormThatIsSentAtExpiryArrives(t *testing.T) {
	t.Parallel()
	s, _ := newRefreshSite(t, good)
	cookie := s.atProvider(t)
	expire(t)
	body := strings.Repeat("field=value&", 5000)
	a := s.raw(t, s.request("POST", "/app", "Cookie: "+cookie, fmt.Sprintf("Content-Length: %d", len(body)), "Connection: close")+body)
	if got := s.passed(t, a); !strings.HasSuffix(got.raw, "\r\n\r\n"+body) {
		t.Errorf("the application got %d bytes", len(got.raw))
	}
}

// TestGroupsThatWereLostAtTheProviderAreLost (CVE-2021-41230): no later than the
// access token ends.
func TestGroupsThatWereLostAtTheProviderAreLost(t *testing.T) {
	t.Parallel()
	s, op := newRefreshSite(t, good)
	cookie := s.atProvider(t)
	s.passed(t, s.as(t, "", "/admin/", "Cookie: "+cookie))
	op.Set(func(s *oidctest.Script) { s.Claims["groups"] = []string{"users"} })
	expire(t)
	s.denied(t, s.as(t, "", "/admin/", "Cookie: "+cookie), http.StatusForbidden)
	s.passed(t, s.as(t, "", "/app", "Cookie: "+cookie)).isUser(t, "alice", "alice@example.test", "users", "")
}

// TestARefreshedTokenOfSomebodyElseEndsTheSession (GHSA-x883-2vmg-xwf7): neither
// user goes on.
func TestARefreshedTokenOfSomebodyElseEndsTheSession(t *testing.T) {
	t.Parallel()
	s, op := newRefreshSite(t, good)
	cookie := s.atProvider(t)
	op.Set(func(s *oidctest.Script) { s.Refresh.Subject = "mallory" })
	expire(t)
	s.denied(t, s.as(t, "", "/app", "Cookie: "+cookie), http.StatusUnauthorized)
	op.Set(func(s *oidctest.Script) { s.Refresh.Subject = "" })
	s.denied(t, s.as(t, "", "/app", "Cookie: "+cookie), http.StatusUnauthorized)
}

// TestAForgedIDTokenInARefreshMakesNobodyAdmin: its claims are never used.
func TestAForgedIDTokenInARefreshMakesNobodyAdmin(t *testing.T) {
	t.Parallel()
	for name, sign := range map[string]func(map[string]any) string{
		"unsigned": oidctest.Unsigned, "signed with the client's secret": oidctest.SignSecret,
	} {
		t.Run(name, func(t *testing.T) {
			s, op := newRefreshSite(t, func(s *oidctest.Script) { s.Claims["groups"] = []string{"users"} })
			cookie := s.atProvider(t)
			op.Set(func(s *oidctest.Script) {
				s.Claims["groups"] = []string{"users", "admin"}
				s.Refresh.SignIDToken = sign
			})
			expire(t)
			s.denied(t, s.as(t, "", "/admin/", "Cookie: "+cookie), http.StatusForbidden)
			if got := op.Calls(oidctest.Refresh); got != 1 {
				t.Errorf("%d refreshes", got)
			}
		})
	}
}

// TestTheEndOfTheGrantEndsTheSession: an administrator took the user's access at
// the provider. A page leads to the sign-in, a script learns it by 401.
func TestTheEndOfTheGrantEndsTheSession(t *testing.T) {
	t.Parallel()
	s, op := newRefreshSite(t, good)
	cookie := s.atProvider(t)
	op.EndGrants()
	expire(t)
	s.denied(t, s.as(t, "", "/app", "Cookie: "+cookie), http.StatusUnauthorized)
	page := s.as(t, "", "/app", "Cookie: "+cookie, "Sec-Fetch-Mode: navigate")
	if s.denied(t, page, http.StatusFound); !strings.HasPrefix(page.Header.Get("Location"), "/.auth/login?") {
		t.Errorf("a page leads to %q", page.Header.Get("Location"))
	}
	if audit := s.logText.String(); !strings.Contains(audit, `"event":"session_ended"`) || !strings.Contains(audit, `"reason":"grant_ended"`) {
		t.Errorf("the audit log does not say so:\n%s", audit)
	}
}

// TestAProviderThatIsDownIsNoSignOut: within the grace all goes on, then 503.
func TestAProviderThatIsDownIsNoSignOut(t *testing.T) {
	t.Parallel()
	s, op := newRefreshSite(t, good)
	cookie := s.atProvider(t)
	op.Set(func(s *oidctest.Script) { s.Refresh.Status = http.StatusServiceUnavailable })
	expire(t)
	s.passed(t, s.as(t, "", "/app", "Cookie: "+cookie))
	poll(t, "the grace to end", func() bool {
		a := s.as(t, "", "/app", "Cookie: "+cookie)
		if a.StatusCode != http.StatusOK && a.StatusCode != http.StatusServiceUnavailable || len(a.Header["Set-Cookie"]) > 0 {
			t.Fatalf("%d %v", a.StatusCode, a.Header)
		}
		return a.StatusCode == http.StatusServiceUnavailable
	})
	s.upstream.take()
	op.Set(func(s *oidctest.Script) { s.Refresh.Status = 0 })
	poll(t, "the provider to be asked again", func() bool {
		return s.as(t, "", "/app", "Cookie: "+cookie).StatusCode == http.StatusOK
	})
}

// TestAfterTheGraceNoTokenIsMadeEither: the exchange of a session for the gateway's
// own token is no way around the provider.
func TestAfterTheGraceNoTokenIsMadeEither(t *testing.T) {
	t.Parallel()
	s, op := newRefreshSite(t, good)
	cookie := s.atProvider(t)
	exchange := func() int {
		return s.post(t, "/.auth/token", nil, "Cookie: "+cookie, "Sec-Fetch-Site: same-origin").StatusCode
	}
	if got := exchange(); got != http.StatusOK {
		t.Fatalf("before: %d", got)
	}
	op.Set(func(s *oidctest.Script) { s.Refresh.Status = http.StatusServiceUnavailable })
	poll(t, "the grace to end", func() bool { return exchange() == http.StatusServiceUnavailable })
}

// TestTheAccessTokenGoesWhereItIsMeantToGo, and with time left.
func TestTheAccessTokenGoesWhereItIsMeantToGo(t *testing.T) {
	t.Parallel()
	s, op := newRefreshSite(t, func(s *oidctest.Script) { s.Refresh.AccessLife = 4 * time.Second })
	cookie := s.atProvider(t)
	sent := func(r received) string {
		values := r.header("Authorization")
		if len(values) != 1 || !strings.HasPrefix(values[0], "Bearer ") || len(values[0]) < 20 {
			t.Fatalf("the application got %q", values)
		}
		return values[0]
	}
	first := sent(s.passed(t, s.as(t, "", "/tokens/", "Cookie: "+cookie)))
	if again := sent(s.passed(t, s.as(t, "", "/tokens/", "Cookie: "+cookie, "Connection: authorization"))); again != first {
		t.Error("another token without a refresh")
	}
	if got := s.passed(t, s.as(t, "", "/app", "Cookie: "+cookie)).header("Authorization"); len(got) > 0 {
		t.Errorf("another route got %q", got)
	}
	if got := s.passed(t, s.as(t, "", "/public/", "Cookie: "+cookie)).header("Authorization"); len(got) > 0 {
		t.Errorf("a public route got %q", got)
	}
	s.denied(t, s.as(t, "", "/tokens/", "Cookie: "+cookie, "Authorization: Bearer mine"), http.StatusUnauthorized)
	s.denied(t, s.as(t, "alice", "/tokens/"), http.StatusForbidden) // of the dev provider

	poll(t, "a token to be renewed", func() bool {
		return sent(s.passed(t, s.as(t, "", "/tokens/", "Cookie: "+cookie))) != first
	})
	if got := op.Calls(oidctest.Refresh); got != 1 {
		t.Errorf("%d refreshes", got)
	}
	for _, secret := range append(op.AccessTokens(), op.RefreshTokens()...) {
		if strings.Contains(s.logText.String(), secret) {
			t.Error("a token is in the log")
		}
	}
}

// TestAnExpiredAccessTokenIsNeverForwarded: not while the provider is down, though
// the session goes on elsewhere, and not when there is nothing to renew it with.
func TestAnExpiredAccessTokenIsNeverForwarded(t *testing.T) {
	t.Parallel()
	s, op := newRefreshSite(t, good)
	cookie := s.atProvider(t)
	op.Set(func(s *oidctest.Script) { s.Refresh.Status = http.StatusServiceUnavailable })
	expire(t)
	s.denied(t, s.as(t, "", "/tokens/", "Cookie: "+cookie), http.StatusServiceUnavailable)
	s.passed(t, s.as(t, "", "/app", "Cookie: "+cookie))

	op.Set(func(s *oidctest.Script) {
		s.Refresh.Status = 0
		s.TokenAnswer = func(m map[string]any) { delete(m, "refresh_token") }
	})
	cookie = s.atProvider(t)
	expire(t)
	s.denied(t, s.as(t, "", "/tokens/", "Cookie: "+cookie), http.StatusUnauthorized)
	page := s.as(t, "", "/tokens/", "Cookie: "+cookie, "Sec-Fetch-Mode: navigate")
	s.denied(t, page, http.StatusFound)
	if !slices.ContainsFunc(s.log.All(), func(e observer.LoggedEntry) bool {
		return e.Message == "session_ended" || e.ContextMap()["event"] == "session_ended"
	}) {
		t.Error("the audit log does not tell why")
	}
}
