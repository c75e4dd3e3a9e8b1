package login_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	gooidc "github.com/coreos/go-oidc/v3/oidc"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/login"
	"github.com/sallyport/sallyport/gateway/login/oidctest"
)

func TestAnotherLibraryAcceptsTheIDTokensThatWeAccept(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op)).waitReady(t)
	g.browser(t).signIn("/")
	s := g.Store.all()[0]
	tokens, err := g.Manager.Tokens(t.Context(), s.Key())
	if err != nil {
		t.Fatal(err)
	}
	var kept struct {
		AccessToken string `json:"access_token"`
		IDToken     string `json:"id_token"`
	}
	if err := json.Unmarshal(tokens, &kept); err != nil {
		t.Fatal(err)
	}
	provider, err := gooidc.NewProvider(t.Context(), op.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	token, err := provider.Verifier(&gooidc.Config{ClientID: oidctest.ClientID, SupportedSigningAlgs: []string{"ES256"}}).Verify(t.Context(), kept.IDToken)
	if err != nil {
		t.Fatal(err)
	}
	if token.Subject != s.Identity.Subject || token.Issuer != s.Identity.Issuer || token.Nonce != op.Authorizations()[0].Get("nonce") {
		t.Errorf("the other library reads %+v", token)
	}
	if err := token.VerifyAccessToken(kept.AccessToken); err != nil {
		t.Error(err)
	}
}

func TestSignInAtACertifiedProvider(t *testing.T) {
	const clientID = "sallyport"
	for name, secret := range map[string]string{"confidential client": "a secret", "public client": ""} {
		t.Run(name, func(t *testing.T) {
			issuer := ""
			front := newGatewayWith(t, options{atURL: func(gateway string) []config.Provider {
				issuer = oidctest.NewZitadel(t, clientID, secret, gateway+"/.auth/callback/zitadel")
				return []config.Provider{{
					Name: "zitadel", Type: config.ProviderOIDC, Issuer: issuer, ClientID: clientID, ClientSecret: config.Secret(secret),
					Scopes: []string{"openid", "email", "profile", "offline_access"}, ClaimMapping: usualClaims(),
				}}
			}}).waitReady(t)
			b := front.browser(t)
			got := b.get("/.auth/login?return_to=/deep")
			var form *answer
			for range 5 {
				if got.StatusCode != http.StatusFound {
					form = got
					break
				}
				next, err := got.Request.URL.Parse(got.location())
				if err != nil {
					t.Fatal(err)
				}
				got = b.get(next.String())
			}
			id := regexp.MustCompile(`name="id" value="([^"]+)"`).FindStringSubmatch(form.body)
			if id == nil {
				t.Fatalf("no form: %d %s", form.StatusCode, form.body)
			}
			got = b.post(issuer+"/login/username", url.Values{"id": {id[1]}, "username": {oidctest.ZitadelUser}, "password": {oidctest.ZitadelPassword}})
			for range 5 {
				if got.StatusCode != http.StatusFound || strings.HasSuffix(got.location(), "/deep") {
					break
				}
				next, err := got.Request.URL.Parse(got.location())
				if err != nil {
					t.Fatal(err)
				}
				got = b.get(next.String())
			}
			if got.location() != "/deep" {
				t.Fatalf("%d %s\n%s", got.StatusCode, got.body, front.everythingLogged())
			}
			who, status := b.me()
			if status != http.StatusOK || who["subject"] != oidctest.ZitadelSubject || who["issuer"] != issuer ||
				who["email"] != "test-user@zitadel.ch" || who["email_verified"] != true {
				t.Errorf("%d %v", status, who)
			}
		})
	}
}

func TestNoSecretIsEverLogged(t *testing.T) {
	op := oidctest.New(t)
	g := newGateway(t, corp(op), usersProvider(t, cheapUsers)).waitReady(t)
	secrets := map[string]string{"client secret": oidctest.ClientSecret, "password": "correct horse"}
	remember := func(name, value string) {
		if value != "" {
			secrets[name] = value
		}
	}
	run := func(script func(*oidctest.Script)) {
		b := g.browser(t)
		callback := b.get(b.get("/.auth/login?provider=corp").location()).location()
		q := mustQuery(t, callback)
		remember("code "+q.Get("code"), q.Get("code"))
		remember("state "+q.Get("state"), q.Get("state"))
		remember("login cookie", b.cookie("sp_login"))
		op.Set(script)
		b.get(callback)
		op.Reset()
		remember("session cookie", b.session())
	}
	keep := func(m map[string]any) {
		for _, name := range []string{"access_token", "refresh_token", "id_token"} {
			text, _ := m[name].(string)
			remember(name+" "+text, text)
		}
	}
	run(func(s *oidctest.Script) { s.TokenAnswer = keep })
	run(func(s *oidctest.Script) {
		s.TokenAnswer = keep
		s.IDTokenClaims = func(c map[string]any) { c["nonce"] = "x" }
	})
	run(func(s *oidctest.Script) { s.TokenAnswer = keep; s.SignIDToken = oidctest.SignSecret })
	run(func(s *oidctest.Script) { s.TokenAnswer = keep; s.UserinfoStatus = 500 })
	run(func(s *oidctest.Script) { s.TokenStatus, s.TokenError = 400, "invalid_client" }) // it quotes the request
	run(func(s *oidctest.Script) { s.TokenStatus, s.TokenError = 500, "x" })
	run(func(s *oidctest.Script) {
		s.TokenAnswer = func(m map[string]any) { keep(m); delete(m, "access_token") }
	})
	p := g.program(t)
	p.post("/.auth/login", url.Values{"username": {"alice"}, "password": {"correct horse"}})
	p.post("/.auth/login", url.Values{"username": {"alice", "x"}, "password": {"correct horse"}})
	p.do(http.MethodPost, "/.auth/login", url.Values{"password": {"correct horse"}}, "Content-Type", "text/plain")
	for _, form := range op.Exchanges() {
		remember("verifier "+form.Get("code_verifier"), form.Get("code_verifier"))
	}
	if len(secrets) < 20 {
		t.Fatalf("only %d secrets were seen", len(secrets))
	}
	logged := g.everythingLogged()
	if !strings.Contains(logged, "invalid_client") || !strings.Contains(logged, login.ReasonInvalidIDToken) {
		t.Fatalf("the log is not what it should be: %s", logged)
	}
	for name, secret := range secrets {
		if strings.Contains(logged, secret) || strings.Contains(logged, url.QueryEscape(secret)) {
			t.Errorf("the log holds the %s", name)
		}
	}
}
