package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/admin"
	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/carried"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/jose"
	"github.com/sallyport/sallyport/gateway/jwks"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// buildIssuers makes the rules for each issuer of JWTs, and its key source.
func buildIssuers(cfg *config.Config, log *zap.Logger, metrics *telemetry.Metrics, p *parts) ([]authn.Issuer, error) {
	issuers := make([]authn.Issuer, 0, len(cfg.Tokens.Issuers))
	p.issuerKeys = make(map[string]*jwks.Source, len(cfg.Tokens.Issuers))
	var faults config.Faults
	for i, c := range cfg.Tokens.Issuers {
		settings := withFiles(keySettingsOf(&c), c.CAFile, c.JWKSFile, c.SecretFile)
		keys, err := carried.Take(p.hold, "keys", settings, func() (*jwks.Source, carried.Work, error) {
			keys, err := keySource(c, log, metrics, p.core.calls)
			if err != nil {
				return nil, carried.Work{}, err
			}
			return keys, carried.Work{Run: keys.Run}, nil
		})
		if err != nil {
			faults = append(faults, faultsAt(cfg, fmt.Sprintf("tokens.issuers[%d]", i), err)...)
			continue
		}
		p.checks = append(p.checks, keysCheck(cfg, c, keys))
		p.issuerKeys[c.Issuer] = keys
		issuers = append(issuers, authn.Issuer{
			Keys: keys, Rules: issuerRules(cfg, c),
			Mapping: c.ClaimMapping, TrustEmail: c.TrustEmail,
		})
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return issuers, nil
}

var errNoKeys = errors.New("no good key set is known")

// keysCheck shows whether the keys of an issuer are known. They are required
// where nobody can come in otherwise.
func keysCheck(cfg *config.Config, c config.TokenIssuer, keys *jwks.Source) admin.Check {
	return admin.Check{
		Name: "keys of " + c.Issuer, Required: len(cfg.Login.Providers) == 0 && len(cfg.Tokens.Issuers) == 1,
		Probe: func(context.Context) error {
			if !keys.Ready() {
				return errNoKeys
			}
			return nil
		},
	}
}

// issuerRules are the rules for the tokens of one issuer.
func issuerRules(cfg *config.Config, c config.TokenIssuer) jose.Rules {
	return jose.Rules{
		Issuer: c.Issuer, Audiences: c.Audiences, Algorithms: c.Algorithms, Leeway: c.Leeway,
		Types: c.Types, RequiredClaims: c.RequiredClaims, SubjectClaim: c.SubjectClaim,
		MaxLifetime: c.MaxLifetime, SharedAudience: sharedAudience(cfg, c.Audiences),
	}
}

// sharedAudience reports whether an audience is also the client id of a
// provider, whose ID tokens would then be for that audience too.
func sharedAudience(cfg *config.Config, audiences []string) bool {
	return slices.ContainsFunc(cfg.Login.Providers, func(p config.Provider) bool {
		return p.ClientID != "" && slices.Contains(audiences, p.ClientID)
	})
}

// keySettings are what decides about the keys of an issuer.
type keySettings struct {
	issuer, url, caFile, file, secretFile string
	secret                                config.Secret
	algorithms                            []string
	insecure                              bool
	maxStale                              time.Duration
}

func keySettingsOf(c *config.TokenIssuer) keySettings {
	return keySettings{c.Issuer, c.JWKSURL, c.CAFile, c.JWKSFile, c.SecretFile, c.Secret, c.Algorithms, c.InsecureHTTP, c.MaxStale}
}

// keyAges tells when the keys of each issuer were fetched.
func (p *parts) keyAges() map[string]time.Time {
	all := make(map[string]time.Time, len(p.issuerKeys))
	for issuer, keys := range p.issuerKeys {
		all[issuer] = keys.Status().FetchedAt
	}
	return all
}
