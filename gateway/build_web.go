package gateway

import (
	"github.com/sallyport/sallyport/gateway/carried"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/route"
	"github.com/sallyport/sallyport/gateway/shield"
)

// newWatch keeps what the shields of the routes find, and have found before.
func newWatch(c *core, hold *carried.Hold) *shield.Watch {
	return shield.NewWatch(shield.WatchOptions{
		Since: c.since,
		Count: func(route, mode string, f shield.Finding) (increment func()) {
			return c.metrics.ShieldFinding(route, f.String(), mode)
		},
		Tally: func(route string) *shield.Tally {
			found, _ := carried.Take(hold, "shield", route, func() (*shield.Tally, carried.Work, error) { // which can't fail
				return &shield.Tally{}, carried.Work{}, nil
			})
			return found
		},
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
