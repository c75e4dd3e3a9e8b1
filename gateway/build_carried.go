package gateway

import (
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"slices"
	"sync/atomic"

	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/carried"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/login"
)

// settled are the settings of something that is carried over, and what the files hold
// that they name and that are read once.
type settled[T any] struct {
	settings T
	files    [][sha256.Size]byte
}

func withFiles[T any](settings T, files ...string) settled[T] {
	s := settled[T]{settings: settings}
	for _, file := range files {
		var sum [sha256.Size]byte // of a file that can't be read, and so is found to be at fault
		if file != "" {
			if text, err := os.ReadFile(file); err == nil {
				sum = sha256.Sum256(text)
			}
		}
		s.files = append(s.files, sum)
	}
	return s
}

// bearerSettings are all that decides what a token proves.
type bearerSettings struct {
	issuers    []settled[config.TokenIssuer]
	shared     []bool // an audience with a provider's client
	own        bool
	ownName    string
	audiences  []string
	possession string
	dpop       config.DPoP
	cache      int64
}

// buildBearer takes the judge of JWTs with everything that it has proven, where nothing
// has changed that a token proves.
func buildBearer(p *parts, issuers []authn.Issuer, possession authn.Possession) (*authn.Bearer, error) {
	cfg := p.cfg
	settings := bearerSettings{
		own: cfg.AcceptsOwnTokens(), ownName: ownIssuerName(cfg), audiences: ownAudiences(cfg),
		possession: possession.Scheme, dpop: cfg.Tokens.DPoP, cache: cfg.Tokens.Cache.MaxBytes,
	}
	for _, c := range cfg.Tokens.Issuers {
		settings.issuers = append(settings.issuers, withFiles(c, c.CAFile, c.JWKSFile, c.SecretFile))
		settings.shared = append(settings.shared, sharedAudience(cfg, c.Audiences))
	}
	return carried.Take(p.hold, "bearer", settings, func() (*authn.Bearer, carried.Work, error) {
		return authn.NewBearer(authn.BearerOptions{
			Issuers: issuers, CacheBytes: cfg.Tokens.Cache.MaxBytes, Revocations: p.core.revocations, Possession: possession, Looked: p.core.metrics.TokenCache,
		}), carried.Work{}, nil
	})
}

// knownPasswords are what Basic has judged, and the accounts by which.
type knownPasswords struct {
	passwords *authn.Passwords
	accounts  *accounts
}

// buildPasswords takes the judge of passwords as it is where the files of accounts are
// the same.
func buildPasswords(p *parts) (*authn.Passwords, *accounts, error) {
	files := slices.DeleteFunc(slices.Clone(p.cfg.Login.Providers), func(p config.Provider) bool { return p.Type != config.ProviderUsers })
	known, err := carried.Take(p.hold, "passwords", files, func() (knownPasswords, carried.Work, error) {
		k := knownPasswords{accounts: &accounts{}}
		var of authn.Accounts
		if len(files) > 0 {
			of = k.accounts
		}
		var err error
		k.passwords, err = authn.NewPasswords(of)
		return k, carried.Work{}, err
	})
	return known.passwords, known.accounts, err
}

// accounts lets Basic judge the accounts of the users providers.
type accounts struct{ signIn atomic.Pointer[login.Service] }

var _ authn.Accounts = (*accounts)(nil)

func (a *accounts) Known(username string) bool { return a.signIn.Load().KnownAccount(username) }
func (a *accounts) Generation() uint64         { return a.signIn.Load().AccountsGeneration() }

func (a *accounts) LockedOut(username, address string) error {
	if wait := a.signIn.Load().LockedOut(username, address); wait > 0 {
		return &authn.TooMany{Reason: login.ReasonLockedOut, Wait: wait}
	}
	return nil
}

func (a *accounts) Verify(ctx context.Context, username, password, address string) (*identity.Identity, error) {
	id, err := a.signIn.Load().VerifyAccount(ctx, username, password, address)
	if errors.Is(err, login.ErrWrongPassword) {
		return nil, &authn.Refusal{Reason: login.ReasonInvalidLogin}
	}
	if locked, ok := errors.AsType[*login.LockedOut](err); ok {
		return nil, &authn.TooMany{Reason: login.ReasonLockedOut, Wait: locked.Wait}
	}
	return id, err
}
