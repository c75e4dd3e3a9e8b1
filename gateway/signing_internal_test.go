package gateway

import (
	"errors"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/admin"
	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/login"
	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/session/embedded"
)

func signingOf(t *testing.T, yaml string) *signing {
	t.Helper()
	cfg, err := config.Parse("file", []byte(yaml), nil)
	if err != nil {
		t.Fatal(err)
	}
	store, err := embedded.Open(embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	sealing, err := session.NewKeyring([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := openRing(t.Context(), cfg, zap.NewNop(), &sealedRing{records: store, sealing: sealing}, true)
	if err != nil {
		t.Fatal(err)
	}
	return newSigning(cfg, ring)
}

const ownTokens = `
login: {providers: [{name: dev, type: dev, identities: [{subject: alice}]}]}
tokens: {exchange: {enabled: true, audiences: [api]}}
routes: [{name: api, upstream: "builtin:echo", policy: authenticated, auth: [bearer], assertion: true}]
`

func TestTheGatewayAcceptsTheAccessTokensThatItMakes(t *testing.T) {
	s := signingOf(t, ownTokens)
	issuer, ok := s.ownIssuer()
	if !ok {
		t.Fatal("it is not an issuer")
	}
	bearer := authn.NewBearer(authn.BearerOptions{Issuers: []authn.Issuer{issuer}})
	judge := func(raw string) (*identity.Identity, error) {
		return bearer.Authenticate(t.Context(), authn.Credential{Kind: authn.KindBearer, Value: authn.Secret(raw)})
	}
	mint := func(s *signing, audience string) string {
		minted, err := s.mint(&admin.MintRequest{Subject: "alice", Groups: []string{"staff"}, Audience: audience}, mintLifetime)
		if err != nil {
			t.Fatal(err)
		}
		return minted.AccessToken
	}
	id, err := judge(mint(s, "api"))
	if err != nil || id.Subject != "alice" || len(id.Groups) != 1 {
		t.Errorf("%v, %+v", err, id)
	}
	asserted, err := s.minter.Mint(&identity.Identity{Subject: "alice", Ref: identity.Ref{1}}, "api", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string]string{
		"an assertion":                asserted,
		"a token for another API":     mint(s, "payroll"),
		"a token of another gateway":  mint(signingOf(t, ownTokens), "api"),
		"a token that was cut short":  mint(s, "api")[:200],
		"a token with another's name": mint(signingOf(t, "server: {public_url: 'http://localhost:9999'}"+ownTokens), "api"),
	} {
		id, err := judge(raw)
		if _, refused := errors.AsType[*authn.Refusal](err); !refused || id != nil {
			t.Errorf("%s: %v, %+v", name, err, id)
		}
	}
}

func TestAnIdentityAtItsEndIsRefusedAndNoOutage(t *testing.T) {
	s := signingOf(t, ownTokens)
	now := time.Now()
	ending := &identity.Identity{Subject: "alice", Ref: identity.Ref{1}, ExpiresAt: now.Add(-time.Second)}
	token, err := s.assert(s.cfg.Routes[0])(ending, now)
	if no, refused := errors.AsType[*authn.Refusal](err); !refused || no.Reason != "token_expired" || token != "" {
		t.Errorf("%v, %q", err, token)
	}
	if token, _, err := s.exchange()(ending, ""); !errors.Is(err, login.ErrEnding) || token != "" {
		t.Errorf("%v, %q", err, token)
	}
}

func TestOwnTokensWithoutARingAreAnOutage(t *testing.T) {
	s := signingOf(t, ownTokens)
	raw, err := s.mint(&admin.MintRequest{Subject: "alice"}, mintLifetime)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Parse("file", []byte(ownTokens), nil)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := openRing(t.Context(), cfg, zap.NewNop(), nil, false)
	if err != nil {
		t.Fatal(err)
	}
	empty := newSigning(cfg, ring)
	issuer, _ := empty.ownIssuer()
	id, err := authn.NewBearer(authn.BearerOptions{Issuers: []authn.Issuer{issuer}}).Authenticate(t.Context(), authn.Credential{Kind: authn.KindBearer, Value: authn.Secret(raw.AccessToken)})
	if _, refused := errors.AsType[*authn.Refusal](err); err == nil || refused || id != nil {
		t.Errorf("%v, %+v", err, id)
	}
	token, err := empty.assert(cfg.Routes[0])(&identity.Identity{Subject: "alice"}, time.Now())
	if _, refused := errors.AsType[*authn.Refusal](err); err == nil || refused || token != "" {
		t.Errorf("%v, %q", err, token)
	}
}
