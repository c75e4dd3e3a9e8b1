package gateway

import (
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/jose"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// buildBearer makes the judge of JWTs, with a key source for each issuer.
func buildBearer(cfg *config.Config, log *zap.Logger, metrics *telemetry.Metrics, p *parts) (*authn.Bearer, error) {
	issuers := make([]authn.Issuer, 0, len(cfg.Tokens.Issuers))
	var faults config.Faults
	for i, c := range cfg.Tokens.Issuers {
		keys, err := keySource(c, log, metrics)
		if err != nil {
			faults = append(faults, faultsAt(cfg, fmt.Sprintf("tokens.issuers[%d]", i), err)...)
			continue
		}
		p.background = append(p.background, keys.Run)
		metrics.JWKSAge(c.Issuer, func() time.Time { return keys.Status().FetchedAt })
		issuers = append(issuers, authn.Issuer{
			Keys:        keys,
			Rules:       jose.Rules{Issuer: c.Issuer, Audiences: c.Audiences, Algorithms: c.Algorithms, Leeway: c.Leeway},
			GroupsClaim: c.GroupsClaim, TrustEmail: c.TrustEmail,
		})
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return authn.NewBearer(issuers), nil
}
