package gateway_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestEveryKindLetsInWhoItKnows: who it is for the application, and that the
// credential stays with the gateway, on the kind's own route and on one that
// takes them all.
func TestEveryKindLetsInWhoItKnows(t *testing.T) {
	s := newKindsSite(t)
	key, _ := s.apiKey(t, nil)
	jwt := s.token(t, map[string]any{"groups": []string{"users"}})
	for name, c := range map[string]struct {
		target, line, user, email, issuer string
	}{
		"an opaque token":              {"/opaque/", "Authorization: Bearer good", "opaque-user", "", "introspection corp"},
		"a password":                   {"/basic/", basicLine("paula:" + peoplesPassword), "paula", "paula@example.test", "urn:sallyport:local"},
		"a JWT as the password":        {"/basic/", basicLine("x:" + jwt), "caller", "", tokenIssuer},
		"an opaque token as password":  {"/basic/", basicLine("x:good"), "opaque-user", "", "introspection corp"},
		"a key as the password":        {"/basic/", basicLine("x:" + key), "robot", "", "api_key"},
		"a key as a bearer token":      {"/keys/", "Authorization: Bearer " + key, "robot", "", "api_key"},
		"a key in a header of its own": {"/keys/", "X-API-Key: " + key, "robot", "", "api_key"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, target := range []string{c.target, "/all/"} {
				// Beside the session of somebody else, whom the header outranks.
				for _, user := range []string{"", "mallory"} {
					if user != "" && target != "/all/" {
						continue
					}
					got := s.passed(t, s.as(t, user, target, c.line))
					preferred := c.user
					if strings.HasPrefix(c.issuer, "introspection") || c.issuer == tokenIssuer {
						preferred = ""
					}
					got.isUser(t, c.user, c.email, "users", preferred)
					if iss := got.header("X-Forwarded-Issuer"); !slices.Equal(iss, []string{c.issuer}) {
						t.Errorf("%s: issuer %q", target, iss)
					}
					got.noCredential(t)
				}
			}
		})
	}
	text := s.logText.String()
	for _, secret := range []string{key, peoplesPassword, "introspect-me", jwt, base64.StdEncoding.EncodeToString([]byte("paula:" + peoplesPassword))} {
		if strings.Contains(text, secret) {
			t.Error("the log holds a secret")
		}
	}
}

// TestEveryKindRefusesWhatItDoesNotKnow, and a session beside it does not help.
func TestEveryKindRefusesWhatItDoesNotKnow(t *testing.T) {
	s := newKindsSite(t)
	key, id := s.apiKey(t, nil)
	narrow, _ := s.apiKey(t, map[string]any{"routes": []string{"all"}})
	if w := s.admin(t, http.MethodDelete, "/apikeys/"+id, nil); w.Code != http.StatusNoContent {
		t.Fatal(w.Code, w.Body)
	}
	bad := s.token(t, nil)
	bad = bad[:len(bad)-4] + "AAAA"
	for name, c := range map[string]struct{ target, line, reason string }{
		"an opaque token that nobody issued":  {"/opaque/", "Authorization: Bearer forged", "token_inactive"},
		"nothing":                             {"/opaque/", "X: y", "no_credential"},
		"a JWT where opaque tokens are taken": {"/opaque/", "Authorization: Bearer " + s.token(t, nil), "unsupported_credential"},
		"a key where opaque tokens are taken": {"/opaque/", "Authorization: Bearer " + key, "unsupported_credential"},
		"a wrong password":                    {"/basic/", basicLine("paula:correct"), "invalid_login"},
		"an unknown user":                     {"/basic/", basicLine("saul:" + peoplesPassword), "malformed_token"},
		"a forged JWT as the password":        {"/basic/", basicLine("paula:" + bad), "bad_signature"},
		"a forged opaque token as password":   {"/basic/", basicLine("x:forged"), "token_inactive"},
		"what is no pair":                     {"/basic/", "Authorization: Basic AAAA", "malformed_credential"},
		"a revoked key":                       {"/keys/", "X-API-Key: " + key, "api_key_revoked"},
		"a revoked key as a bearer token":     {"/keys/", "Authorization: Bearer " + key, "api_key_revoked"},
		"a revoked key as the password":       {"/basic/", basicLine("x:" + key), "api_key_revoked"},
		"a key for another route":             {"/keys/", "X-API-Key: " + narrow, "wrong_audience"},
		"a key that was never made":           {"/keys/", "X-API-Key: spk_" + strings.Repeat("A", 43), "unknown_api_key"},
		"half a key":                          {"/keys/", "X-API-Key: " + narrow[:20], "unknown_api_key"},
		"two keys":                            {"/keys/", "X-API-Key: " + narrow + "\r\nX-API-Key: " + narrow, "duplicate_credential"},
		"a key beside a token":                {"/all/", "X-API-Key: " + narrow + "\r\nAuthorization: Bearer good", "duplicate_credential"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, user := range []string{"", "alice"} {
				a := s.as(t, user, c.target, c.line)
				s.denied(t, a, http.StatusUnauthorized)
				if got := a.reason(t); got != c.reason {
					t.Errorf("reason %s, want %s", got, c.reason)
				}
				if a.Header.Get("WWW-Authenticate") == "" {
					t.Error("there is no challenge")
				}
			}
		})
	}
	if tokens := s.oauth.tokens(); slices.ContainsFunc(tokens, func(s string) bool { return s != "forged" }) {
		t.Errorf("the authorization server was asked about %q", tokens)
	}
}

