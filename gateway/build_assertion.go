package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/assertion"
	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/headers"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/jose"
	"github.com/sallyport/sallyport/gateway/jwks"
	"github.com/sallyport/sallyport/gateway/login"
	"github.com/sallyport/sallyport/gateway/sealing"
	"github.com/sallyport/sallyport/gateway/session"
)

// signingName is the name of the record with the signing keys, beside the ring that seals.
const signingName = "assertion"

// mintLifetime bounds tokens that operators mint in development.
const mintLifetime = time.Hour

// signing is all that the gateway signs: assertions for applications, and access
// tokens for programs.
type signing struct {
	cfg    *config.Config
	ring   *assertion.Ring
	minter *assertion.Minter
	needed bool // some route or endpoint can't do without it
}

// newSigning makes what signs by a configuration, with a ring that outlives it.
func newSigning(cfg *config.Config, ring *assertion.Ring) *signing {
	return &signing{
		cfg: cfg, ring: ring, needed: signs(cfg),
		minter: assertion.New(assertion.Options{Ring: ring, Issuer: ownIssuerName(cfg), Lifetime: cfg.Assertions.Lifetime}),
	}
}

// openRing makes the ring of signing keys, from files or the store, and
// reads it. An outage of the store is no error: what needs a signature is
// unavailable until the ring is there. Without open, the store is not asked.
func openRing(ctx context.Context, cfg *config.Config, log *zap.Logger, kept *sealedRing, open bool) (*assertion.Ring, error) {
	log = log.Named("signing")
	if files := cfg.Assertions.KeysFiles; len(files) > 0 {
		ring, err := assertion.NewFiles(assertion.FilesOptions{Files: files, Read: readKeyFile, Log: log})
		if bad, ok := errors.AsType[*assertion.FileError](err); ok {
			return nil, config.Faults{cfg.Fault(
				fmt.Sprintf("assertions.keys_files[%d]", bad.Index), bad.Error(), "write a private key in PEM, as `sallyport keys generate` prints it",
			)}
		}
		return ring, err
	}
	ring := assertion.NewStored(assertion.StoredOptions{
		Store: kept, Algorithm: cfg.Assertions.Algorithm, Longest: longestSigned(cfg), Log: log,
	})
	if open {
		if err := ring.Refresh(ctx); signs(cfg) && errors.Is(err, assertion.ErrUnopened) {
			return nil, config.Faults{cfg.Fault("session.keys_files", "no key of it opens the signing keys that the store keeps", unopenedFix)}
		}
	}
	return ring, nil
}

// ownIssuerName is the iss of everything that the gateway signs.
func ownIssuerName(cfg *config.Config) string { return cfg.Server.PublicURL + cfg.Server.AuthPrefix }

// signs reports whether anything that is configured needs a signature.
func signs(cfg *config.Config) bool {
	return cfg.AcceptsOwnTokens() || slices.ContainsFunc(cfg.Routes, func(r config.Route) bool { return r.Assertion })
}

// longestSigned is the longest life of anything that the gateway signs.
func longestSigned(cfg *config.Config) time.Duration {
	longest := cfg.Assertions.Lifetime
	if cfg.Tokens.Exchange.Enabled {
		longest = max(longest, cfg.Tokens.Exchange.Lifetime)
	}
	if cfg.Development() {
		longest = max(longest, mintLifetime)
	}
	return longest
}

func readKeyFile(file string) ([]byte, error) {
	text, err := config.ReadSecret("", file)
	return []byte(text.Reveal()), err
}

const unopenedFix = "put the key that was removed back as the last of session.keys_files, or name assertions.keys_files"

// sealedRing keeps the ring of signing keys as a sealed record of the store.
type sealedRing struct {
	records session.Records
	sealing *session.Keyring
	// adopt opens a ring from before session.keys_files, which was sealed with the
	// key beside it. A store that others can reach is never believed so: whoever
	// could write there could bring signing keys of his own.
	adopt    bool
	saved    func() // called when the record has changed; nil does nothing
	resealed atomic.Bool
}

var _ assertion.Store = (*sealedRing)(nil)

// Load implements assertion.Store. At the first look it seals the ring anew if
// another sealing key is the first by now, so that the old one can be removed.
// Only then: gateways whose keys_files differ for a while would do it in turns.
func (s *sealedRing) Load(ctx context.Context) (plain []byte, version uint64, err error) {
	record, err := s.records.LoadRecord(ctx, sealing.Kind, signingName)
	if errors.Is(err, session.ErrNotFound) {
		return nil, 0, assertion.ErrAbsent
	}
	if err != nil {
		return nil, 0, err
	}
	if plain, err = s.open(ctx, record.Value); err != nil {
		return nil, 0, err
	}
	if !s.resealed.Load() && s.sealing.Stale(record.Value) {
		switch err := s.Save(ctx, plain, record.Version); {
		case errors.Is(err, assertion.ErrConflict): // another gateway was quicker
			return s.Load(ctx)
		case err != nil:
			return nil, 0, err
		}
		record.Version++
	}
	s.resealed.Store(true)
	return plain, record.Version, nil
}

