package login

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/jose"
	"github.com/sallyport/sallyport/gateway/jwks"
	"github.com/sallyport/sallyport/gateway/pages"
	"github.com/sallyport/sallyport/gateway/session"
)

// api is a provider that gives opaque access tokens and has an API that knows
// whose they are: OAuth 2.0 without OpenID Connect. Who signed in is what the API
// says of the token that the token endpoint has just given for this browser's
// code, over TLS; no token of any other origin is ever shown to it.
type api struct {
	cfg    config.Provider
	log    *zap.Logger
	client *http.Client
	srv    *authServer
	scope  string
	refine refiner
}

// refiner judges what the API said about a user and adds what it says
// elsewhere: claims may be changed. Errors are *httperr.Error.
type refiner func(ctx context.Context, accessToken string, claims map[string]any) error

var (
	_ redirector = (*api)(nil)
	_ authorized = (*api)(nil)
)

func newOAuth2(cfg config.Provider, log *zap.Logger, calls watchCalls) (*api, error) {
	if cfg.ClientID == "" || cfg.AuthorizationURL == "" || cfg.TokenURL == "" || cfg.UserinfoURL == "" {
		return nil, errors.New("client_id, authorization_url, token_url and userinfo_url are required")
	}
	if _, err := config.ReadSecret(cfg.ClientSecret, cfg.ClientSecretFile); err != nil && !errors.Is(err, config.ErrNoSecret) {
		return nil, err
	}
	method, err := clientMethod(cfg, nil)
	if err != nil {
		return nil, err
	}
	key, err := clientKey(cfg)
	if err != nil {
		return nil, err
	}
	plain, err := jwks.NewClient(cfg.CAFile)
	if err != nil {
		return nil, err
	}
	p := &api{cfg: cfg, log: log, client: newBackChannel(calls(cfg.Name, plain.Transport)), scope: strings.Join(cfg.Scopes, " ")}
	p.srv = &authServer{
		issuer: cfg.Issuer, token: cfg.TokenURL, revocation: cfg.RevocationURL,
		auth: &clientAuth{cfg: cfg, method: method, key: key, audience: cmp.Or(cfg.Issuer, cfg.TokenURL), client: p.client},
	}
	switch cfg.Type {
	case config.ProviderGitHub:
		p.refine = newGitHub(&p.cfg, p.client).refine
	case config.ProviderKakao:
		p.scope = strings.Join(cfg.Scopes, ",") // as Kakao writes lists
		p.refine = refineKakao
	case config.ProviderNaver:
		p.refine, p.srv.wantsState = refineNaver, true
	}
	return p, nil
}

func (p *api) name() string { return p.cfg.Name }

func (p *api) choice() pages.ProviderChoice {
	return pages.ProviderChoice{Name: p.cfg.Name, Title: p.cfg.Title, Kind: pages.KindRedirect}
}

func (p *api) run(context.Context) {}

// ready knows of nothing that could be wrong: there is no metadata to read.
func (p *api) ready() error { return nil }

func (p *api) server() (*authServer, error) { return p.srv, nil }

func (p *api) authorize(_ context.Context, a *attempt, o authorizeOptions) (string, error) {
	q := authorizationRequest(&p.cfg, p.scope, a, o)
	if p.cfg.Type == config.ProviderNaver && o.selectUser {
		q.Del("prompt")
		q.Set("auth_type", "reauthenticate")
	}
	return atEndpoint(p.cfg.AuthorizationURL, q)
}

// checkAnswer is RFC 9207, section 2.4, where the issuer is configured. Each
// provider has a redirect URI of its own besides, so that no answer of one is
// taken for one of another (RFC 9700, section 4.4.2).
func (p *api) checkAnswer(iss []string) error {
	switch {
	case len(iss) > 1:
		return malformedAnswer()
	case len(iss) == 1 && p.cfg.Issuer != "" && iss[0] != p.cfg.Issuer:
		return badRequest(ReasonWrongIssuer, "Another sign-in service answered than the one that was asked. Start again.", nil)
	}
	return nil
}

// redeem exchanges the code and asks the API, in numbered steps.
func (p *api) redeem(ctx context.Context, a *attempt, code string) (*session.SignIn, error) {
	// 1. Exchange the code, with the verifier that only this attempt has.
	token, err := p.srv.exchange(ctx, a, code)
	if err != nil {
		return nil, err
	}
	// 2. Ask who it is.
	id, err := p.whoIs(ctx, token.AccessToken)
	if err != nil {
		return nil, err
	}
	// 3. Hand over.
	return signInWith(token, p.cfg.Name, id)
}

// whoIs asks the API whose an access token is that the token endpoint has just
// given. Errors are *httperr.Error.
func (p *api) whoIs(ctx context.Context, accessToken string) (*identity.Identity, error) {
	claims, err := askUserinfo(ctx, p.client, p.cfg.UserinfoURL, accessToken)
	if err != nil {
		return nil, err
	}
	if p.refine != nil {
		if err := p.refine(ctx, accessToken, claims); err != nil {
			return nil, err
		}
	}
	v, _ := (&jose.Claims{Raw: claims}).Lookup(p.cfg.SubjectClaim)
	subject := subjectText(v)
	if subject == "" {
		return nil, badUserinfo(fmt.Errorf("no %s, which is to name the subject", p.cfg.SubjectClaim))
	}
	id := &identity.Identity{Issuer: p.cfg.UserIssuer(), Subject: subject}
	mapUser(id, &p.cfg, claims)
	return id, nil
}

// withQuery is an address with more parameters.
func withQuery(address string, add url.Values) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	q := u.Query()
	maps.Copy(q, add)
	u.RawQuery = q.Encode()
	return u.String(), nil
}