func TestAuthorizationServerThatIsDownIsAnOutage(t *testing.T) {
	s := newKindsSite(t)
	s.oauth.fail(true)
	for _, target := range []string{"/opaque/", "/all/"} {
		a := s.as(t, "alice", target, "Authorization: Bearer good")
		s.denied(t, a, http.StatusServiceUnavailable)
		if a.Header.Get("Retry-After") == "" || a.Header.Get("Set-Cookie") != "" {
			t.Errorf("headers %v", a.Header)
		}
	}
	s.denied(t, s.as(t, "", "/basic/", basicLine("x:good")), http.StatusServiceUnavailable)
	// It concerns nobody else.
	s.passed(t, s.as(t, "", "/basic/", basicLine("paula:"+peoplesPassword)))
	s.oauth.fail(false)
	s.passed(t, s.as(t, "", "/opaque/", "Authorization: Bearer good"))
	// What was learned serves through the next outage, for as long as it counts.
	s.oauth.fail(true)
	s.passed(t, s.as(t, "", "/opaque/", "Authorization: Bearer good"))
}

// TestRevokedKeyEndsItsStreams: a revocation is not for new requests alone.
func TestRevokedKeyEndsItsStreams(t *testing.T) {
	held := make(chan struct{})
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(held)
	}))
	defer up.Close()
	dir := t.TempDir()
	token := filepath.Join(dir, "admin")
	if err := os.WriteFile(token, []byte(operatorsToken), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSite(t, plan{upstream: up.URL, adminToken: token, routes: `
  - {name: keys, paths: [/keys/], upstream: "$UP", auth: [api_key], policy: authenticated}`})
	key, id := s.apiKey(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.host+"/keys/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Api-Key", key)
	res, err := s.browser().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatal(res.Status)
	}
	if w := s.admin(t, http.MethodDelete, "/apikeys/"+id, nil); w.Code != http.StatusNoContent {
		t.Fatal(w.Code, w.Body)
	}
	select {
	case <-held:
	case <-ctx.Done():
		t.Error("the stream is still open")
	}
}

