package upstream

import "time"

// Status is how the upstreams of a route are.
type Status struct {
	Route     string           `json:"route"`
	Upstreams []EndpointStatus `json:"upstreams"`
	Retries   uint64           `json:"retries"` // requests that were sent to another upstream
	Busy      uint64           `json:"busy"`    // requests for which every upstream was full
	// Watched says that the route has several upstreams, health checks or a
	// limit: of others, nothing is known but where they are.
	Watched bool `json:"watched"`
}

// EndpointStatus is how one upstream is.
type EndpointStatus struct {
	Upstream     string    `json:"upstream"` // as it is configured
	Fit          bool      `json:"fit"`      // it gets requests
	Healthy      bool      `json:"healthy"`  // by its checks; true where there are none
	InFlight     int64     `json:"in_flight"`
	Failures     int32     `json:"failures"` // of requests, in a row
	Ejections    uint64    `json:"ejections"`
	EjectedUntil time.Time `json:"ejected_until,omitzero"`
	Checked      time.Time `json:"checked,omitzero"`
	Check        string    `json:"check,omitempty"` // ok | status | timeout | unreachable
	CheckStatus  int       `json:"check_status,omitempty"`
}

// Status returns how the upstreams are now.
func (p *Pool) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Status{Route: p.route, Retries: p.retries.Load(), Busy: p.busy.Load(), Watched: p.only == nil}
	for _, e := range p.endpoints {
		one := EndpointStatus{
			Upstream: e.url, Fit: e.fit.Load(), Healthy: !e.health.down,
			InFlight: e.inFlight.Load(), Failures: e.failures.Load(), Ejections: e.ejections.Load(),
			Checked: e.health.checked, Check: e.health.result, CheckStatus: e.health.status,
		}
		if e.out {
			one.EjectedUntil = e.until
		}
		s.Upstreams = append(s.Upstreams, one)
	}
	return s
}
