package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/sallyport/sallyport/gateway/admin"
	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/carried"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/jwks"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// credentials are the judges of every credential kind. What they keep in memory
// is shared by all routes.
type credentials struct {
	session       *authn.Session
	bearer        *authn.Bearer
	issuers       bool                 // whose tokens bearer could accept
	introspection *authn.Introspection // nil without servers
	keys          *authn.APIKeys
	passwords     *authn.Passwords // of accounts
	accounts      *accounts        // of passwords; bound to the service of sign-ins when the parts count
	client        func(*http.Request) string
	certificates  *authn.ClientCert
}

// buildCredentials makes the judges.
func buildCredentials(p *parts, issuers []authn.Issuer) (*credentials, error) {
	cfg := p.cfg
	possession := authn.Possession{Scheme: cfg.Server.URL().Scheme, MaxAge: cfg.Tokens.DPoP.MaxAge, Replays: p.core.records}
	c := &credentials{
		session: authn.NewSession(p.sessions),
		issuers: len(issuers) > 0, keys: p.core.keys, client: p.trust.client,
	}
	var errs [4]error
	c.bearer, errs[0] = buildBearer(p, issuers, possession)
	c.introspection, errs[1] = buildIntrospection(p, possession)
	c.passwords, c.accounts, errs[2] = buildPasswords(p)
	if c.certificates, errs[3] = authn.NewClientCert(cfg.Server.TLS.ClientSubject); errs[3] != nil {
		errs[3] = faultsAt(cfg, "server.tls.client_subject", errs[3])
	}
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	return c, nil
}

func buildIntrospection(p *parts, possession authn.Possession) (*authn.Introspection, error) {
	cfg, c := p.cfg, p.core
	var servers []*authn.IntrospectionServer
	var faults config.Faults
	for i, entry := range cfg.Tokens.Introspection {
		settings := withFiles(entry, entry.CAFile, entry.ClientKeyFile)
		server, err := carried.Take(p.hold, "introspection", settings, func() (*authn.IntrospectionServer, carried.Work, error) {
			client, err := jwks.NewClient(entry.CAFile)
			if err != nil {
				return nil, carried.Work{}, err
			}
			client.Transport = c.calls(entry.Name, client.Transport)
			server, err := authn.NewIntrospectionServer(entry, client, c.log.Named("introspection"))
			return server, carried.Work{}, err
		})
		if err != nil {
			faults = append(faults, faultsAt(cfg, fmt.Sprintf("tokens.introspection[%d]", i), err)...)
			continue
		}
		servers = append(servers, server)
	}
	if len(faults) > 0 {
		return nil, faults
	}
	if len(servers) == 0 {
		return nil, nil //nolint:nilnil // no server is no authenticator, not an error
	}
	return authn.NewIntrospection(authn.IntrospectionOptions{Servers: servers, Revocations: c.revocations, Possession: possession}), nil
}

// of returns the authenticator of a kind on a route, or nil where no kind has
// that name.
func (c *credentials) of(r *config.Route, kind string) authn.Authenticator {
	switch kind {
	case config.AuthSession:
		return c.session
	case config.AuthBearer:
		return c.bearer.For(r.TokenAudiences)
	case config.AuthIntrospection:
		if c.introspection != nil {
			return c.introspection.For(r.TokenAudiences)
		}
	case config.AuthAPIKey:
		return c.keys.For(r.Name)
	case config.AuthBasic:
		return authn.NewBasic(c.passwords, c.tokenKinds(r), c.client)
	case config.AuthClientCert:
		return c.certificates
	}
	return nil
}

// tokenKinds are what judges a token that comes as a password.
func (c *credentials) tokenKinds(r *config.Route) (kinds authn.TokenKinds) {
	if c.issuers {
		kinds.Bearer = c.of(r, config.AuthBearer)
	}
	kinds.Introspection = c.of(r, config.AuthIntrospection)
	kinds.APIKey = c.of(r, config.AuthAPIKey)
	return kinds
}

// apiKeyEndpoints lets operators make and revoke keys.
func apiKeyEndpoints(cfg *config.Config, keys *authn.APIKeys, audit *telemetry.Trail) []admin.Endpoint {
	var routes []string
	for _, r := range cfg.Routes {
		if slices.Contains(r.Auth, config.AuthAPIKey) || slices.Contains(r.Auth, config.AuthBasic) {
			routes = append(routes, r.Name)
		}
	}
	return admin.APIKeyEndpoints(apiKeys{keys}, routes, audit)
}

// apiKeys lets package admin speak of API keys without knowing authn.
type apiKeys struct{ keys *authn.APIKeys }

var _ admin.APIKeys = apiKeys{}

func (k apiKeys) Create(ctx context.Context, wish admin.APIKey) (string, admin.APIKey, error) {
	key, made, err := k.keys.Create(ctx, authn.APIKeyInfo(wish))
	return key, admin.APIKey(made), err
}

func (k apiKeys) List(ctx context.Context) ([]admin.APIKey, error) {
	list, err := k.keys.List(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]admin.APIKey, len(list))
	for i, one := range list {
		out[i] = admin.APIKey(one)
	}
	return out, nil
}

func (k apiKeys) Revoke(ctx context.Context, id string) (admin.APIKey, error) {
	gone, err := k.keys.Revoke(ctx, id)
	if errors.Is(err, authn.ErrNoAPIKey) {
		err = admin.ErrNoAPIKey
	}
	return admin.APIKey(gone), err
}
