package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/cost"
	"github.com/sallyport/sallyport/gateway/jose"
	"github.com/sallyport/sallyport/gateway/jwks"
	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/session/embedded"
)

// The values of package cost, for the command line.
type (
	// CostOptions are what is assumed, and how long is measured.
	CostOptions = cost.Options
	// CostReport is what was measured.
	CostReport = cost.Report
	// CostClaims are claims of one's own.
	CostClaims = cost.Claims
)

// DefaultCostOptions are what is assumed where nothing else is said.
func DefaultCostOptions() CostOptions { return cost.Defaults() }

// ParseCostClaims reads a JSON object of claims that are to be measured as well.
func ParseCostClaims(name string, object []byte) (*CostClaims, error) {
	return cost.ParseClaims(name, object)
}

// MeasureCost measures what sessions and JWTs cost here and now, by deciding on
// requests with them as the gateway does. Nothing is opened on disk or on the
// network, and no configuration is read.
func MeasureCost(ctx context.Context, o CostOptions) (_ *CostReport, err error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	bench, err := newCostBench()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, bench.close()) }()
	signers, err := costSigners()
	if err != nil {
		return nil, err
	}
	profiles := cost.Profiles()
	if o.Claims != nil {
		profiles = append(profiles, *o.Claims)
	}

	// The sessions come first, then each algorithm with its claims.
	var subjects []cost.Subject
	add := func(s cost.Subject, err error) error {
		if err == nil {
			subjects = append(subjects, s)
		}
		return err
	}
	for _, claims := range profiles {
		if err := add(bench.session(ctx, &claims)); err != nil {
			return nil, err
		}
	}
	for _, signer := range signers {
		for _, claims := range profiles {
			if err := add(bench.token(ctx, signer, &claims, o.TokenLifetime)); err != nil {
				return nil, err
			}
		}
	}
	return cost.Measure(subjects, o)
}

// costSigner is an issuer's key, both halves.
type costSigner struct {
	*jose.Signer
	keys *jose.KeySet
}

// costKeyID is as long as the key ids of well-known providers.
const costKeyID = "b3f1c9a7e5d24f608e1a7c"

func costSigners() ([]costSigner, error) {
	var all []costSigner
	for _, alg := range cost.Algorithms() {
		signer, keys, err := newCostSigner(alg)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", alg, err)
		}
		all = append(all, costSigner{signer, keys})
	}
	return all, nil
}

func newCostSigner(alg string) (*jose.Signer, *jose.KeySet, error) {
	if strings.HasPrefix(alg, "HS") {
		secret := make([]byte, 64)
		rand.Read(secret)
		keys, err := jose.SecretKeySet(secret)
		if err != nil {
			return nil, nil, err
		}
		signer, err := jose.NewSecretSigner(alg, costKeyID, secret)
		return signer, keys, err
	}
	signer, err := jose.NewSigner(alg, costKeyID)
	if err != nil {
		return nil, nil, err
	}
	published, err := signer.PublicJWKS()
	if err != nil {
		return nil, nil, err
	}
	keys, _, err := jose.ParseKeySet(published)
	return signer, keys, err
}

// costBench is two gateways over one store in memory, as far as deciding needs
// them, and a third that sees every session for the first time.
type costBench struct {
	store               *cost.CountingStore
	here, there, unread *session.Manager
	revoked             [2]*authn.Revocations // what the two know to be revoked
	closers             []func() error
}

func newCostBench() (*costBench, error) {
	memory, err := embedded.Open(embedded.Options{})
	if err != nil {
		return nil, err
	}
	b := &costBench{store: &cost.CountingStore{Store: memory}, closers: []func() error{memory.Close}}
	secret := make([]byte, session.KeySize)
	rand.Read(secret)
	ring, err := session.NewKeyring(secret)
	if err != nil {
		return nil, errors.Join(err, b.close())
	}
	manager := func(store session.Store) *session.Manager {
		m := session.NewManager(session.Options{
			Store: store, Keyring: ring,
			Server:  config.Server{PublicURL: "https://app.example.com"},
			Session: config.Session{IdleTimeout: 30 * time.Minute, AbsoluteTimeout: 12 * time.Hour},
		})
		b.closers = append(b.closers, func() error { m.Close(); return nil })
		return m
	}
	for i := range b.revoked {
		b.revoked[i] = b.follow(memory)
	}
	b.here, b.there = manager(b.store), manager(b.store)
	b.unread = manager(&cost.UnreadStore{Store: b.store})
	return b, nil
}

// follow keeps a list of revocations until the bench is closed.
func (b *costBench) follow(feeds session.Feeds) *authn.Revocations {
	list := authn.NewRevocations(feeds, config.Default().Tokens.Revocation.MaxStaleness)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); list.Run(ctx) }()
	b.closers = append(b.closers, func() error { stop(); <-done; return nil })
	return list
}

