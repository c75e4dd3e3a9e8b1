package config

import "time"

// carryDefaults fills in how a route carries requests, where it does not say. A
// zero that is written stays: it means "no limit".
func (r *Route) carryDefaults(given func(key string) bool) {
	if !given("timeouts.connect") {
		r.Timeouts.Connect = 5 * time.Second
	}
	if !given("timeouts.response_header") {
		r.Timeouts.ResponseHeader = 5 * time.Minute
	}
	r.balanceDefaults(given)
	r.webDefaults(given)
}
