//go:build e2e

package env_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// TestOIDCProvider shows that the provider has what tests count on: PKCE and,
// where it is told so, pushed requests are required, refresh tokens rotate, a
// second use of one ends them all, and clients are told of logouts.
func TestOIDCProvider(t *testing.T) {
	var told atomic.Int64
	rp := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if strings.Count(r.FormValue("logout_token"), ".") == 2 {
			told.Add(1)
		}
	}))
	t.Cleanup(rp.Close)
	back := rp.URL + "/back"
	op := env.StartOIDCProvider(t, env.OIDCProviderOptions{
		AccessToken: 7 * time.Second, TokenBytes: 1000, PAR: env.PAROptional,
		Clients: []env.OIDCClient{{ID: "web", Secret: "s", RedirectURIs: []string{back}, Backchannel: rp.URL}},
	})
	config := &oauth2.Config{
		ClientID: "web", ClientSecret: "s", RedirectURL: back, Scopes: []string{"openid", "email"},
		Endpoint: oauth2.Endpoint{AuthURL: op.Issuer + "/auth", TokenURL: op.Issuer + "/token", AuthStyle: oauth2.AuthStyleInHeader},
	}
	verifier := oauth2.GenerateVerifier()
	answer := visit(t, back, config.AuthCodeURL("state"))
	if answer.Get("error") != "invalid_request" {
		t.Errorf("without PKCE: %v", answer)
	}
	answer = visit(t, back, config.AuthCodeURL("state", oauth2.S256ChallengeOption(verifier)))
	token, err := config.Exchange(t.Context(), answer.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatalf("%v, %v", answer, err)
	}
	if token.RefreshToken == "" || len(token.AccessToken) != 1000 || time.Until(token.Expiry) > 7*time.Second {
		t.Errorf("access token of %d bytes until %v, refresh token of %d", len(token.AccessToken), token.Expiry, len(token.RefreshToken))
	}

	next, err := refresh(t, config, token.RefreshToken)
	if err != nil || next.RefreshToken == token.RefreshToken {
		t.Fatalf("the refresh token was not rotated: %v", err)
	}
	op.Behave(env.OIDCBehaviour{Status: http.StatusBadGateway})
	if _, err := refresh(t, config, next.RefreshToken); err == nil || !strings.Contains(err.Error(), "temporarily_unavailable") {
		t.Errorf("told to misbehave: %v", err)
	}
	op.Behave(env.OIDCBehaviour{})
	for _, stolen := range []string{token.RefreshToken, next.RefreshToken} {
		if _, err := refresh(t, config, stolen); err == nil || !strings.Contains(err.Error(), "invalid_grant") {
			t.Errorf("after a second use: %v", err)
		}
	}

	op.Logout("bob")
	if told.Load() != 0 {
		t.Error("a logout of bob is none of alice")
	}
	op.Logout("alice")
	if got := op.Counts(); told.Load() != 1 || got.Backchannel.OK != 1 || got.Codes() != 1 || got.Refreshes() != 1 ||
		got.Refused["invalid_grant"] != 2 || got.Refused["502"] != 1 || got.Login != 1 {
		t.Errorf("told %d times, counted %+v\n%s", told.Load(), got, op.Output())
	}
}

// TestOIDCProviderRequiresPushedRequests takes no others.
func TestOIDCProviderRequiresPushedRequests(t *testing.T) {
	const back = "http://127.0.0.1/back"
	op := env.StartOIDCProvider(t, env.OIDCProviderOptions{
		PAR: env.PARRequired, Clients: []env.OIDCClient{{ID: "web", RedirectURIs: []string{back}}},
	})
	query := url.Values{
		"client_id": {"web"}, "redirect_uri": {back}, "response_type": {"code"}, "scope": {"openid"}, "state": {"s"},
		"code_challenge": {oauth2.S256ChallengeFromVerifier(oauth2.GenerateVerifier())}, "code_challenge_method": {"S256"},
	}
	if answer := visit(t, back, op.Issuer+"/auth?"+query.Encode()); answer.Get("error") != "invalid_request" {
		t.Errorf("a plain request: %v", answer)
	}
	res, err := http.PostForm(op.Issuer+"/request", query)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var pushed struct {
		URI string `json:"request_uri"`
	}
	if err := json.NewDecoder(res.Body).Decode(&pushed); err != nil {
		t.Fatal(err)
	}
	answer := visit(t, back, op.Issuer+"/auth?"+url.Values{"client_id": {"web"}, "request_uri": {pushed.URI}}.Encode())
	if answer.Get("code") == "" || answer.Get("state") != "s" || op.Counts().PAR != 1 {
		t.Errorf("a pushed request: %v, counted %+v", answer, op.Counts())
	}
}

func refresh(t *testing.T, config *oauth2.Config, token string) (*oauth2.Token, error) {
	t.Helper()
	return config.TokenSource(t.Context(), &oauth2.Token{RefreshToken: token}).Token()
}

// visit goes to the provider, signs alice in where it asks, and returns what is
// sent back to the client.
func visit(t *testing.T, back, to string) (answer url.Values) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Jar: jar, Timeout: 10 * time.Second, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), back+"?") {
			answer = r.URL.Query()
			return http.ErrUseLastResponse
		}
		return nil
	}}
	res, err := c.Get(to)
	if err == nil && answer == nil {
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		res, err = c.PostForm(res.Request.URL.String(), url.Values{"account": {"alice"}})
	}
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return answer
}
