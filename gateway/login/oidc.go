package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/jose"
	"github.com/sallyport/sallyport/gateway/jwks"
	"github.com/sallyport/sallyport/gateway/pages"
)

const (
	// idTokenLeeway is how far the provider's clock may be off.
	idTokenLeeway = time.Minute
	// rediscoverEvery is how often the metadata of a healthy provider is read
	// again; meanwhile a provider may have moved an endpoint.
	rediscoverEvery = time.Hour
	firstRetry      = time.Second
	lastRetry       = 30 * time.Second
)

var errNotDiscovered = errors.New("the provider's metadata has not been read yet")

// oidc is an OpenID provider (OpenID Connect Core 1.0), used with the code flow
// and PKCE and nothing else (RFC 9700, section 2.1.1).
type oidc struct {
	cfg     config.Provider
	dialect dialect
	log     *zap.Logger
	keys    *http.Client    // for metadata and keys
	client  *http.Client    // for the token and userinfo endpoints
	key     *jose.ClientKey // of private_key_jwt, else nil
	scope   string

	current atomic.Pointer[discovered]
	mu      sync.Mutex
	lastErr error // why there is no current, under mu
}

var (
	_ redirector = (*oidc)(nil)
	_ authorized = (*oidc)(nil)
)

// discovered is what was learned about a provider: replaced as a whole.
type discovered struct {
	meta  *jwks.Metadata
	srv   *authServer
	keys  *jwks.Source
	rules jose.Rules
	stop  context.CancelFunc // ends the fetching of keys
}

