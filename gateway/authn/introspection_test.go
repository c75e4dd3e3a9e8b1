package authn_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/jose"
)

// outage and accepted stand in for a reason.
const (
	outage   = "(outage)"
	accepted = "(accepted)"
)

// verdict turns what an authenticator answered into one word.
func verdict(t *testing.T, id *identity.Identity, err error) string {
	t.Helper()
	if (err == nil) != (id != nil) {
		t.Fatalf("an identity %v beside the error %v", id, err)
	}
	refusal, refused := errors.AsType[*authn.Refusal](err)
	switch {
	case err == nil:
		return accepted
	case refused:
		return refusal.Reason
	}
	return outage
}

func entry(change func(*config.Introspection)) config.Introspection {
	cfg := config.Introspection{
		Name: "corp", Endpoint: "https://id.example.test/introspect", ClientID: "gateway", ClientSecret: "s3cret", ClientAuth: config.ClientAuthBasic,
		ClaimMapping: config.ClaimMapping{SubjectClaim: "sub", EmailClaim: "email", NameClaim: "name", UsernameClaim: "preferred_username", GroupsClaim: "groups"},
		CacheTTL:     30 * time.Second, Timeout: 2 * time.Second,
	}
	if change != nil {
		change(&cfg)
	}
	return cfg
}

// endpoint is an authorization server without a network, so that time can be
// made to pass.
type endpoint struct {
	answer func(r *http.Request, form url.Values) (status int, body string)
	wait   func(ctx context.Context) error // before the answer; may be nil

	mu    sync.Mutex
	calls []url.Values
	heads []http.Header
}

func (e *endpoint) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	e.calls, e.heads = append(e.calls, form), append(e.heads, r.Header)
	e.mu.Unlock()
	if e.wait != nil {
		if err := e.wait(r.Context()); err != nil {
			return nil, err
		}
	}
	status, text := e.answer(r, form)
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
}

func (e *endpoint) asked() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.calls)
}

func says(body string) func(*http.Request, url.Values) (int, string) {
	return func(*http.Request, url.Values) (int, string) { return http.StatusOK, body }
}

