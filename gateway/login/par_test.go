package login_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/login"
	"github.com/sallyport/sallyport/gateway/login/oidctest"
)

// RFC 9126: nothing of the request can be read or changed in the browser.
func TestRequestsArePushedWhereTheProviderOffersIt(t *testing.T) {
	op := oidctest.New(t)
	op.Set(func(s *oidctest.Script) { s.Push = true })
	cfg := corp(op)
	cfg.AuthorizationParams = []config.Param{{Name: "resource", Value: "https://a.test"}, {Name: "resource", Value: "https://b.test"}}
	g := newGateway(t, cfg).waitReady(t)
	b := g.browser(t)
	var before []string
	for range 2 {
		u, err := url.Parse(b.get("/.auth/login?return_to=/deep").location())
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		if len(q) != 2 || q.Get("client_id") != oidctest.ClientID || !strings.HasPrefix(q.Get("request_uri"), "urn:") {
			t.Errorf("the browser carries %v", q)
		}
		before = append(before, q.Get("request_uri"))
	}
	if before[0] == before[1] {
		t.Error("one request_uri was used twice")
	}
	if got := b.signIn("/deep").location(); got != "/deep" {
		t.Errorf("the sign-in ends at %q", got)
	}
	q := op.Authorizations()[0]
	for _, own := range []string{"state", "nonce", "code_challenge"} {
		if q.Get(own) == "" {
			t.Errorf("the pushed request has no %s", own)
		}
		q.Del(own)
	}
	want := url.Values{
		"client_id": {"app"}, "redirect_uri": {g.URL + "/.auth/callback/corp"}, "response_type": {"code"},
		"scope": {"openid email profile"}, "code_challenge_method": {"S256"}, "resource": {"https://a.test", "https://b.test"},
	}
	if diff := cmp.Diff(want, q); diff != "" {
		t.Error(diff)
	}
}

func TestPushedRequestThatFails(t *testing.T) {
	answer := func(change func(map[string]any)) func(*oidctest.Script) {
		return func(s *oidctest.Script) { s.PushAnswer = change }
	}
	tests := map[string]struct {
		script func(*oidctest.Script)
		status int
		reason string
	}{
		"the provider is down":       {func(s *oidctest.Script) { s.PushStatus = 502 }, 503, login.ReasonProviderUnavailable},
		"the provider is too busy":   {func(s *oidctest.Script) { s.PushStatus = 429 }, 503, login.ReasonProviderUnavailable},
		"the provider says no":       {func(s *oidctest.Script) { s.PushStatus, s.TokenError = 400, "invalid_request" }, 400, login.ReasonProviderError},
		"the client is unknown":      {func(s *oidctest.Script) { s.PushStatus, s.TokenError = 401, "invalid_client" }, 400, login.ReasonProviderError},
		"it redirects":               {func(s *oidctest.Script) { s.PushStatus = 307 }, 400, login.ReasonProviderError},
		"the answer has no request":  {answer(func(m map[string]any) { delete(m, "request_uri") }), 503, login.ReasonProviderUnavailable},
		"the answer is over already": {answer(func(m map[string]any) { m["expires_in"] = 0 }), 503, login.ReasonProviderUnavailable},
		"the answer is of another type": {
			answer(func(m map[string]any) { m["request_uri"] = []string{"x"} }), 503, login.ReasonProviderUnavailable,
		},
		"the answer is endless": {
			answer(func(m map[string]any) { m["request_uri"] = strings.Repeat("x", 4<<20) }), 503, login.ReasonProviderUnavailable,
		},
	}
	op := oidctest.New(t)
	op.Set(func(s *oidctest.Script) { s.Push = true })
	g := newGateway(t, corp(op)).waitReady(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			op.Set(tt.script)
			defer op.Set(func(s *oidctest.Script) { *s = oidctest.Script{Push: true} })
			got := g.browser(t).get("/.auth/login")
			if got.StatusCode != tt.status || got.reason() != tt.reason || got.location() != "" || len(got.Cookies()) > 0 {
				t.Errorf("answered with %d %s to %q, cookies %v", got.StatusCode, got.reason(), got.location(), got.Cookies())
			}
			if tt.status == http.StatusServiceUnavailable && got.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		})
	}
	if log := g.everythingLogged(); strings.Contains(log, "code_challenge") {
		t.Errorf("the log quotes the request: %s", log)
	}
}

func TestProviderThatWantsPushedRequestsAndHasNoEndpointIsNotUsed(t *testing.T) {
	op := oidctest.New(t)
	op.Set(func(s *oidctest.Script) {
		s.Metadata = func(m map[string]any) { m["require_pushed_authorization_requests"] = true }
	})
	g := newGateway(t, corp(op))
	waitFor(t, "a failed discovery", func() bool {
		err := g.Service.Ready()["corp"]
		return err != nil && strings.Contains(err.Error(), "pushed")
	})
}

// What the configuration adds replaces nothing that protects the sign-in.
func TestAddedParametersReplaceNoneOfTheGatewaysOwn(t *testing.T) {
	op := oidctest.New(t)
	cfg := corp(op)
	for _, name := range []string{"state", "nonce", "code_challenge", "code_challenge_method", "redirect_uri", "response_type", "client_id", "scope"} {
		cfg.AuthorizationParams = append(cfg.AuthorizationParams, config.Param{Name: name, Value: "evil"})
	}
	cfg.AuthorizationParams = append(cfg.AuthorizationParams, config.Param{Name: "audience", Value: "api & more"})
	b := newGateway(t, cfg).waitReady(t).browser(t)
	b.signIn("/")
	q := op.Authorizations()[0]
	if strings.Contains(q.Encode(), "evil") || q.Get("audience") != "api & more" {
		t.Errorf("the request is %v", q)
	}
	for name, values := range q {
		if len(values) != 1 {
			t.Errorf("%s is sent %d times", name, len(values))
		}
	}
}
