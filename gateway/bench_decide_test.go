package gateway_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/applogin"
	"github.com/sallyport/sallyport/gateway/assertion"
	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/guard"
	"github.com/sallyport/sallyport/gateway/headers"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/jose"
	"github.com/sallyport/sallyport/gateway/jwks"
	"github.com/sallyport/sallyport/gateway/route"
	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/session/embedded"
	"github.com/sallyport/sallyport/policy"
)

// judge is a guard in memory, put together as build.go does it, with a session
// and a token that it accepts.
type judge struct {
	manager *session.Manager
	guard   *guard.Guard
	cold    *guard.Guard // with every token proven anew
	cookie  string
	tokens  map[string]string // by algorithm
}

func newJudge(tb testing.TB) *judge {
	tb.Helper()
	store, err := embedded.Open(embedded.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	return newJudgeOver(tb, store)
}

// newJudgeOver closes the store with the test.
func newJudgeOver(tb testing.TB, store session.Store) *judge {
	tb.Helper()
	manager := session.NewManager(session.Options{
		Store: store, Keyring: newRing(tb),
		Server:  config.Server{PublicURL: "https://app.example.test"},
		Session: config.Session{IdleTimeout: 30 * time.Minute, AbsoluteTimeout: 12 * time.Hour},
	})
	tb.Cleanup(func() {
		manager.Close()
		if err := store.Close(); err != nil {
			tb.Error(err)
		}
	})
	who := &identity.Identity{
		Issuer: "https://id.example.test", Subject: "8c7f6d1e-alice", Email: "alice@example.test", EmailVerified: true,
		Name: "Alice", PreferredUsername: "alice", Groups: []string{"users", "engineering", "staff"},
		Claims: identity.MapClaims{"department": "finance", "locale": "en"},
	}
	records, _ := store.(session.Records)
	manager.Renewing(session.Renewing{
		Refresher: keptTokens{}, Records: records,
		Settings: config.Refresh{Ahead: time.Minute, Grace: 5 * time.Minute, MinRemaining: 30 * time.Second},
	})
	_, cookie, err := manager.Start(tb.Context(), session.SignIn{
		Identity: who, Provider: "corp", Tokens: []byte("the access token"), AccessExpires: time.Now().Add(time.Hour), Renewable: true,
	}, nil)
	if err != nil {
		tb.Fatal(err)
	}

	issuers, tokens := benchIssuers(tb)
	decide := func(cacheBytes int64) *guard.Guard {
		bearer := authn.NewBearer(authn.BearerOptions{CacheBytes: cacheBytes, Issuers: issuers})
		app := route.Route{
			Name: "app", Auth: authn.Order(authn.Chain{authn.NewSession(manager), bearer}),
			Policy: fiveRules(tb), Headers: defaultHeaders(tb),
		}
		forwarding := app
		forwarding.Name, forwarding.Forward = "forwarding", authn.NewSession(manager).AccessToken
		everything := app
		everything.Name, everything.Assert, everything.Headers = "everything", newAssert(tb), manyHeaders(tb)
		everything.ForwardID, everything.Credential = authn.NewSession(manager).IDToken, newLogin(tb)
		asserting := app
		asserting.Name, asserting.Assert = "asserting", newAssert(tb)
		table, err := route.NewTable([]route.Entry{
			{Paths: []string{"/"}, Route: &app},
			{Paths: []string{"/asserting/"}, Route: &asserting},
			{Paths: []string{"/forwarding/"}, Route: &forwarding},
			{Paths: []string{"/everything/"}, Route: &everything},
			{Paths: []string{"/assets/"}, Route: &route.Route{Name: "assets", Public: true, Headers: defaultHeaders(tb)}},
		}, []string{"app.example.test"})
		if err != nil {
			tb.Fatal(err)
		}
		return guard.New(guard.Options{Routes: table, Cookies: manager.Cookies(), Scheme: "https"})
	}
	return &judge{manager: manager, guard: decide(1 << 20), cold: decide(0), cookie: cookie.Name + "=" + cookie.Value, tokens: tokens}
}

// keptTokens is a provider whose tokens are far from their end.
type keptTokens struct{}

func (keptTokens) Refresh(context.Context, string, []byte, *identity.Identity) (*session.Refreshed, error) {
	return nil, errors.New("nothing is due")
}

func (keptTokens) AccessToken(tokens []byte) (string, time.Time, error) {
	return string(tokens), time.Time{}, nil
}

func (keptTokens) IDToken([]byte) (string, error) { return "the ID token", nil }

// benchAlgorithms are those that are measured.
func benchAlgorithms() []string { return []string{"RS256", "PS256", "ES256", "EdDSA", "HS256"} }

// benchIssuers makes an issuer for each algorithm, and a token of each.
func benchIssuers(tb testing.TB) (issuers []authn.Issuer, tokens map[string]string) {
	tb.Helper()
	tokens = make(map[string]string)
	now := time.Now()
	for _, alg := range benchAlgorithms() {
		signer, keys := benchKeys(tb, alg)
		name := "https://id.example.test/" + alg
		token, err := signer.Sign("at+jwt", map[string]any{
			"iss": name, "aud": "api", "sub": "8c7f6d1e-alice", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
			"groups": []string{"users", "engineering", "staff"}, "email": "alice@example.test", "email_verified": true, "scope": "read write", "jti": "x",
		})
		if err != nil {
			tb.Fatal(err)
		}
		tokens[alg] = token
		issuers = append(issuers, authn.Issuer{
			Keys:    jwks.Static(keys),
			Rules:   jose.Rules{Issuer: name, Audiences: []string{"api"}, Algorithms: []string{alg}},
			Mapping: config.ClaimMapping{SubjectClaim: "sub", EmailClaim: "email", NameClaim: "name", UsernameClaim: "preferred_username", GroupsClaim: "groups"},
		})
	}
	return issuers, tokens
}

func benchKeys(tb testing.TB, alg string) (*jose.Signer, *jose.KeySet) {
	tb.Helper()
	var signer *jose.Signer
	var keys *jose.KeySet
	var err error
	if alg == "HS256" {
		secret := []byte("0123456789abcdef0123456789abcdef")
		signer, err = jose.NewSecretSigner(alg, "k1", secret)
		if err == nil {
			keys, err = jose.SecretKeySet(secret)
		}
	} else if signer, err = jose.NewSigner(alg, "k1"); err == nil {
		var published []byte
		if published, err = signer.PublicJWKS(); err == nil {
			keys, _, err = jose.ParseKeySet(published)
		}
	}
	if err != nil {
		tb.Fatal(err)
	}
	return signer, keys
}

// newAssert makes assertions with a key in memory.
func newAssert(tb testing.TB) headers.Assert {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	ring, err := assertion.NewFiles(assertion.FilesOptions{
		Files: []string{"key"},
		Read: func(string) ([]byte, error) {
			return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
		},
	})
	if err != nil {
		tb.Fatal(err)
	}
	m := assertion.New(assertion.Options{Ring: ring, Issuer: "https://app.example.test/.auth", Lifetime: time.Minute})
	return func(id *identity.Identity, now time.Time) (string, error) { return m.Mint(id, "app", now) }
}

func fiveRules(tb testing.TB) *policy.Set {
	tb.Helper()
	engine, err := policy.NewEngine(policy.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	set, err := engine.Compile(policy.Policy{Name: "five", Rules: []policy.Rule{
		{Name: "contractors", Deny: &policy.Match{Groups: []string{"contractors"}}},
		{Name: "suspended", Deny: &policy.Match{Claims: []policy.Claim{{Name: "status", Values: []string{"suspended"}}}}},
		{Name: "board", Allow: &policy.Match{Emails: []string{"dana@example.test"}}},
		{Name: "finance admins", Allow: &policy.Match{Groups: []string{"admin"}, Claims: []policy.Claim{{Name: "department", Values: []string{"finance"}}}}},
		{Name: "staff", Allow: &policy.Match{Groups: []string{"staff"}}},
	}})
	if err != nil {
		tb.Fatal(err)
	}
	return set
}

func defaultHeaders(tb testing.TB) *headers.Set {
	tb.Helper()
	set, err := headers.Compile(nil, headers.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	return set
}

// manyHeaders is a set with a rule of each kind, and a header for the ID token.
func manyHeaders(tb testing.TB) *headers.Set {
	tb.Helper()
	var rules []config.Header
	for _, encoding := range []string{"percent", "utf8", "base64", "rfc2047", "json"} {
		rules = append(rules, config.Header{Name: "X-Department-" + encoding, Claim: "team", Or: []string{"department"}, Match: "^fin", Encoding: encoding})
	}
	set, err := headers.Compile(rules, headers.Options{IDToken: "X-Id-Token", SetsAuthorization: true})
	if err != nil {
		tb.Fatal(err)
	}
	return set
}

// newLogin signs Alice in to an application by an entry of her own.
func newLogin(tb testing.TB) headers.Credential {
	tb.Helper()
	login := applogin.New(config.UpstreamCredential{UsersFile: "users.yaml"}, false)
	if _, err := login.Take([]byte(`users: [{email: alice@example.test, username: alice, password: "a password"}]`)); err != nil {
		tb.Fatal(err)
	}
	return login.Authorization
}

// browserRequest is what a browser sends for a page, with three cookies of the
// application beside the gateway's.
func browserRequest(tb testing.TB, lines map[string]string) *http.Request {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodGet, "/projects/42/issues?page=2", nil)
	r.Host = "app.example.test"
	for name, value := range map[string]string{
		"Accept": "text/html,application/xhtml+xml", "Accept-Encoding": "gzip, br", "Accept-Language": "en-GB,en;q=0.5",
		"User-Agent":     "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
		"Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin",
	} {
		r.Header.Set(name, value)
	}
	for name, value := range lines {
		r.Header.Set(name, value)
	}
	return r
}

func (j *judge) sessionRequest(tb testing.TB) *http.Request {
	tb.Helper()
	return browserRequest(tb, map[string]string{"Cookie": "theme=dark; _ga=GA1.1.1234567890.1234567890; " + j.cookie + "; csrftoken=abcdefghijklmnop"})
}

// assertedRequest is sessionRequest on a route whose application gets an assertion.
func (j *judge) assertedRequest(tb testing.TB) *http.Request {
	tb.Helper()
	r := j.sessionRequest(tb)
	r.URL.Path, r.RequestURI = "/asserting/42", "/asserting/42?page=2"
	return r
}

// forwardedRequest is sessionRequest on a route whose application gets the
// provider's access token.
func (j *judge) forwardedRequest(tb testing.TB) *http.Request {
	tb.Helper()
	r := j.sessionRequest(tb)
	r.URL.Path, r.RequestURI = "/forwarding/42", "/forwarding/42?page=2"
	return r
}

// everythingRequest is sessionRequest on a route whose application gets all that one
// can get.
func (j *judge) everythingRequest(tb testing.TB) *http.Request {
	tb.Helper()
	r := j.sessionRequest(tb)
	r.URL.Path, r.RequestURI = "/everything/42", "/everything/42?page=2"
	return r
}

func (j *judge) bearerRequest(tb testing.TB, alg string) *http.Request {
	tb.Helper()
	return browserRequest(tb, map[string]string{"Authorization": "Bearer " + j.tokens[alg]})
}

func allow(tb testing.TB, g *guard.Guard, r *http.Request) {
	// Without tb.Helper: it walks the stack, a tenth of what is measured.
	if v, err := g.Decide(r); err != nil || v.Outcome != guard.Allow {
		tb.Fatalf("%v: %s %v", err, v.Outcome, v.Reason)
	}
}

// BenchmarkDecide is a whole decision: route, credential, proof, a policy of
// five rules, verdict.
func BenchmarkDecide(b *testing.B) {
	j := newJudge(b)
	run := func(name string, g *guard.Guard, r *http.Request) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				allow(b, g, r)
			}
		})
	}
	run("session/embedded", j.guard, j.sessionRequest(b))
	run("session/asserted", j.guard, j.assertedRequest(b))
	run("session/forwarded", j.guard, j.forwardedRequest(b))
	run("session/everything", j.guard, j.everythingRequest(b))
	for _, alg := range benchAlgorithms() {
		r := j.bearerRequest(b, alg)
		name := "bearer/" + strings.ToLower(alg)
		run(name+"/cold", j.cold, r)
		run(name+"/cached", j.guard, r)
	}
	benchOverValkey(b)
}
