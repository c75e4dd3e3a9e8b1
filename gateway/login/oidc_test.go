package login_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/login"
	"github.com/sallyport/sallyport/gateway/login/oidctest"
)

func TestLoginReturnsToExactlyTheURLThatWasAskedFor(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op)).waitReady(t)
	for _, want := range []string{"/", "/a//b/?x=1&y=%20%2F;z&&=#part", "/%ED%95%9C?q=a+b", g.URL + "/full?x", "/?return_to=https://evil.test/"} {
		b := g.browser(t)
		if got := b.signIn(want).location(); got != want {
			t.Errorf("the browser was sent to %q instead of %q", got, want)
		}
		if _, status := b.me(); status != http.StatusOK {
			t.Errorf("after the sign-in /.auth/me answers %d", status)
		}
	}
}

func TestLoginMapsClaimsToIdentity(t *testing.T) {
	op := oidctest.New(t)
	cfg := corp(op)
	cfg.GroupsClaim = "realm.roles"
	g := newGateway(t, cfg).waitReady(t)
	base := map[string]any{
		"email": "Alice@example.com", "email_verified": true, "name": "Alice", "preferred_username": "al",
		"realm": map[string]any{"roles": []string{"staff", "ops"}}, "amr": []string{"pwd", "otp"}, "acr": "gold", "tenant": "t1",
	}
	op.Set(func(s *oidctest.Script) { s.Claims = base })
	g.browser(t).signIn("/")
	all := g.Store.all()
	if len(all) != 1 {
		t.Fatalf("%d sessions", len(all))
	}
	id := *all[0].Identity
	if id.AuthTime.IsZero() || !id.ExpiresAt.Equal(all[0].ExpiresAt()) {
		t.Errorf("times are missing: %v %v", id.AuthTime, id.ExpiresAt)
	}
	got := map[string]any{
		"iss": id.Issuer, "sub": id.Subject, "email": id.Email, "verified": id.EmailVerified, "name": id.Name, "user": id.PreferredUsername,
		"groups": id.Groups, "amr": id.AMR, "acr": id.ACR, "method": id.Method, "sid": all[0].Identity.ProviderSession, "provider": all[0].Provider,
	}
	want := map[string]any{
		"iss": op.Issuer, "sub": "alice", "email": "Alice@example.com", "verified": true, "name": "Alice", "user": "al",
		"groups": []string{"staff", "ops"}, "amr": []string{"pwd", "otp"}, "acr": "gold", "method": "corp",
		"sid": "provider-session-of-alice", "provider": "corp",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	claims := id.AllClaims()
	for _, name := range []string{"iss", "sub", "aud", "exp", "iat", "nonce", "at_hash", "auth_time", "sid", "amr", "acr"} {
		if _, ok := claims[name]; ok {
			t.Errorf("the protocol's claim %s is kept as one about the user", name)
		}
	}
	if claims["tenant"] != "t1" {
		t.Errorf("the claim tenant is lost: %v", claims)
	}
	if n := op.Calls(oidctest.Userinfo); n != 0 {
		t.Errorf("userinfo was asked %d times though the ID token says everything", n)
	}
	tokens, err := g.Manager.Tokens(t.Context(), all[0].Key())
	if err != nil {
		t.Fatal(err)
	}
	var kept map[string]any
	if err := json.Unmarshal(tokens, &kept); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"access_token", "refresh_token", "id_token", "expiry"} {
		if kept[name] == nil {
			t.Errorf("the session keeps no %s", name)
		}
	}
}