// TestBrowsersAreShownThePageAndNoBoxForAPassword on a route that has a sign-in
// page; other programs are told that they may send a password.
func TestBrowsersAreShownThePageAndNoBoxForAPassword(t *testing.T) {
	s := newKindsSite(t)
	challenges := func(a answer) string { return strings.Join(a.Header["Www-Authenticate"], "; ") }

	a := s.as(t, "", "/all/", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document")
	s.denied(t, a, http.StatusFound)
	if !strings.HasPrefix(a.Header.Get("Location"), "/.auth/login") {
		t.Errorf("sent to %q", a.Header.Get("Location"))
	}
	for name, line := range map[string]string{
		"a script": "Sec-Fetch-Mode: cors", "an old script": "X-Requested-With: XMLHttpRequest", "a script of another site": "Origin: https://evil.test",
		"an old browser that came with a bad header": "Accept: text/html\r\n" + basicLine("paula:wrong"),
	} {
		a := s.as(t, "", "/all/", line)
		s.denied(t, a, http.StatusUnauthorized)
		if got := challenges(a); got == "" || strings.Contains(got, "Basic") {
			t.Errorf("%s: %s", name, got)
		}
	}
	a = s.as(t, "", "/all/", "User-Agent: git/2")
	s.denied(t, a, http.StatusUnauthorized)
	if got, want := challenges(a), `Basic realm="localhost:8080", charset="UTF-8"`; !strings.Contains(got, want) {
		t.Errorf("a program: %s", got)
	}
	if got := challenges(a); strings.Count(got, "Bearer") != 1 {
		t.Errorf("bearer tokens of three kinds have one challenge: %s", got)
	}
	// Where a password is all that is taken, the box is the way in.
	a = s.as(t, "", "/basic/", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document")
	s.denied(t, a, http.StatusUnauthorized)
	if got, want := challenges(a), `Basic realm="localhost:8080", charset="UTF-8"`; got != want {
		t.Errorf("a browser where nothing else is taken: %s", got)
	}
	// A token that was sent and is bad says so (RFC 6750, section 3.1).
	for _, target := range []string{"/opaque/", "/keys/"} {
		line := map[string]string{"/opaque/": "Authorization: Bearer forged", "/keys/": "X-API-Key: spk_x"}[target]
		if got, want := challenges(s.as(t, "", target, line)), `Bearer realm="localhost:8080", error="invalid_token"`; got != want {
			t.Errorf("%s: %s", target, got)
		}
		if got, want := challenges(s.as(t, "", target)), `Bearer realm="localhost:8080"`; got != want {
			t.Errorf("%s without a token: %s", target, got)
		}
	}
}

func TestAPIKeysAreMadeAndRevokedByOperatorsAlone(t *testing.T) {
	s := newKindsSite(t)
	w := httptest.NewRecorder()
	s.gw.AdminHandler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/apikeys", nil))
	if w.Code != http.StatusUnauthorized {
		t.Errorf("without the token: %d", w.Code)
	}
	for name, wish := range map[string]map[string]any{
		"no name":                 {"subject": "s"},
		"no subject":              {"name": "n"},
		"a line end":              {"name": "n", "subject": "a\nb"},
		"an unknown member":       {"name": "n", "subject": "s", "expires": "1d"},
		"an unknown route":        {"name": "n", "subject": "s", "routes": []string{"app"}}, // takes no keys
		"an empty group":          {"name": "n", "subject": "s", "groups": []string{""}},
		"two scopes in one":       {"name": "n", "subject": "s", "scopes": []string{"a b"}},
		"no address":              {"name": "n", "subject": "s", "email": "x"},
		"a life that is none":     {"name": "n", "subject": "s", "lifetime": "-1h"},
		"a life that is too long": {"name": "n", "subject": "s", "lifetime": "4000d"},
		"a life, and for ever":    {"name": "n", "subject": "s", "lifetime": "1d", "never_expires": true},
	} {
		if w := s.admin(t, http.MethodPost, "/apikeys", wish); w.Code != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if w := s.admin(t, http.MethodDelete, "/apikeys/"+url.PathEscape("../x"), nil); w.Code != http.StatusNotFound {
		t.Errorf("an id that is none: %d", w.Code)
	}
	key, id := s.apiKey(t, map[string]any{"name": "nightly", "lifetime": "30d", "scopes": []string{"read"}})
	list := s.admin(t, http.MethodGet, "/apikeys", nil).Body.String()
	if !strings.Contains(list, `"name":"nightly"`) || !strings.Contains(list, id) || strings.Contains(list, key[4:]) {
		t.Errorf("the list: %s", list)
	}
	var answer struct {
		Keys []struct{ Created, Expires time.Time }
	}
	if err := json.Unmarshal([]byte(list), &answer); err != nil || len(answer.Keys) != 1 || answer.Keys[0].Expires.Sub(answer.Keys[0].Created) != 30*24*time.Hour {
		t.Errorf("%+v, %v", answer, err)
	}
	if w := s.admin(t, http.MethodDelete, "/apikeys/"+id, nil); w.Code != http.StatusNoContent {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	lines := s.log.FilterMessage("audit").All()
	events := map[string]bool{}
	for _, l := range lines {
		m := l.ContextMap()
		if m["token"] == id && m["subject"] == "robot" && m["outcome"] == "ok" {
			events[fmt.Sprint(m["event"])] = true
		}
	}
	if !events["apikey_create"] || !events["apikey_revoke"] {
		t.Errorf("audited: %v", events)
	}
	if strings.Contains(s.logText.String(), key[4:]) {
		t.Error("the log holds the key")
	}
}