func newOIDC(cfg config.Provider, log *zap.Logger, calls watchCalls) (*oidc, error) {
	keys, err := jwks.NewClient(cfg.CAFile)
	if err != nil {
		return nil, err
	}
	if cfg.Issuer == "" || cfg.ClientID == "" {
		return nil, errors.New("issuer and client_id are required")
	}
	// A secret file that is wrong now should stop the start, not a sign-in.
	if _, err := config.ReadSecret(cfg.ClientSecret, cfg.ClientSecretFile); err != nil && !errors.Is(err, config.ErrNoSecret) {
		return nil, err
	}
	key, err := clientKey(cfg)
	if err != nil {
		return nil, err
	}
	if err := jwks.Reroute(keys, cfg.Issuer, cfg.BackChannelURL); err != nil {
		return nil, err
	}
	keys.Transport = calls(cfg.Name, keys.Transport)
	o := &oidc{
		cfg: cfg, log: log, keys: keys, client: newBackChannel(keys.Transport), key: key, lastErr: errNotDiscovered,
	}
	o.dialect = dialectOf(&o.cfg)
	scopes := []string{"openid"}
	for _, scope := range cfg.Scopes {
		if !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	o.scope = strings.Join(scopes, " ")
	return o, nil
}

func (o *oidc) name() string { return o.cfg.Name }

func (o *oidc) choice() pages.ProviderChoice {
	return pages.ProviderChoice{Name: o.cfg.Name, Title: o.cfg.Title, Kind: pages.KindRedirect}
}

func (o *oidc) ready() error {
	if o.current.Load() != nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.lastErr
}

// run reads the provider's metadata until it succeeds, waiting longer each
// time, and now and then afterwards.
func (o *oidc) run(ctx context.Context) {
	var fetching sync.WaitGroup
	defer fetching.Wait()
	wait := firstRetry
	for {
		err := o.discover(ctx, &fetching)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			wait = rediscoverEvery
		case o.current.Load() != nil:
			o.log.Warn("the provider's metadata could not be read again; what was read before stays in use", zap.Error(err))
			wait = rediscoverEvery
		default:
			o.log.Warn("the provider's metadata could not be read", zap.Error(err), zap.Duration("retry_in", wait))
			o.mu.Lock()
			o.lastErr = err
			o.mu.Unlock()
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		if o.current.Load() == nil {
			wait = min(2*wait, lastRetry)
		}
	}
}

func (o *oidc) discover(ctx context.Context, fetching *sync.WaitGroup) error {
	named := o.dialect.named
	if named == "" {
		named = o.cfg.Issuer
	}
	meta, err := jwks.DiscoverAs(ctx, o.keys, o.cfg.Issuer, named, o.cfg.InsecureHTTP)
	if err != nil {
		return err
	}
	switch {
	case meta.AuthorizationEndpoint == "" || meta.TokenEndpoint == "":
		return errors.New("the metadata lacks an endpoint for authorization or tokens")
	case meta.PushedRequired && meta.PushedEndpoint == "":
		return errors.New("the provider wants pushed authorization requests, and its metadata lacks the endpoint for them")
	}
	found := &discovered{meta: meta}
	if found.srv, err = o.newServer(meta); err != nil {
		return err
	}
	algorithms := idTokenAlgorithms(meta)
	if len(algorithms) == 0 {
		return fmt.Errorf("the provider signs ID tokens with %.200q only, of which the gateway takes none", meta.IDTokenAlgorithms)
	}
	found.rules = jose.Rules{
		Issuer: meta.Issuer, Audiences: []string{o.cfg.ClientID}, Algorithms: algorithms, Leeway: idTokenLeeway,
	}
	old := o.current.Load()
	if old != nil && slices.Equal(old.rules.Algorithms, algorithms) && (o.dialect.named == "" || old.meta.JWKSURI == meta.JWKSURI) {
		found.keys, found.stop = old.keys, old.stop
		o.current.Store(found)
		return nil
	}
	options := jwks.Options{
		Issuer: meta.Issuer, Client: o.keys, Algorithms: algorithms, InsecureHTTP: o.cfg.InsecureHTTP, Log: o.log,
	}
	// The source finds the address of the keys by itself, so that it may be
	// moved at any time, and is kept away from private addresses. Where the
	// document goes by another name, it could not.
	keysCtx := ctx
	if o.dialect.named != "" {
		options.JWKSURL, keysCtx = meta.JWKSURI, meta.Context(ctx)
	}
	found.keys = jwks.New(options)
	keysCtx, found.stop = context.WithCancel(keysCtx) // stopped when replaced below, or with ctx
	fetching.Go(func() { found.keys.Run(keysCtx) })
	o.current.Store(found)
	if old != nil {
		old.stop()
	}
	return nil
}

// idTokenAlgorithms are those that the provider announces and that prove
// something: never "none", and never a secret, which every client shares.
func idTokenAlgorithms(meta *jwks.Metadata) []string {
	known := jose.AsymmetricAlgorithms()
	if len(meta.IDTokenAlgorithms) == 0 {
		return known
	}
	return slices.DeleteFunc(known, func(alg string) bool { return !slices.Contains(meta.IDTokenAlgorithms, alg) })
}

// newServer takes the endpoints at which the client authenticates out of the
// metadata.
func (o *oidc) newServer(meta *jwks.Metadata) (*authServer, error) {
	method, err := clientMethod(o.cfg, meta.TokenEndpointAuthMethods)
	if err != nil {
		return nil, err
	}
	return &authServer{
		issuer: meta.Issuer, token: meta.TokenEndpoint, revocation: meta.RevocationEndpoint, pushed: meta.PushedEndpoint,
		auth: &clientAuth{cfg: o.cfg, method: method, key: o.key, audience: o.cfg.Issuer, client: o.client, mark: meta.Context},
	}, nil
}

func (o *oidc) server() (*authServer, error) {
	found := o.current.Load()
	if found == nil {
		return nil, o.ready()
	}
	return found.srv, nil
}

func (o *oidc) authorize(ctx context.Context, a *attempt, opts authorizeOptions) (string, error) {
	found := o.current.Load()
	if found == nil {
		return "", providerOutage(o.ready())
	}
	q := authorizationRequest(&o.cfg, o.scope, a, opts)
	q.Set("nonce", a.idNonce)
	if o.dialect.request != nil {
		o.dialect.request(q)
	}
	if found.srv.pushed != "" {
		var err error
		if q, err = found.srv.push(ctx, q); err != nil {
			return "", err
		}
	}
	return atEndpoint(found.meta.AuthorizationEndpoint, q)
}

// checkAnswer is RFC 9207, section 2.4.
func (o *oidc) checkAnswer(iss []string) error {
	found := o.current.Load()
	if found == nil {
		return providerOutage(o.ready())
	}
	switch {
	case len(iss) > 1:
		return malformedAnswer()
	case len(iss) == 0 && found.meta.ResponseIssParameter:
		return badRequest(ReasonWrongIssuer, "The sign-in service did not say who it is. Start again.", nil)
	case len(iss) == 1 && !o.isIssuer(found, iss[0]):
		return badRequest(ReasonWrongIssuer, "Another sign-in service answered than the one that was asked. Start again.", nil)
	}
	return nil
}

// isIssuer compares byte for byte, or leaves it to the dialect.
func (o *oidc) isIssuer(found *discovered, issuer string) bool {
	if o.dialect.issuerOf != nil {
		return o.dialect.issuerOf(issuer)
	}
	return issuer == found.meta.Issuer
}