func TestClaimsOfUnexpectedTypesGiveNothing(t *testing.T) {
	tests := map[string]struct {
		claims   map[string]any
		trust    bool
		groups   []string
		verified bool
	}{
		"a string is one group":                   {claims: map[string]any{"email": "a@b.c", "groups": "a,b"}, groups: []string{"a,b"}},
		"a list with a number gives no groups":    {claims: map[string]any{"email": "a@b.c", "groups": []any{"a", 1}}},
		"an object gives no groups":               {claims: map[string]any{"email": "a@b.c", "groups": map[string]any{"admin": true}}},
		"a string is not a verified address":      {claims: map[string]any{"email": "a@b.c", "email_verified": "true"}},
		"a number is not a verified address":      {claims: map[string]any{"email": "a@b.c", "email_verified": 1}},
		"trust_email verifies an address":         {claims: map[string]any{"email": "a@b.c"}, trust: true, verified: true},
		"trust_email verifies no missing address": {claims: map[string]any{"groups": []any{"a"}}, trust: true, groups: []string{"a"}},
		"another spelling of a claim is not it":   {claims: map[string]any{"email": "a@b.c", "Email_Verified": true, "Groups": []string{"admin"}}},
		"a verified address":                      {claims: map[string]any{"email": "a@b.c", "email_verified": true}, verified: true},
	}
	op := oidctest.New(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := corp(op)
			cfg.TrustEmail = tt.trust
			g := newGateway(t, cfg).waitReady(t)
			op.Set(func(s *oidctest.Script) { s.Claims = tt.claims })
			defer op.Reset()
			g.browser(t).signIn("/")
			id := g.Store.all()[0].Identity
			if diff := cmp.Diff(tt.groups, id.Groups); diff != "" {
				t.Error(diff)
			}
			if id.EmailVerified != tt.verified {
				t.Errorf("verified is %v", id.EmailVerified)
			}
		})
	}
}

func TestEveryAuthorizationRequestUsesPKCEAndItsOwnSecrets(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op)).waitReady(t)
	seen := map[string]bool{}
	for range 100 {
		b := g.browser(t)
		b.signIn("/")
		for _, name := range []string{"sp", "sp_login"} {
			for _, form := range op.Exchanges() {
				if v := b.cookie(name); v != "" && strings.Contains(v, form.Get("code_verifier")) {
					t.Fatal("the verifier is in a cookie")
				}
			}
		}
	}
	requests, exchanges := op.Authorizations(), op.Exchanges()
	if len(requests) != 100 || len(exchanges) != 100 {
		t.Fatalf("%d requests, %d exchanges", len(requests), len(exchanges))
	}
	for i, q := range requests {
		verifier := exchanges[i].Get("code_verifier")
		if q.Get("code_challenge_method") != "S256" || len(verifier) < 43 || len(verifier) > 128 {
			t.Fatalf("method %q, verifier of %d characters", q.Get("code_challenge_method"), len(verifier))
		}
		for _, secret := range []string{verifier, q.Get("nonce"), q.Get("state")} {
			if secret == "" || seen[secret] {
				t.Fatalf("%q is empty or used twice", secret)
			}
			seen[secret] = true
		}
		if strings.Contains(q.Encode(), verifier) {
			t.Fatal("the verifier is in a URL")
		}
	}
}

func TestAuthorizationRequestCannotBeChangedFromOutside(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op)).waitReady(t)
	b := g.browser(t)
	start := b.get("/.auth/login?return_to=/a%26client_id%3Devil&scope=admin&prompt=none&redirect_uri=https://evil.test&response_type=token&client_id=evil&nonce=n&state=s",
		"X-Forwarded-Host", "evil.test", "X-Forwarded-Proto", "https", "Forwarded", "host=evil.test")
	u, err := url.Parse(start.location())
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Del("state")
	q.Del("nonce")
	q.Del("code_challenge")
	want := url.Values{
		"client_id": {"app"}, "redirect_uri": {g.URL + "/.auth/callback/corp"}, "response_type": {"code"},
		"scope": {"openid email profile"}, "code_challenge_method": {"S256"},
	}
	if diff := cmp.Diff(want, q); diff != "" {
		t.Error(diff)
	}
	if got := b.get("/.auth/login", "Host", "evil.test"); got.StatusCode != http.StatusMisdirectedRequest || got.location() != "" {
		t.Errorf("a foreign Host is answered with %d to %q", got.StatusCode, got.location())
	}
}

func TestRedirectURIIsBuiltFromTheHostThatWasAsked(t *testing.T) {
	op := oidctest.New(t)
	g := newGatewayWith(t, options{providers: []config.Provider{corp(op)}, known: []string{"app.example.test"}}).waitReady(t)
	q := mustQuery(t, g.browser(t).get("/.auth/login", "Host", "App.example.test:80").location())
	if got, want := q.Get("redirect_uri"), "http://app.example.test/.auth/callback/corp"; got != want {
		t.Errorf("redirect_uri is %q, want %q", got, want)
	}
}

