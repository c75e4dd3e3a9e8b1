package gateway

import (
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/route"
	"github.com/sallyport/sallyport/gateway/shield"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// newWatch keeps what the shields of the routes find.
func newWatch(metrics *telemetry.Metrics) *shield.Watch {
	return shield.NewWatch(func(route, mode string, f shield.Finding) (increment func()) {
		return metrics.ShieldFinding(route, f.String(), mode)
	})
}

func crossSite(c *config.CrossSite) route.CrossSite {
	return route.CrossSite{Requests: routeGuard(c.Mode), WebSocket: routeGuard(c.WebSocket), Origins: c.Origins}
}

func routeGuard(mode string) route.Guard {
	switch mode {
	case config.ModeOff:
		return route.Off
	case config.ModeReport:
		return route.Report
	}
	return route.Enforce
}
