package gateway

import (
	"context"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/lint"
)

// CheckLive tries what a gateway of this configuration depends on.
func CheckLive(_ context.Context, _ *config.Config) []lint.LiveResult { return nil }