func TestSharedCookieDomainUsesOneRedirectURIAndReturnsToTheHost(t *testing.T) {
	op := oidctest.New(t)
	g := newGatewayWith(t, options{providers: []config.Provider{corp(op)}, known: []string{"app.example.test"}, cookie: config.Cookie{Domain: "example.test"}}).waitReady(t)
	start := g.browser(t).get("/.auth/login?return_to=/x", "Host", "app.example.test")
	q := mustQuery(t, start.location())
	if got, want := q.Get("redirect_uri"), g.URL+"/.auth/callback/corp"; got != want {
		t.Errorf("redirect_uri is %q, want %q", got, want)
	}
	got, err := g.Service.OpenState(q.Get("state"), "corp")
	if want := "http://app.example.test/x"; err != nil || got != want && got != "" {
		t.Errorf("the way back is %q (%v), want %q", got, err, want)
	}
}

func TestPublicClientAndPostedSecret(t *testing.T) {
	tests := map[string]struct {
		script oidctest.Script
		change func(*config.Provider)
	}{
		"no secret":     {oidctest.Script{Public: true}, func(p *config.Provider) { p.ClientSecret = "" }},
		"posted secret": {oidctest.Script{Metadata: func(m map[string]any) { m["token_endpoint_auth_methods_supported"] = []string{"client_secret_post"} }}, nil},
		"secret in file": {oidctest.Script{}, func(p *config.Provider) {
			p.ClientSecret = ""
			p.ClientSecretFile = writeFile(t, oidctest.ClientSecret+"\n")
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			op := oidctest.New(t)
			op.Set(func(s *oidctest.Script) { *s = tt.script })
			cfg := corp(op)
			if tt.change != nil {
				tt.change(&cfg)
			}
			newGateway(t, cfg).waitReady(t).browser(t).signIn("/")
		})
	}
}

func TestClientSecretFileIsReadAtEachExchange(t *testing.T) {
	op := oidctest.New(t)
	cfg := corp(op)
	cfg.ClientSecret, cfg.ClientSecretFile = "", writeFile(t, "an old secret")
	g := newGateway(t, cfg).waitReady(t)
	b := g.browser(t)
	if got := b.get(b.beginLogin("/")); got.StatusCode != http.StatusBadRequest || got.reason() != login.ReasonProviderError {
		t.Fatalf("the wrong secret is answered with %d %s", got.StatusCode, got.reason())
	}
	rewrite(t, cfg.ClientSecretFile, oidctest.ClientSecret)
	b.signIn("/")
}

func TestOneProviderSkipsTheSignInPage(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op), devProvider()).waitReady(t)
	b := g.browser(t)
	page := b.get("/.auth/login?return_to=/x")
	if page.StatusCode != http.StatusOK || !strings.Contains(page.body, "provider=corp") || !strings.Contains(page.body, "alice@example.com") {
		t.Errorf("two providers are answered with %d: %s", page.StatusCode, page.body)
	}
	if got := b.get("/.auth/login?provider=corp"); got.StatusCode != http.StatusFound || !strings.HasPrefix(got.location(), op.Issuer) {
		t.Errorf("a named provider is answered with %d to %s", got.StatusCode, got.location())
	}
	if got := b.get("/.auth/login?provider=nobody"); got.StatusCode != http.StatusNotFound {
		t.Errorf("an unknown provider is answered with %d", got.StatusCode)
	}
	head := b.do(http.MethodHead, "/.auth/login?provider=corp", nil)
	if head.StatusCode != http.StatusFound || head.body != "" {
		t.Errorf("HEAD is answered with %d and %q", head.StatusCode, head.body)
	}
}

func TestWhoIsSignedInNeedNotSignInAgainUnlessToSwitch(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op)).waitReady(t)
	b := g.browser(t)
	b.signIn("/")
	if got := b.get("/.auth/login?return_to=/deep"); got.StatusCode != http.StatusFound || got.location() != "/deep" {
		t.Errorf("answered with %d to %q", got.StatusCode, got.location())
	}
	q := mustQuery(t, b.get("/.auth/login?return_to=/deep&switch=1").location())
	if q.Get("prompt") != "select_account" {
		t.Errorf("switching asks for prompt %q", q.Get("prompt"))
	}
	before := b.session()
	op.Set(func(s *oidctest.Script) { s.Subject = "bob" })
	consent := b.get(b.get("/.auth/login?switch=1").location())
	b.get(consent.location())
	if who, _ := b.me(); who["subject"] != "bob" || b.session() == before {
		t.Errorf("after switching: %v", who)
	}
	if all := g.Store.all(); len(all) != 1 {
		t.Errorf("%d sessions are left", len(all))
	}
}

