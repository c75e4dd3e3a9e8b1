package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/jose"
)

const devProvider = `
login: {providers: [{name: dev, type: dev, identities: [{subject: alice, name: Alice, email: alice@example.test, groups: [staff]}]}]}
`

// signer is a gateway in memory that signs, and what a browser and an operator
// send to it.
type signer struct {
	t      *testing.T
	public http.Handler
	admin  http.Handler
	close  func()
}

func newSigningSite(t *testing.T, yaml string) *signer {
	t.Helper()
	if !strings.Contains(yaml, "session:") {
		yaml += "\nsession: {embedded: {path: \"\"}}\n"
	}
	s, err := openSigner(t, yaml)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func openSigner(t *testing.T, yaml string) (*signer, error) {
	t.Helper()
	token := filepath.Join(t.TempDir(), "admin")
	if err := os.WriteFile(token, []byte("operator"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Parse("file", []byte(yaml+"\nadmin: {token_file: "+token+"}\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(t.Context(), cfg, zap.NewNop(), "test")
	if err != nil {
		return nil, err
	}
	closed := false
	s := &signer{t: t, public: g.Handler(), admin: g.AdminHandler(), close: func() {
		if !closed {
			closed = true
			seeMetrics(t, g)
			if err := g.Close(); err != nil {
				t.Error(err)
			}
		}
	}}
	t.Cleanup(s.close)
	return s, nil
}

// send asks with header lines "Name: value".
func (s *signer) send(h http.Handler, method, target, body string, lines ...string) *httptest.ResponseRecorder {
	s.t.Helper()
	r := httptest.NewRequestWithContext(s.t.Context(), method, target, strings.NewReader(body))
	r.Host = "localhost:8080"
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// signIn returns the cookie line of alice.
func (s *signer) signIn() string {
	s.t.Helper()
	w := s.send(s.public, "POST", "/.auth/login", "provider=dev&username=alice", "Content-Type: application/x-www-form-urlencoded")
	for _, c := range w.Result().Cookies() {
		if c.Value != "" {
			return "Cookie: " + c.Name + "=" + c.Value
		}
	}
	s.t.Fatalf("signing in: %d %s", w.Code, w.Body)
	return ""
}

func (s *signer) operate(method, path, body string, into any) int {
	s.t.Helper()
	w := s.send(s.admin, method, "/api/v1"+path, body, "Authorization: Bearer operator", "Content-Type: application/json")
	if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
		s.t.Fatalf("%s: %v in %s", path, err, w.Body)
	}
	return w.Code
}

// echoed returns the values that the application received under a name.
func echoed(t *testing.T, w *httptest.ResponseRecorder, name string) []string {
	t.Helper()
	var got struct{ Headers [][2]string }
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatalf("%d: %v in %s", w.Code, err, w.Body)
	}
	var values []string
	for _, h := range got.Headers {
		if folded(h[0]) == folded(name) {
			values = append(values, h[1])
		}
	}
	return values
}

// claims proves a token with the published keys.
func (s *signer) claims(raw string) (*jose.Token, map[string]any) {
	s.t.Helper()
	w := s.send(s.public, "GET", "/.auth/jwks.json", "")
	set, dropped, err := jose.ParseKeySet(w.Body.Bytes())
	if err != nil || dropped > 0 {
		s.t.Fatalf("key set: %v, %d of its keys are useless: %s", err, dropped, w.Body)
	}
	token, err := jose.Parse(raw)
	if err != nil {
		s.t.Fatalf("%v: %q", err, raw)
	}
	key, ok := set.Find(token.Header.KeyID, token.Header.Algorithm)
	if !ok {
		s.t.Fatalf("key %s is not published", token.Header.KeyID)
	}
	claims, err := token.Verify(key)
	if err != nil {
		s.t.Fatal(err)
	}
	return token, claims.Raw
}

const assertingRoutes = `
routes:
  - {name: app, upstream: "builtin:echo", policy: authenticated, assertion: true}
  - {name: billing, paths: [/billing], upstream: "builtin:echo", policy: authenticated, assertion: true, audience: "https://billing.internal"}
  - {name: plain, paths: [/plain], upstream: "builtin:echo", policy: authenticated}
  - {name: open, paths: [/open], upstream: "builtin:echo", public: true}
`

func TestEachApplicationGetsItsOwnAssertion(t *testing.T) {
	s := newSigningSite(t, devProvider+assertingRoutes)
	cookie := s.signIn()
	for path, audience := range map[string]string{"/": "app", "/billing": "https://billing.internal"} {
		got := echoed(t, s.send(s.public, "GET", path, "", cookie), "Sallyport-Assertion")
		if len(got) != 1 {
			t.Fatalf("%s received %q", path, got)
		}
		token, claims := s.claims(got[0])
		if token.Header.Type != "sallyport-assertion+jwt" || token.Header.Algorithm != "ES256" {
			t.Errorf("header %+v", token.Header)
		}
		for name, want := range map[string]any{
			"aud": audience, "iss": "http://localhost:8080/.auth", "sub": "alice", "email": "alice@example.test", "email_verified": true, "name": "Alice",
		} {
			if claims[name] != want {
				t.Errorf("%s: %s is %v, want %v", path, name, claims[name], want)
			}
		}
		if again := echoed(t, s.send(s.public, "GET", path, "", cookie), "Sallyport-Assertion"); !slices.Equal(again, got) {
			t.Error("the next request of the session got another one")
		}
	}
}

func TestAClientCannotBringAnAssertionOfItsOwn(t *testing.T) {
	s := newSigningSite(t, devProvider+assertingRoutes)
	cookie := s.signIn()
	for _, path := range []string{"/plain", "/open", "/"} {
		for _, name := range []string{"Sallyport-Assertion", "sallyport_assertion", "SALLYPORT.ASSERTION", "Sallyport-Assertion-2"} {
			for _, v := range echoed(t, s.send(s.public, "GET", path, "", cookie, name+": forged"), name) {
				if v == "forged" {
					t.Errorf("%s: %s reached the application", path, name)
				}
			}
		}
		if got := echoed(t, s.send(s.public, "GET", path, "", cookie), "Sallyport-Assertion"); path != "/" && len(got) > 0 {
			t.Errorf("%s received an assertion that it did not ask for", path)
		}
	}
}

func TestThePublishedKeysMayBeKeptAndReadByAnybody(t *testing.T) {
	s := newSigningSite(t, devProvider+assertingRoutes)
	get := s.send(s.public, "GET", "/.auth/jwks.json", "")
	etag := get.Header().Get("ETag")
	for name, want := range map[string]string{
		"Content-Type": "application/jwk-set+json", "Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*",
	} {
		if got := get.Header().Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if get.Code != 200 || len(etag) < 10 || strings.Contains(get.Body.String(), `"d"`) {
		t.Errorf("%d %s %s", get.Code, etag, get.Body)
	}
	for name, c := range map[string]struct {
		method, line string
		status       int
		empty        bool
	}{
		"HEAD":               {"HEAD", "", 200, true},
		"the same tag":       {"GET", "If-None-Match: " + etag, 304, true},
		"a weak one":         {"GET", `If-None-Match: "x", W/` + etag, 304, true},
		"any":                {"GET", "If-None-Match: *", 304, true},
		"another tag":        {"GET", `If-None-Match: "x"`, 200, false},
		"a method of others": {"POST", "", 405, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := s.send(s.public, c.method, "/.auth/jwks.json", "", c.line)
			if w.Code != c.status || (w.Body.Len() == 0) != c.empty {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			if c.status == 304 && (w.Header().Get("ETag") != etag || w.Header().Get("Cache-Control") == "") {
				t.Errorf("the 304 has %v", w.Header())
			}
		})
	}
}

func TestTheMetadataLeadsToTheKeys(t *testing.T) {
	for exchange, endpoint := range map[string]any{"": nil, "tokens: {exchange: {enabled: true, audiences: [api]}}": "http://localhost:8080/.auth/token"} {
		s := newSigningSite(t, devProvider+assertingRoutes+exchange+"\nassertions: {algorithm: EdDSA}\n")
		var got map[string]any
		w := s.send(s.public, "GET", "/.auth/.well-known/openid-configuration", "")
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		want := map[string]any{
			"issuer": "http://localhost:8080/.auth", "jwks_uri": "http://localhost:8080/.auth/jwks.json", "token_endpoint": endpoint,
		}
		for name, v := range want {
			if got[name] != v {
				t.Errorf("%s is %v, want %v", name, got[name], v)
			}
		}
		if algs := fmt.Sprint(got["id_token_signing_alg_values_supported"]); algs != "[EdDSA]" {
			t.Errorf("algorithms %s", algs)
		}
	}
}

// TestWithoutSigningKeysOnlyWhatNeedsThemIsUnavailable is a start while the store
// is out of reach.
func TestWithoutSigningKeysOnlyWhatNeedsThemIsUnavailable(t *testing.T) {
	t.Parallel()
	issuer, err := jose.NewSigner("ES256", "k1")
	if err != nil {
		t.Fatal(err)
	}
	published, err := issuer.PublicJWKS()
	if err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(keys, published, 0o600); err != nil {
		t.Fatal(err)
	}
	token, err := issuer.Sign("at+jwt", map[string]any{
		"iss": "https://id.example.test", "aud": "api", "sub": "alice", "exp": time.Now().Add(time.Minute).Unix(),
	})
	if err != nil {
		t.Fatal(err)
	}
	s := newSigningSite(t, "session: {store: valkey, valkey: {urls: ['valkey://127.0.0.1:1']}, keys_files: ["+writeSealingKey(t, "key")+"]}\n"+
		"tokens: {issuers: [{issuer: https://id.example.test, audiences: [api], jwks_file: "+keys+"}]}\n"+`
routes:
  - {name: app, upstream: "builtin:echo", policy: authenticated, auth: [bearer], assertion: true}
  - {name: plain, paths: [/plain], upstream: "builtin:echo", public: true}
`)
	for path, status := range map[string]int{"/": 503, "/plain": 200, "/.auth/jwks.json": 503, "/.auth/.well-known/openid-configuration": 503} {
		w := s.send(s.public, "GET", path, "", "Authorization: Bearer "+token)
		if w.Code != status || (status == 503) != (w.Header().Get("Retry-After") != "") {
			t.Errorf("%s: %d %v %s", path, w.Code, w.Header(), w.Body)
		}
		if strings.Contains(w.Body.String(), "127.0.0.1:1") {
			t.Errorf("%s shows what is wrong inside: %s", path, w.Body)
		}
	}
}

func TestASessionIsExchangedForAToken(t *testing.T) {
	s := newSigningSite(t, devProvider+assertingRoutes+"tokens: {exchange: {enabled: true, lifetime: 2m, audiences: [api, reports]}}\n")
	cookie := s.signIn()
	const same, form = "Sec-Fetch-Site: same-origin", "Content-Type: application/x-www-form-urlencoded"
	for name, c := range map[string]struct {
		method, body string
		lines        []string
		status       int
		reason, aud  string
	}{
		"the page's own script":   {"POST", "", []string{cookie, same}, 200, "", "api"},
		"by its Origin":           {"POST", "", []string{cookie, "Origin: http://localhost:8080"}, 200, "", "api"},
		"for another audience":    {"POST", "audience=reports", []string{cookie, same, form}, 200, "", "reports"},
		"for an unknown audience": {"POST", "audience=payroll", []string{cookie, same, form}, 400, "unknown_audience", ""},
		"another site's script":   {"POST", "", []string{cookie, "Sec-Fetch-Site: cross-site"}, 403, "cross_site", ""},
		"a sister site's script":  {"POST", "", []string{cookie, "Sec-Fetch-Site: same-site"}, 403, "cross_site", ""},
		"another Origin":          {"POST", "", []string{cookie, "Origin: http://evil.test"}, 403, "cross_site", ""},
		"a Referer alone":         {"POST", "", []string{cookie, "Referer: http://localhost:8080/"}, 403, "cross_site", ""},
		"a program that is none":  {"POST", "", []string{cookie}, 200, "", "api"},
		"nobody":                  {"POST", "", []string{same}, 401, "no_session", ""},
		"nobody, in a browser":    {"POST", "", []string{same, "Sec-Fetch-Mode: navigate", "Accept: text/html"}, 401, "", ""},
		"GET":                     {"GET", "", []string{cookie, same}, 405, "method_not_allowed", ""},
		"JSON":                    {"POST", "{}", []string{cookie, same, "Content-Type: application/json"}, 415, "unsupported_media_type", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := s.send(s.public, c.method, "/.auth/token", c.body, c.lines...)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.reason) || w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Location") != "" {
				t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
			}
			if c.status != 200 {
				if strings.Contains(w.Body.String(), "access_token") {
					t.Error("a token with the refusal")
				}
				return
			}
			var got struct {
				AccessToken string `json:"access_token"`
				TokenType   string `json:"token_type"`
				ExpiresIn   int    `json:"expires_in"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.TokenType != "Bearer" || got.ExpiresIn < 118 || got.ExpiresIn > 120 {
				t.Errorf("%v: %s", err, w.Body)
			}
			token, claims := s.claims(got.AccessToken)
			if token.Header.Type != "at+jwt" || claims["aud"] != c.aud || claims["sub"] != "alice" {
				t.Errorf("typ %s, claims %v", token.Header.Type, claims)
			}
		})
	}
	if w := s.send(newSigningSite(t, devProvider+assertingRoutes).public, "POST", "/.auth/token", "", same); w.Code != 404 {
		t.Errorf("with the exchange off: %d %s", w.Code, w.Body)
	}
}

func TestATokenNeverOutlivesItsSession(t *testing.T) {
	s := newSigningSite(t, devProvider+assertingRoutes+"tokens: {exchange: {enabled: true, lifetime: 1h, audiences: [api]}}\n"+
		"session: {embedded: {path: \"\"}, absolute_timeout: 90s, idle_timeout: 90s}\n")
	begun := time.Now()
	w := s.send(s.public, "POST", "/.auth/token", "", s.signIn(), "Sec-Fetch-Site: same-origin")
	var got struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatalf("%s", w.Body)
	}
	_, claims := s.claims(got.AccessToken)
	exp, _ := claims["exp"].(float64)
	if exp == 0 || int64(exp) > begun.Add(91*time.Second).Unix() || got.ExpiresIn > 90 {
		t.Errorf("exp is %v, the session ends at %d", exp, begun.Add(90*time.Second).Unix())
	}
}
