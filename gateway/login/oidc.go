package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/oauth2"

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
	cfg    config.Provider
	log    *zap.Logger
	keys   *http.Client // for metadata and keys
	client *http.Client // for the token and userinfo endpoints
	scopes []string

	current atomic.Pointer[discovered]
	mu      sync.Mutex
	lastErr error // why there is no current, under mu
}

var _ redirector = (*oidc)(nil)

// discovered is what was learned about a provider: replaced as a whole.
type discovered struct {
	meta      *jwks.Metadata
	keys      *jwks.Source
	rules     jose.Rules
	authStyle oauth2.AuthStyle
	stop      context.CancelFunc // ends the fetching of keys
}

func newOIDC(cfg config.Provider, log *zap.Logger) (*oidc, error) {
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
	o := &oidc{cfg: cfg, log: log, keys: keys, client: newBackChannel(keys.Transport), lastErr: errNotDiscovered}
	o.scopes = []string{"openid"}
	for _, scope := range cfg.Scopes {
		if !slices.Contains(o.scopes, scope) {
			o.scopes = append(o.scopes, scope)
		}
	}
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
	meta, err := jwks.Discover(ctx, o.keys, o.cfg.Issuer, o.cfg.InsecureHTTP)
	if err != nil {
		return err
	}
	if meta.AuthorizationEndpoint == "" || meta.TokenEndpoint == "" {
		return errors.New("the metadata lacks an endpoint for authorization or tokens")
	}
	found := &discovered{meta: meta}
	if found.authStyle, err = o.authStyle(meta); err != nil {
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
	if old != nil && slices.Equal(old.rules.Algorithms, algorithms) {
		found.keys, found.stop = old.keys, old.stop
		o.current.Store(found)
		return nil
	}
	// The source finds the address of the keys by itself, so that it may be
	// moved at any time, and is kept away from private addresses.
	found.keys = jwks.New(jwks.Options{
		Issuer: meta.Issuer, Client: o.keys, Algorithms: algorithms, InsecureHTTP: o.cfg.InsecureHTTP, Log: o.log,
	})
	var keysCtx context.Context
	keysCtx, found.stop = context.WithCancel(ctx) // stopped when replaced below, or with ctx
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

// authStyle decides once how the client authenticates. It is never tried out:
// a second attempt would burn the code (RFC 6749, section 4.1.2).
func (o *oidc) authStyle(meta *jwks.Metadata) (oauth2.AuthStyle, error) {
	if o.cfg.ClientSecret == "" && o.cfg.ClientSecretFile == "" {
		return oauth2.AuthStyleInParams, nil // a public client sends its client_id alone
	}
	switch methods := meta.TokenEndpointAuthMethods; {
	case len(methods) == 0, slices.Contains(methods, "client_secret_basic"):
		return oauth2.AuthStyleInHeader, nil
	case slices.Contains(methods, "client_secret_post"):
		return oauth2.AuthStyleInParams, nil
	default:
		return 0, fmt.Errorf("the token endpoint takes %.200q, and none of client_secret_basic and client_secret_post", methods)
	}
}

func (o *oidc) oauth2(found *discovered, redirectURI string) *oauth2.Config {
	return &oauth2.Config{
		ClientID:    o.cfg.ClientID,
		RedirectURL: redirectURI,
		Scopes:      o.scopes,
		Endpoint: oauth2.Endpoint{
			AuthURL: found.meta.AuthorizationEndpoint, TokenURL: found.meta.TokenEndpoint, AuthStyle: found.authStyle,
		},
	}
}

func (o *oidc) authorize(a *attempt, opts authorizeOptions) (string, error) {
	found := o.current.Load()
	if found == nil {
		return "", o.ready()
	}
	params := []oauth2.AuthCodeOption{
		oauth2.S256ChallengeOption(a.verifier),
		oauth2.SetAuthURLParam("nonce", a.idNonce),
	}
	for _, p := range opts.parameters() {
		params = append(params, oauth2.SetAuthURLParam(p[0], p[1]))
	}
	return o.oauth2(found, a.redirect).AuthCodeURL(opts.state, params...), nil
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
	case len(iss) == 1 && iss[0] != found.meta.Issuer:
		return badRequest(ReasonWrongIssuer, "Another sign-in service answered than the one that was asked. Start again.", nil)
	}
	return nil
}