func TestTabsThatWereOpenedTogetherAllEndSignedInAtTheirOwnTarget(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op)).waitReady(t)
	b := g.browser(t)
	var callbacks []string
	targets := []string{"/a", "/b", "/c", "/d", "/e"}
	for _, target := range targets {
		callbacks = append(callbacks, b.beginLogin(target))
	}
	for i, callback := range callbacks {
		if got := b.get(callback); got.StatusCode != http.StatusFound || got.location() != targets[i] {
			t.Errorf("tab %d: %d to %q", i, got.StatusCode, got.location())
		}
	}
}

func TestUnfinishedLoginsDoNotPileUp(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op)).waitReady(t)
	b := g.browser(t)
	var last string
	for range 50 {
		last = b.beginLogin("/x")
	}
	if n := len(b.cookie("sp_login")); n > 16*13 {
		t.Errorf("the login cookie has %d bytes", n)
	}
	if got := b.get(last); got.StatusCode != http.StatusFound || b.session() == "" {
		t.Errorf("the newest sign-in is answered with %d", got.StatusCode)
	}
	if left, _ := login.ParseLoginCookie(b.cookie("sp_login")); len(left) != 15 {
		t.Errorf("%d sign-ins are left in the cookie", len(left))
	}
}

func TestProviderThatIsDownAtStartIsFoundLater(t *testing.T) {
	op := oidctest.New(t)
	op.Set(func(s *oidctest.Script) { s.MetadataStatus = http.StatusBadGateway })
	g := newGateway(t, corp(op))
	b := g.browser(t)
	waitFor(t, "a failed discovery", func() bool { return op.Calls(oidctest.Discovery) > 0 })
	got := b.get("/.auth/login")
	if got.StatusCode != http.StatusServiceUnavailable || got.reason() != login.ReasonProviderUnavailable || got.Header.Get("Retry-After") == "" {
		t.Errorf("answered with %d %s, Retry-After %q", got.StatusCode, got.reason(), got.Header.Get("Retry-After"))
	}
	if len(got.Cookies()) != 0 {
		t.Errorf("a sign-in that cannot begin sets %v", got.Cookies())
	}
	if g.Service.Ready()["corp"] == nil {
		t.Error("the provider counts as ready")
	}
	op.Reset()
	g.waitReady(t)
	b.signIn("/")
}

func TestDiscoveryOfAnotherIssuerIsRefused(t *testing.T) {
	op := oidctest.New(t)
	for name, change := range map[string]func(map[string]any){
		"another issuer":         func(m map[string]any) { m["issuer"] = "https://evil.test" },
		"only symmetric or none": func(m map[string]any) { m["id_token_signing_alg_values_supported"] = []string{"HS256", "none"} },
		"only unknown auth":      func(m map[string]any) { m["token_endpoint_auth_methods_supported"] = []string{"tls_client_auth"} },
		"no token endpoint":      func(m map[string]any) { delete(m, "token_endpoint") },
	} {
		t.Run(name, func(t *testing.T) {
			op.Set(func(s *oidctest.Script) { s.Metadata = change })
			before := op.Calls(oidctest.Discovery)
			g := newGateway(t, corp(op))
			waitFor(t, "a discovery", func() bool {
				err := g.Service.Ready()["corp"]
				return op.Calls(oidctest.Discovery) > before && err != nil && !strings.Contains(err.Error(), "has not been read yet")
			})
			if got := g.browser(t).get("/.auth/login"); got.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("answered with %d to %q", got.StatusCode, got.location())
			}
		})
	}
}

func TestSlowTokenEndpointIsAnOutageAndNotARefusal(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op)).waitReady(t)
	b := g.browser(t)
	callback := b.beginLogin("/")
	hold := make(chan struct{})
	defer close(hold)
	op.Set(func(s *oidctest.Script) { s.Hold = hold })
	begun := time.Now()
	got := b.get(callback)
	if got.StatusCode != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" {
		t.Errorf("answered with %d after %v", got.StatusCode, time.Since(begun))
	}
}

func mustQuery(t *testing.T, raw string) url.Values {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}