func introspectionServer(t testing.TB, cfg config.Introspection, rt http.RoundTripper) *authn.IntrospectionServer {
	t.Helper()
	s, err := authn.NewIntrospectionServer(cfg, &http.Client{Transport: rt}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func introspection(servers ...*authn.IntrospectionServer) *authn.Introspection {
	return authn.NewIntrospection(authn.IntrospectionOptions{Servers: servers})
}

func opaque(token string) authn.Credential {
	return authn.Credential{Kind: authn.KindIntrospection, Value: authn.Secret(token)}
}

func TestAnswersOfTheIntrospectionEndpoint(t *testing.T) {
	now := time.Now().Unix()
	whole := func(members string) string { return `{"active":true,"sub":"alice"` + members + `}` }
	issued := func(c *config.Introspection) { c.Issuer = "https://id.example.test" }
	forAPI := func(c *config.Introspection) { c.Audiences = []string{"api", "api2"} }
	for name, c := range map[string]struct {
		body   string
		change func(*config.Introspection)
		want   string
	}{
		"active":                              {whole(""), nil, accepted},
		"not active":                          {`{"active":false}`, nil, authn.ReasonTokenInactive},
		"not active, with everything else":    {`{"active":false,"sub":"alice","exp":99999999999}`, nil, authn.ReasonTokenInactive},
		"active is a string":                  {`{"active":"true","sub":"alice"}`, nil, outage},
		"active is a number":                  {`{"active":1,"sub":"alice"}`, nil, outage},
		"active is null":                      {`{"active":null,"sub":"alice"}`, nil, outage},
		"active is a list":                    {`{"active":[true],"sub":"alice"}`, nil, outage},
		"active is missing":                   {`{"sub":"alice"}`, nil, outage},
		"active under another case":           {`{"Active":true,"sub":"alice"}`, nil, outage},
		"active twice":                        {`{"active":false,"active":true,"sub":"alice"}`, nil, outage},
		"the subject twice":                   {whole(`,"sub":"root"`), nil, outage},
		"the subject twice by an escape":      {whole(`,"\u0073ub":"root"`), nil, outage},
		"HTML":                                {`<html>{"active":true,"sub":"alice"}</html>`, nil, outage},
		"nothing":                             {``, nil, outage},
		"a list":                              {`[{"active":true,"sub":"alice"}]`, nil, outage},
		"two objects":                         {whole("") + whole(""), nil, outage},
		"an object that breaks off":           {`{"active":true,"sub":"alice"`, nil, outage},
		"deeper than anything means":          {whole(`,"x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100)), nil, outage},
		"no subject":                          {`{"active":true}`, nil, "missing_claim"},
		"an empty subject":                    {`{"active":true,"sub":""}`, nil, "missing_claim"},
		"a subject that is a number":          {`{"active":true,"sub":1}`, nil, outage},
		"another claim for the subject":       {`{"active":true,"uid":"alice"}`, func(c *config.Introspection) { c.SubjectClaim = "uid" }, accepted},
		"that claim missing":                  {whole(""), func(c *config.Introspection) { c.SubjectClaim = "uid" }, "missing_claim"},
		"that claim a number":                 {whole(`,"uid":7`), func(c *config.Introspection) { c.SubjectClaim = "uid" }, "missing_claim"},
		"expired":                             {whole(fmt.Sprintf(`,"exp":%d`, now-70)), nil, "token_expired"},
		"expired within the leeway":           {whole(fmt.Sprintf(`,"exp":%d`, now-50)), nil, accepted},
		"exp is a string":                     {whole(fmt.Sprintf(`,"exp":"%d"`, now+50)), nil, outage},
		"not valid yet":                       {whole(fmt.Sprintf(`,"nbf":%d`, now+70)), nil, "token_not_yet_valid"},
		"issued in the future":                {whole(fmt.Sprintf(`,"iat":%d`, now+70)), nil, "token_not_yet_valid"},
		"a bearer token":                      {whole(`,"token_type":"bEARER"`), nil, accepted},
		"a token of another type":             {whole(`,"token_type":"mac"`), nil, "wrong_token_type"},
		"a token type that is none":           {whole(`,"token_type":null`), nil, "wrong_token_type"},
		"a refresh token":                     {whole(`,"token_use":"refresh_token"`), nil, "wrong_token_type"},
		"a refresh token of Keycloak":         {whole(`,"typ":"Refresh"`), nil, "wrong_token_type"},
		"an ID token":                         {whole(`,"typ":"ID"`), nil, "wrong_token_type"},
		"a token of DPoP, bound to nothing":   {whole(`,"token_type":"DPoP"`), nil, accepted},
		"bound to a key":                      {whole(`,"cnf":{"jkt":"` + strings.Repeat("a", 43) + `"}`), nil, "bound_token"},
		"bound to a certificate":              {whole(`,"cnf":{"x5t#S256":"` + strings.Repeat("a", 43) + `"}`), nil, "bound_token"},
		"bound to what can't be checked":      {whole(`,"cnf":{"kid":"` + strings.Repeat("a", 43) + `"}`), nil, "bound_token"},
		"bound to nothing":                    {whole(`,"cnf":null`), nil, "bound_token"},
		"of the issuer":                       {whole(`,"iss":"https://id.example.test"`), issued, accepted},
		"of no issuer that is told":           {whole(""), issued, accepted},
		"of another issuer":                   {whole(`,"iss":"https://evil.test"`), issued, "wrong_issuer"},
		"of an issuer with a slash":           {whole(`,"iss":"https://id.example.test/"`), issued, "wrong_issuer"},
		"for the audience":                    {whole(`,"aud":"api"`), forAPI, accepted},
		"for one audience of several":         {whole(`,"aud":["x","api2"]`), forAPI, accepted},
		"for another audience":                {whole(`,"aud":"apx"`), forAPI, "wrong_audience"},
		"for no audience":                     {whole(""), forAPI, "wrong_audience"},
		"for an audience of the wrong type":   {whole(`,"aud":{"api":true}`), forAPI, outage},
		"an audience that nobody asked about": {whole(`,"aud":"x"`), nil, accepted},
	} {
		t.Run(name, func(t *testing.T) {
			e := &endpoint{answer: says(c.body)}
			i := introspection(introspectionServer(t, entry(c.change), e))
			id, err := i.Authenticate(t.Context(), opaque("opaque"))
			if got := verdict(t, id, err); got != c.want {
				t.Errorf("%s (%v), want %s", got, err, c.want)
			}
			if id != nil && id.Subject != "alice" {
				t.Errorf("taken for %q", id.Subject)
			}
		})
	}
}

func TestAnswerBecomesTheIdentity(t *testing.T) {
	body := `{"active":true,"sub":"a1","username":"alice","mail":"alice@example.test","mail_verified":true,"name":"Alice",
		"realm":{"roles":["staff","ops"]},"scope":"read write","client_id":"app","exp":4102444800}`
	cfg := entry(func(c *config.Introspection) {
		c.EmailClaim, c.UsernameClaim, c.GroupsClaim = "mail", "username", "realm.roles"
	})
	i := introspection(introspectionServer(t, cfg, &endpoint{answer: says(body)}))
	id, err := i.Authenticate(t.Context(), opaque("opaque"))
	if err != nil {
		t.Fatal(err)
	}
	if id.Memo == nil || id.Ref.IsZero() {
		t.Error("there is no memo, or the token has no name")
	}
	if got := id.Claim("scope"); got != "read write" {
		t.Errorf("scope is %v", got)
	}
	got := *id
	got.Memo, got.Ref, got.Claims = nil, identity.Ref{}, nil
	want := identity.Identity{
		Issuer: "introspection corp", Subject: "a1", Email: "alice@example.test", EmailVerified: true, Name: "Alice", PreferredUsername: "alice",
		Groups: []string{"staff", "ops"}, Method: "introspection", ExpiresAt: time.Unix(4102444800, 0),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestOnlyOpaqueTokensAreSentToTheEndpoint(t *testing.T) {
	i := introspection(introspectionServer(t, entry(nil), &endpoint{}))
	for value, taken := range map[string]bool{
		"Bearer opaque": true, "bearer a.b": true, "Bearer a.b.c.d": true,
		"DPoP opaque":  true,
		"Bearer a.b.c": false, "DPoP a.b.c": false, "Bearer spk_x": false, "Basic dTpw": false, "Bearer": false,
	} {
		r := request("Authorization", value)
		r.URL = &url.URL{Path: "/"}
		_, err := i.Extract(r)
		if got := err == nil; got != taken {
			t.Errorf("%q: taken is %v", value, got)
		}
		h := http.Header{"Authorization": {value}}
		i.Strip(h)
		if gone := len(h) == 0; gone != taken {
			t.Errorf("%q: stripped is %v", value, gone)
		}
	}
	// What no server can have issued is refused without asking.
	e := &endpoint{answer: says(`{"active":true,"sub":"a"}`)}
	i = introspection(introspectionServer(t, entry(nil), e))
	for _, token := range []string{"a b", "a\x00b", "ä", "=", "a=b", strings.Repeat("a", 1<<20), ""} {
		id, err := i.Authenticate(t.Context(), opaque(token))
		if got := verdict(t, id, err); got == accepted || got == outage {
			t.Errorf("%.10q: %s", token, got)
		}
	}
	if e.asked() != 0 {
		t.Errorf("the endpoint was asked %d times", e.asked())
	}
}

func TestRouteJudgesTheAudienceItself(t *testing.T) {
	e := &endpoint{answer: func(_ *http.Request, form url.Values) (int, string) {
		return http.StatusOK, `{"active":true,"sub":"alice","aud":` + map[string]string{"one": `"api1"`, "both": `["api1","api2"]`, "none": "[]"}[form.Get("token")] + `}`
	}}
	all := introspection(introspectionServer(t, entry(nil), e))
	narrow := all.For([]string{"api2"})
	for token, want := range map[string]string{"one": "wrong_audience", "both": accepted, "none": "wrong_audience"} {
		// The broad route goes first: what it found must not open the other one.
		for _, one := range []struct {
			route *authn.Introspection
			want  string
		}{{all, accepted}, {narrow, want}, {all, accepted}} {
			id, err := one.route.Authenticate(t.Context(), opaque(token))
			if got := verdict(t, id, err); got != one.want {
				t.Errorf("%s: %s, want %s", token, got, one.want)
			}
		}
	}
	if e.asked() != 3 {
		t.Errorf("the endpoint was asked %d times, want once a token", e.asked())
	}
}

func TestOpaqueTokenThatIsBoundNeedsTheProofOfItsKey(t *testing.T) {
	h, other := newHolder(t), newHolder(t)
	const token = "opaque"
	e := &endpoint{answer: says(`{"active":true,"sub":"alice","token_type":"DPoP","cnf":{"jkt":"` + h.print + `"}}`)}
	i := authn.NewIntrospection(authn.IntrospectionOptions{
		Servers:    []*authn.IntrospectionServer{introspectionServer(t, entry(nil), e)},
		Possession: authn.Possession{Scheme: "https", MaxAge: time.Minute, Replays: &records{}},
	})
	proof := h.proof(t, token, nil, nil)
	for _, one := range []struct {
		name string
		r    *http.Request
		want string
	}{
		{"its proof", withProof(t, token, proof), accepted},
		{"its proof again", withProof(t, token, proof), authn.ReasonReplayedProof},
		{"the proof of another key", withProof(t, token, other.proof(t, token, nil, nil)), "invalid_dpop_proof"},
		{"no proof", withProof(t, token), "invalid_dpop_proof"},
		{"no proof, as a bearer token", bearing(t, token), "bound_token"},
	} {
		id, err := present(t, i, one.r)
		if got := verdict(t, id, err); got != one.want {
			t.Errorf("%s: %s (%v), want %s", one.name, got, err, one.want)
		}
	}
	if e.asked() != 1 {
		t.Errorf("the server was asked %d times", e.asked())
	}
}

func TestOpaqueTokenThatIsTakenBackHereIsRefusedThoughItsServerKnowsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		revocations := authn.NewRevocations(&feeds{}, 5*time.Second)
		go revocations.Run(t.Context())
		e := &endpoint{answer: says(`{"active":true,"sub":"alice","jti":"t1"}`)}
		i := authn.NewIntrospection(authn.IntrospectionOptions{
			Servers: []*authn.IntrospectionServer{introspectionServer(t, entry(nil), e)}, Revocations: revocations,
		})
		id, err := i.Authenticate(t.Context(), opaque("opaque"))
		if got := verdict(t, id, err); got != accepted {
			t.Fatal(got)
		}
		if err := revocations.Revoke(t.Context(), authn.Revocation{Issuer: "introspection corp", ID: "t1"}); err != nil {
			t.Fatal(err)
		}
		id, err = i.Authenticate(t.Context(), opaque("opaque"))
		if got := verdict(t, id, err); got != authn.ReasonTokenRevoked {
			t.Errorf("%s", got)
		}
	})
}

func FuzzIntrospection(f *testing.F) {
	for _, seed := range []string{
		`{"active":true,"sub":"alice"}`, `{"active":false}`, `{"active":"true","sub":"a"}`, `{}`, `[]`, ``, `{"active":true}`,
		`{"active":true,"sub":"a","exp":1e308,"nbf":-1,"iat":0.5,"aud":["a",1],"iss":null,"cnf":{},"token_type":"Bearer"}`,
		`{"active":true,"active":false}`, `{"active":true,"sub":"\ud800"}`, `{"active":true,"sub":"a","scope":["x"],"groups":{"a":[]}}`,
		`{"active":true,"a":{"b.c":{"d":"x"}}}`,
	} {
		f.Add([]byte(seed))
	}
	now := time.Unix(1_800_000_000, 0)
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, claim := range []string{"sub", "a.b.c.d", ""} {
			cfg := entry(func(c *config.Introspection) { c.SubjectClaim, c.GroupsClaim = claim, claim })
			id, err := authn.JudgeAnswer(&cfg, body, now)
			if err != nil {
				if id != nil {
					t.Fatal("an identity beside the error")
				}
				continue
			}
			object, err := jose.DecodeObject(body)
			if err != nil {
				t.Fatalf("accepted, and is no object: %v", err)
			}
			if active, ok := object["active"].(bool); !ok || !active {
				t.Fatalf("accepted with active = %v", object["active"])
			}
			if id.Subject == "" || id.Issuer == "" {
				t.Fatal("accepted, and nobody is behind it")
			}
		}
	})
}
