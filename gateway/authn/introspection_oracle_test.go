package authn_test

import (
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/jwks"
	"github.com/sallyport/sallyport/gateway/login/oidctest"
)

// discovered are the endpoints of a provider.
type discovered struct {
	Authorize  string `json:"authorization_endpoint"`
	Token      string `json:"token_endpoint"`
	Introspect string `json:"introspection_endpoint"`
}

func discover(t *testing.T, issuer string) (d discovered) {
	t.Helper()
	res, err := http.Get(issuer + "/.well-known/openid-configuration")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&d); err != nil {
		t.Fatal(err)
	}
	return d
}

// zitadelToken signs a user in at the provider and returns the opaque access
// token of the client.
func zitadelToken(t *testing.T, at discovered, secret string) string {
	t.Helper()
	const back = "http://127.0.0.1/back"
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	var code string
	browser := &http.Client{Jar: jar, Timeout: 10 * time.Second, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), back) {
			code = r.URL.Query().Get("code")
			return http.ErrUseLastResponse
		}
		return nil
	}}
	page, err := browser.Get(at.Authorize + "?" + url.Values{
		"client_id": {"web"}, "redirect_uri": {back}, "response_type": {"code"}, "scope": {"openid email profile"}, "state": {"s"},
	}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	page.Body.Close()
	done, err := browser.PostForm(page.Request.URL.String(), url.Values{
		"username": {oidctest.ZitadelUser}, "password": {oidctest.ZitadelPassword}, "id": {page.Request.URL.Query().Get("authRequestID")},
	})
	if err != nil {
		t.Fatal(err)
	}
	done.Body.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at.Token, strings.NewReader(url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {back},
	}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("web", secret)
	res, err := browser.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || answer.AccessToken == "" {
		t.Fatalf("no token for code %q: %s, %v", code, res.Status, err)
	}
	return answer.AccessToken
}

// TestOpaqueTokenOfACertifiedProvider asks the provider of zitadel/oidc about a
// token that it has issued.
func TestOpaqueTokenOfACertifiedProvider(t *testing.T) {
	issuer := oidctest.NewZitadel(t, "web", "secret", "http://127.0.0.1/back")
	at := discover(t, issuer)
	token := zitadelToken(t, at, "secret")
	client, err := jwks.NewClient("")
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	for name, c := range map[string]struct {
		secret config.Secret
		auth   string
		token  string
		want   string
	}{
		"its token":                          {"secret", config.ClientAuthBasic, token, accepted},
		"its token, asked in another way":    {"secret", config.ClientAuthPost, token, outage}, // the client is one of client_secret_basic
		"a token that it has not issued":     {"secret", config.ClientAuthBasic, "x" + token[1:], authn.ReasonTokenInactive},
		"its token, asked by a wrong secret": {"guess", config.ClientAuthBasic, token, outage},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := entry(func(e *config.Introspection) {
				e.Endpoint, e.ClientID, e.ClientSecret, e.ClientAuth = at.Introspect, "web", c.secret, c.auth
			})
			s, err := authn.NewIntrospectionServer(cfg, client, zap.NewNop())
			if err != nil {
				t.Fatal(err)
			}
			id, err := introspection(s).Authenticate(t.Context(), opaque(c.token))
			if got := verdict(t, id, err); got != c.want {
				t.Fatalf("%s (%v), want %s", got, err, c.want)
			}
			if id != nil && (id.Subject != oidctest.ZitadelSubject || !strings.Contains(id.Email, "@")) {
				t.Errorf("%+v", id)
			}
		})
	}
}
