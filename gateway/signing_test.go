package gateway_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
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

func newSigner(t *testing.T, yaml string) *signer {
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
	s := newSigner(t, devProvider+assertingRoutes)
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
	s := newSigner(t, devProvider+assertingRoutes)
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
	s := newSigner(t, devProvider+assertingRoutes)
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
		s := newSigner(t, devProvider+assertingRoutes+exchange+"\nassertions: {algorithm: EdDSA}\n")
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

func TestASessionIsExchangedForAToken(t *testing.T) {
	s := newSigner(t, devProvider+assertingRoutes+"tokens: {exchange: {enabled: true, lifetime: 2m, audiences: [api, reports]}}\n")
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
		"nothing that tells":      {"POST", "", []string{cookie}, 403, "cross_site", ""},
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
	if w := s.send(newSigner(t, devProvider+assertingRoutes).public, "POST", "/.auth/token", "", same); w.Code != 404 {
		t.Errorf("with the exchange off: %d %s", w.Code, w.Body)
	}
}

func TestATokenNeverOutlivesItsSession(t *testing.T) {
	s := newSigner(t, devProvider+assertingRoutes+"tokens: {exchange: {enabled: true, lifetime: 1h, audiences: [api]}}\n"+
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

type keyList struct {
	Keys       []struct{ Kid, State, Algorithm string }
	SwitchesAt *time.Time `json:"switches_at"`
	Reason     string
	Detail     string
}

func TestOperatorsRotateTheKeys(t *testing.T) {
	s := newSigner(t, devProvider+assertingRoutes)
	var before, planned, after keyList
	if code := s.operate("GET", "/keys", "", &before); code != 200 || len(before.Keys) != 2 || before.SwitchesAt != nil {
		t.Fatalf("%d %+v", code, before)
	}
	if code := s.operate("POST", "/keys/rotate", `{}`, &planned); code != 200 || planned.SwitchesAt == nil || planned.Keys[0] != before.Keys[0] {
		t.Errorf("%d %+v: a key that was made just now must wait", code, planned)
	}
	if code := s.operate("POST", "/keys/rotate", `{"now":true}`, &after); code != 200 || after.Keys[0].Kid != before.Keys[1].Kid || len(after.Keys) != 3 {
		t.Errorf("%d %+v", code, after)
	}
	var refused keyList
	if code := s.operate("POST", "/keys/rotate", `{"later":true}`, &refused); code != 400 {
		t.Errorf("an unknown wish: %d %+v", code, refused)
	}
	w := s.send(s.admin, "POST", "/api/v1/keys/rotate", `{"now":true}`)
	if w.Code != 401 {
		t.Errorf("without the token: %d %s", w.Code, w.Body)
	}
}

func TestKeysInFilesAreRotatedByFiles(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key.pem")
	writeSigningKey(t, key)
	s := newSigner(t, devProvider+assertingRoutes+"assertions: {keys_files: ["+key+"]}\n")
	var got keyList
	if code := s.operate("POST", "/keys/rotate", `{"now":true}`, &got); code != 409 || got.Reason != "keys_in_files" {
		t.Errorf("%d %+v", code, got)
	}
	if code := s.operate("GET", "/keys", "", &got); code != 200 || len(got.Keys) != 1 || got.Keys[0].State != "current" {
		t.Errorf("%d %+v", code, got)
	}
	assertion := echoed(t, s.send(s.public, "GET", "/", "", s.signIn()), "Sallyport-Assertion")
	if token, _ := s.claims(assertion[0]); token.Header.KeyID != got.Keys[0].Kid {
		t.Errorf("%s signs", token.Header.KeyID)
	}
}

func TestTokensAreMintedInDevelopmentOnly(t *testing.T) {
	s := newSigner(t, devProvider+assertingRoutes)
	var got struct {
		AccessToken string `json:"access_token"`
		Reason      string
	}
	code := s.operate("POST", "/tokens/mint", `{"subject":"bob","email":"bob@example.test","groups":["staff"],"audience":"api","lifetime":"90s","claims":{"tenant":"t1"}}`, &got)
	if code != 200 {
		t.Fatalf("%d %+v", code, got)
	}
	_, claims := s.claims(got.AccessToken)
	for name, want := range map[string]any{"sub": "bob", "aud": "api", "tenant": "t1", "email": "bob@example.test", "email_verified": true} {
		if claims[name] != want {
			t.Errorf("%s is %v, want %v", name, claims[name], want)
		}
	}
	for name, body := range map[string]string{
		"no subject": `{}`, "a long life": `{"subject":"a","lifetime":"2h"}`, "a short one": `{"subject":"a","lifetime":"10ms"}`,
		"no duration": `{"subject":"a","lifetime":"soon"}`, "another issuer": `{"subject":"a","claims":{"iss":"https://id.example.test"}}`,
		"an unknown field": `{"subject":"a","admin":true}`,
	} {
		got.AccessToken = ""
		if code := s.operate("POST", "/tokens/mint", body, &got); code != 400 || got.AccessToken != "" {
			t.Errorf("%s: %d %+v", name, code, got)
		}
	}
	production := newSigner(t, "issuer: https://id.example.test\nclient_id: app\nupstream: builtin:echo\n")
	if code := production.operate("POST", "/tokens/mint", `{"subject":"bob"}`, &got); code != 403 || got.Reason != "not_development" {
		t.Errorf("%d %+v", code, got)
	}
}

func writeSealingKey(t *testing.T, name string) string {
	t.Helper()
	secret := make([]byte, 32)
	rand.Read(secret)
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(base64.StdEncoding.EncodeToString(secret)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSigningKeysSealedWithARemovedKeyAreKeptAndTheOperatorIsTold(t *testing.T) {
	db := filepath.Join(t.TempDir(), "sallyport.db")
	old, fresh := writeSealingKey(t, "old"), writeSealingKey(t, "new")
	with := func(routes string, keys ...string) string {
		return devProvider + routes + "session: {embedded: {path: " + db + "}, keys_files: [" + strings.Join(keys, ", ") + "]}\n"
	}
	first := newSigner(t, with(assertingRoutes, old))
	published := first.send(first.public, "GET", "/.auth/jwks.json", "").Body.String()
	first.close()

	// Where keys are needed, the gateway does not start, and says what to do.
	_, err := openSigner(t, with(assertingRoutes, fresh))
	if faults, ok := errors.AsType[config.Faults](err); !ok || !strings.Contains(faults.Error(), "session.keys_files") || !strings.Contains(faults.Error(), "put the key") {
		t.Errorf("the start says %v", err)
	}

	// Both: they are opened, and sealed anew, so that the old one can go.
	both := newSigner(t, with(assertingRoutes, fresh, old))
	if got := both.send(both.public, "GET", "/.auth/jwks.json", "").Body.String(); got != published {
		t.Errorf("the keys were exchanged: %s, before %s", got, published)
	}
	both.close()
	alone := newSigner(t, with(assertingRoutes, fresh))
	if got := alone.send(alone.public, "GET", "/.auth/jwks.json", "").Body.String(); got != published {
		t.Errorf("the keys were exchanged: %s, before %s", got, published)
	}
	alone.close()

	// Where nothing needs them, the gateway serves, and says what is wrong.
	third := newSigner(t, "issuer: https://id.example.test\nclient_id: app\nupstream: builtin:echo\n"+
		"session: {embedded: {path: "+db+"}, keys_files: ["+old+"]}\n")
	if w := third.send(third.public, "GET", "/.auth/jwks.json", ""); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("the keys: %d %s", w.Code, w.Body)
	}
	var told keyList
	if code := third.operate("GET", "/keys", "", &told); code != 503 || !strings.Contains(told.Detail, "put the key") {
		t.Errorf("%d %+v", code, told)
	}
	third.close()
}

func writeSigningKey(t *testing.T, path string) {
	t.Helper()
	// As `openssl genpkey -algorithm ed25519` writes it.
	der := append([]byte{0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20}, make([]byte, 32)...)
	rand.Read(der[16:])
	text := "-----BEGIN PRIVATE KEY-----\n" + base64.StdEncoding.EncodeToString(der) + "\n-----END PRIVATE KEY-----\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
