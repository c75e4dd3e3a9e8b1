package config

import "time"

// balanceDefaults fills in how requests are spread, where the route does not say.
func (r *Route) balanceDefaults(given func(key string) bool) {
	b := &r.Balance
	if b.Method == "" {
		b.Method = BalanceRoundRobin
	}
	if !given("balance.resolve") {
		b.Resolve = 30 * time.Second
	}
	if len(r.Upstream) > 1 {
		if !given("balance.ejection.failures") {
			b.Ejection.Failures = 5
		}
		if !given("balance.ejection.duration") {
			b.Ejection.Duration = 10 * time.Second
		}
	}
	if b.Health.Path == "" {
		return
	}
	h := &b.Health
	if !given("balance.health.interval") {
		h.Interval = 10 * time.Second
	}
	if !given("balance.health.timeout") {
		h.Timeout = min(2*time.Second, h.Interval)
	}
	if !given("balance.health.healthy") {
		h.Healthy = 2
	}
	if !given("balance.health.unhealthy") {
		h.Unhealthy = 3
	}
}