// reseal seals the record anew if another key seals by now. What no key of the
// ring opens stays as it is.
func (s *sealedRing) reseal(ctx context.Context) error {
	for {
		record, err := s.records.LoadRecord(ctx, sealing.Kind, signingName)
		if errors.Is(err, session.ErrNotFound) || err == nil && !s.sealing.Stale(record.Value) {
			return nil
		}
		if err != nil {
			return err
		}
		plain, err := s.open(ctx, record.Value)
		if errors.Is(err, assertion.ErrUnopened) {
			return nil
		}
		if err != nil {
			return err
		}
		if err = s.Save(ctx, plain, record.Version); !errors.Is(err, assertion.ErrConflict) {
			return err
		}
	}
}

func (s *sealedRing) open(ctx context.Context, sealed []byte) ([]byte, error) {
	plain, err := s.sealing.Open(session.PurposeSigning, sealed, []byte(signingName))
	if err == nil {
		return plain, nil
	}
	if s.adopt {
		former, err := s.records.LoadRecord(ctx, sealing.Kind, sealing.Name)
		if err != nil && !errors.Is(err, session.ErrNotFound) {
			return nil, err
		}
		secrets, err := sealing.DecodeStored(former.Value)
		if err != nil {
			secrets = nil
		}
		if ring, err := session.NewKeyring(secrets...); err == nil {
			if plain, err := ring.Open(session.PurposeSigning, sealed, []byte(signingName)); err == nil {
				return plain, nil
			}
		}
	}
	return nil, fmt.Errorf("%w: %s", assertion.ErrUnopened, unopenedFix)
}

// Save implements assertion.Store.
func (s *sealedRing) Save(ctx context.Context, plain []byte, version uint64) error {
	sealed := s.sealing.Seal(session.PurposeSigning, plain, []byte(signingName))
	_, err := s.records.SaveRecord(ctx, sealing.Kind, signingName, version, sealed, time.Time{})
	if errors.Is(err, session.ErrConflict) {
		return assertion.ErrConflict
	}
	if err == nil && s.saved != nil {
		s.saved()
	}
	return err
}

// assert returns what makes the assertions of a route; nil where it has none.
func (s *signing) assert(c config.Route) headers.Assert {
	if !c.Assertion {
		return nil
	}
	audience := c.Audience
	if audience == "" {
		audience = c.Name
	}
	return func(id *identity.Identity, now time.Time) (string, error) {
		token, err := s.minter.Mint(id, audience, now)
		if errors.Is(err, assertion.ErrExpired) {
			return "", &authn.Refusal{Reason: string(jose.TokenExpired), Err: err}
		}
		return token, err
	}
}

// exchange makes tokens of sessions; nil where that is off.
func (s *signing) exchange() login.Issue {
	x := s.cfg.Tokens.Exchange
	if !x.Enabled {
		return nil
	}
	return func(id *identity.Identity, audience string) (string, time.Time, error) {
		if audience == "" {
			audience = x.Audiences[0]
		}
		if !slices.Contains(x.Audiences, audience) {
			return "", time.Time{}, login.ErrAudience
		}
		token, expires, err := s.minter.MintAccess(id, audience, x.Lifetime, nil, time.Now())
		if errors.Is(err, assertion.ErrExpired) {
			err = login.ErrEnding
		}
		return token, expires, err
	}
}

// ownAudiences are the audiences of the access tokens that the gateway signs and
// accepts. In development there may be none configured.
func ownAudiences(cfg *config.Config) []string {
	if len(cfg.Tokens.Exchange.Audiences) > 0 {
		return cfg.Tokens.Exchange.Audiences
	}
	return []string{cfg.Server.PublicURL}
}

// ownRules are the rules for the gateway's own access tokens.
func ownRules(cfg *config.Config) jose.Rules {
	return jose.Rules{
		Issuer: ownIssuerName(cfg), Audiences: ownAudiences(cfg),
		Algorithms: []string{assertion.AlgorithmES256, assertion.AlgorithmEdDSA}, Types: []string{"at+jwt"},
	}
}

// ownIssuer makes the gateway an issuer whose access tokens it accepts; ok is
// false where none are made. Assertions are never accepted: their typ is another.
func (s *signing) ownIssuer() (issuer authn.Issuer, ok bool) {
	if !s.cfg.AcceptsOwnTokens() {
		return authn.Issuer{}, false
	}
	return authn.Issuer{
		Keys: ownKeys{s.ring}, IssuerClaim: "idp",
		Rules: ownRules(s.cfg),
		Mapping: config.ClaimMapping{
			SubjectClaim: "sub", EmailClaim: "email", NameClaim: "name", UsernameClaim: "preferred_username", GroupsClaim: "groups",
		},
	}, true
}

// ownKeys finds the gateway's own keys.
type ownKeys struct{ ring *assertion.Ring }

var _ authn.KeySource = ownKeys{}

// Key implements authn.KeySource.
func (o ownKeys) Key(_ context.Context, kid, alg string) (*jose.Key, error) {
	key, ok, err := o.ring.Find(kid, alg)
	if err == nil && !ok {
		err = jwks.ErrUnknownKey
	}
	return key, err
}

// Generation implements authn.KeySource.
func (o ownKeys) Generation() uint64 { return o.ring.Generation() }
