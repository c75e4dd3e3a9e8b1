package upstream

import (
	"net/http"
	"time"

	"go.uber.org/zap"
)

// maxEjection bounds how long an upstream is left out, unless the route asks for
// longer the first time.
const maxEjection = 5 * time.Minute

// answered looks at how an endpoint answered.
func (e *endpoint) answered(status int) {
	if !e.pool.ejecting {
		return
	}
	switch status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		e.fail()
		return
	}
	if e.failures.Load() != 0 { // written to by a few, read by all
		e.failures.Store(0)
	}
}

// fail counts a failure, and takes the endpoint out when there were too many in a
// row.
func (e *endpoint) fail() {
	p := e.pool
	if !p.ejecting {
		return
	}
	if limit := int32(p.balance.Ejection.Failures); e.failures.Load() >= limit || e.failures.Add(1) >= limit {
		p.eject(e)
	}
}

// eject takes an endpoint out of the rotation for a while: twice as long as the
// last time, if it did not stay well for as long as it was out then. The last one
// that is fit stays.
func (p *Pool) eject(e *endpoint) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || e.out || !p.others(e) {
		return
	}
	now, first := time.Now(), p.balance.Ejection.Duration
	switch {
	case e.outFor == 0 || now.Sub(e.until) >= e.outFor:
		e.outFor = first
	default:
		e.outFor = min(2*e.outFor, max(first, maxEjection))
	}
	e.out, e.until = true, now.Add(e.outFor)
	e.ejections.Add(1)
	e.back = time.AfterFunc(e.outFor, func() { p.readmit(e) })
	p.log.Warn("an upstream fails requests and gets none for a while",
		zap.String("route", p.route), zap.String("upstream", e.url), zap.Duration("for", e.outFor))
	p.refit()
}

// others reports whether any other endpoint is fit.
func (p *Pool) others(e *endpoint) bool {
	for _, other := range p.endpoints {
		if other != e && !other.out && !other.health.down {
			return true
		}
	}
	return false
}

func (p *Pool) readmit(e *endpoint) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	e.out = false
	e.failures.Store(0)
	p.log.Info("an upstream gets requests again", zap.String("route", p.route), zap.String("upstream", e.url))
	p.refit()
}