func (b *costBench) close() error {
	var errs []error
	for _, c := range slices.Backward(b.closers) {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

// session makes the subject of a session behind which the claims are.
func (b *costBench) session(ctx context.Context, claims *cost.Claims) (cost.Subject, error) {
	fail := func(err error) (cost.Subject, error) {
		return cost.Subject{}, fmt.Errorf("session, %s: %w", claims.Name, err)
	}
	start := func() (cost.Field, error) {
		_, cookie, err := b.here.Start(ctx, session.SignIn{Identity: claims.Identity(), Provider: "corp"}, nil)
		if err != nil {
			return cost.Field{}, err
		}
		return cost.Field{Name: "Cookie", Value: cookie.Name + "=" + cookie.Value}, nil
	}
	end := func(f cost.Field) error {
		found := b.here.Cookies().Read(http.Header{f.Name: {f.Value}})
		return b.here.End(ctx, &found)
	}
	live, err := start()
	if err != nil {
		return fail(err)
	}
	ended, err := start()
	if err != nil {
		return fail(err)
	}
	if err := end(ended); err != nil {
		return fail(err)
	}

	nobody := authn.NewBearer(authn.BearerOptions{})
	production, err := newCostJudge(b.here, nobody, claims)
	if err != nil {
		return fail(err)
	}
	cold, err := newCostJudge(b.unread, nobody, claims)
	if err != nil {
		return fail(err)
	}
	other, err := newCostJudge(b.there, nobody, claims)
	if err != nil {
		return fail(err)
	}
	s := cost.Subject{
		Credential: "session", Claims: claims.Name, Field: live, Lookups: b.store.Asked,
		Cold: cold.allows(ctx, live), Cached: production.allows(ctx, live),
		Ended:  production.refuses(ctx, ended, authn.ReasonNoSession),
		Forged: production.refuses(ctx, forge(live), authn.ReasonNoCredential),
	}
	s.Revoke = func() (time.Duration, error) {
		f, err := start()
		if err != nil {
			return 0, err
		}
		if err := other.allows(ctx, f)(); err != nil {
			return 0, err
		}
		refused := other.refuses(ctx, f, authn.ReasonNoSession)
		return untilRefused(func() error { return end(f) }, refused)
	}
	return s, nil
}

// token makes the subject of a JWT with the claims.
func (b *costBench) token(ctx context.Context, signer costSigner, claims *cost.Claims, lifetime time.Duration) (cost.Subject, error) {
	alg := signer.Algorithm()
	fail := func(err error) (cost.Subject, error) {
		return cost.Subject{}, fmt.Errorf("%s, %s: %w", alg, claims.Name, err)
	}
	now := time.Now()
	sign := func(from, to time.Time, id string) (cost.Field, error) {
		all := claims.At(from, to)
		if id != "" {
			all["jti"] = id
		}
		raw, err := signer.Sign("at+jwt", all)
		return cost.Field{Name: "Authorization", Value: "Bearer " + raw}, err
	}
	// It must outlive the measurement, however short-lived tokens are assumed to be.
	live, err := sign(now, now.Add(max(lifetime, 10*time.Minute)), "")
	if err != nil {
		return fail(err)
	}
	ended, err := sign(now.Add(-2*time.Hour), now.Add(-time.Hour), "")
	if err != nil {
		return fail(err)
	}
	issuers := []authn.Issuer{{
		Keys:  jwks.Static(signer.keys),
		Rules: jose.Rules{Issuer: claims.Issuer(), Audiences: claims.Audiences(), Algorithms: []string{alg}},
		Mapping: config.ClaimMapping{
			SubjectClaim: "sub", EmailClaim: "email", NameClaim: "name", UsernameClaim: "preferred_username", GroupsClaim: "groups",
		},
	}}
	judge := func(cacheBytes int64, revoked *authn.Revocations) (*costJudge, error) {
		return newCostJudge(b.here, authn.NewBearer(authn.BearerOptions{
			Issuers: issuers, CacheBytes: cacheBytes, Revocations: revoked,
		}), claims)
	}
	cache := config.Default().Tokens.Cache.MaxBytes
	production, err := judge(cache, b.revoked[0])
	if err != nil {
		return fail(err)
	}
	cold, err := judge(0, b.revoked[0])
	if err != nil {
		return fail(err)
	}
	other, err := judge(cache, b.revoked[1])
	if err != nil {
		return fail(err)
	}
	s := cost.Subject{
		Credential: alg, Claims: claims.Name, Field: live, Lookups: b.store.Asked, Portable: true,
		Cold: cold.allows(ctx, live), Cached: production.allows(ctx, live),
		Ended:  production.refuses(ctx, ended, string(jose.TokenExpired)),
		Forged: production.refuses(ctx, forge(live), string(jose.BadSignature)),
	}
	s.Revoke = func() (time.Duration, error) {
		id := rand.Text()
		f, err := sign(now, now.Add(10*time.Minute), id)
		if err != nil {
			return 0, err
		}
		if err := other.allows(ctx, f)(); err != nil {
			return 0, err
		}
		revoke := func() error {
			return b.revoked[0].Revoke(ctx, authn.Revocation{Issuer: claims.Issuer(), ID: id, ExpiresAt: now.Add(time.Hour)})
		}
		return untilRefused(revoke, other.refuses(ctx, f, authn.ReasonTokenRevoked))
	}
	return s, nil
}
