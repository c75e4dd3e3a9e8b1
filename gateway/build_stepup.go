package gateway

import (
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/login"
	"github.com/sallyport/sallyport/policy"
)

func policyStepUp(r config.Require) policy.StepUp {
	return policy.StepUp{ACR: r.ACR, AMR: r.AMR, MaxAge: r.MaxAge}
}

// meetsStepUp lets a sign-in judge what came of it as the policy will: a
// sign-in that went on to a route which asks for another would never end.
func meetsStepUp(want login.StepUp, id *identity.Identity) bool {
	p := policy.StepUp(want)
	return p.MetBy(id.ACR, id.AMR, id.AuthTime, time.Now())
}
