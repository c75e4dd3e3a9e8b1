package authn_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/jose"
	"github.com/sallyport/sallyport/gateway/jwks"
)

// fake is an authenticator that finds a credential where its header is.
type fake struct {
	kind   authn.Kind
	header string
}

func (f fake) Kind() authn.Kind { return f.kind }

func (f fake) Extract(r *http.Request) (authn.Credential, error) {
	if r.Header.Get(f.header) == "" {
		return authn.Credential{}, authn.ErrNoCredential
	}
	return authn.Credential{Kind: f.kind}, nil
}

func (f fake) Authenticate(context.Context, authn.Credential) (*identity.Identity, error) {
	return &identity.Identity{Subject: string(f.kind)}, nil
}

func (f fake) Strip(h http.Header) { h.Del(f.header) }

func request(headers ...string) *http.Request {
	r := &http.Request{Header: http.Header{}}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func TestChainTakesOneCredentialAndNeverTriesAnother(t *testing.T) {
	sessions := fake{authn.KindSession, "X-Session"}
	bearer := authn.NewBearer(authn.BearerOptions{})
	both := authn.Order(authn.Chain{sessions, bearer})
	alone := authn.Order(authn.Chain{sessions})

	for name, c := range map[string]struct {
		chain  authn.Chain
		judge  bool
		r      *http.Request
		kind   authn.Kind
		reason string // of the refusal
	}{
		"nothing":                              {both, true, request(), "", "-"},
		"a session":                            {both, true, request("X-Session", "1"), authn.KindSession, ""},
		"a token":                              {both, true, request("Authorization", "Bearer a.b.c"), authn.KindBearer, ""},
		"a token in lower case":                {both, true, request("Authorization", "bearer a.b.c"), authn.KindBearer, ""},
		"a token beside a session":             {both, true, request("X-Session", "1", "Authorization", "Bearer a.b.c"), authn.KindBearer, ""},
		"an opaque token beside a session":     {both, true, request("X-Session", "1", "Authorization", "Bearer opaque"), "", authn.ReasonUnsupportedCredential},
		"another scheme beside a session":      {both, true, request("X-Session", "1", "Authorization", "Basic dTpw"), "", authn.ReasonUnsupportedCredential},
		"a token where none is taken":          {alone, true, request("Authorization", "Bearer a.b.c"), "", authn.ReasonUnsupportedCredential},
		"the same beside a session":            {alone, true, request("X-Session", "1", "Authorization", "Bearer a.b.c"), "", authn.ReasonUnsupportedCredential},
		"two Authorization headers":            {both, true, request("Authorization", "Bearer a.b.c", "Authorization", "Bearer a.b.c"), "", authn.ReasonDuplicateCredential},
		"an empty Authorization header":        {both, true, request("Authorization", ""), "", authn.ReasonUnsupportedCredential},
		"the app's own header":                 {alone, false, request("X-Session", "1", "Authorization", "Basic dTpw"), authn.KindSession, ""},
		"the app's own header alone":           {alone, false, request("Authorization", "Bearer a.b.c"), "", "-"},
		"an access token in the query is none": {both, true, func() *http.Request { r := request(); r.RequestURI = "/?access_token=a.b.c"; return r }(), "", "-"},
	} {
		t.Run(name, func(t *testing.T) {
			_, cred, err := c.chain.Extract(c.r, c.judge)
			if cred.Kind != c.kind {
				t.Errorf("took %q, want %q", cred.Kind, c.kind)
			}
			refusal, refused := errors.AsType[*authn.Refusal](err)
			switch {
			case c.reason == "" && err == nil:
			case c.reason == "-" && errors.Is(err, authn.ErrNoCredential):
			case refused && refusal.Reason == c.reason:
			default:
				t.Errorf("error %v, want %q", err, c.reason)
			}
		})
	}
}

func TestStripRemovesOnlyWhatBelongsToTheGateway(t *testing.T) {
	for value, removed := range map[string]bool{
		"Bearer a.b.c": true, "bearer x": true, "Basic dTpw": false, "Bearerx a": false, "Bearer": false,
	} {
		h := http.Header{"Authorization": {value}}
		authn.NewBearer(authn.BearerOptions{}).Strip(h)
		if _, kept := h["Authorization"]; kept == removed {
			t.Errorf("%q: removed is %v", value, !kept)
		}
	}
}

func TestSecretsDoNotPrintThemselves(t *testing.T) {
	c := authn.Credential{Value: "hunter2"}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(format, c.Value); got == "hunter2" || got == `"hunter2"` {
			t.Errorf("%s prints %s", format, got)
		}
	}
}

func TestKeySourceThatHasNothingIsAnOutage(t *testing.T) {
	signer, err := jose.NewSigner("ES256", "k")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := signer.Sign("JWT", map[string]any{"iss": "https://id.example.test", "sub": "a"})
	if err != nil {
		t.Fatal(err)
	}
	client, err := jwks.NewClient("")
	if err != nil {
		t.Fatal(err)
	}
	// Run is never called, so no key set ever comes.
	source := jwks.New(jwks.Options{Issuer: "https://id.example.test", JWKSURL: "https://127.0.0.1:1/jwks", Client: client})
	b := authn.NewBearer(authn.BearerOptions{Issuers: []authn.Issuer{{Keys: source, Rules: jose.Rules{
		Issuer: "https://id.example.test", Audiences: []string{"api"}, Algorithms: []string{"ES256"},
	}}}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	id, err := b.Authenticate(ctx, authn.Credential{Kind: authn.KindBearer, Value: authn.Secret(raw)})
	if _, refused := errors.AsType[*authn.Refusal](err); err == nil || refused || id != nil {
		t.Errorf("got %v, %v", id, err)
	}
}
