package upstream

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"time"

	"go.uber.org/zap"
)

// What came of a health check.
const (
	checkOK          = "ok"
	checkStatus      = "status"      // the upstream answered with a status that is not healthy
	checkTimeout     = "timeout"     // it did not answer in time
	checkUnreachable = "unreachable" // it could not be connected to, or broke off
)

// maxCheckBody is how much of an answer is read so that its connection can be used
// again.
const maxCheckBody = 64 << 10

// health is what the checks of an endpoint have shown.
type health struct {
	down    bool
	checked time.Time // zero before the first
	result  string
	status  int // of the last answer, where there was one
	streak  int // of results that speak against the present state
}

// watch checks an endpoint at once, and again and again until ctx ends.
func (p *Pool) watch(ctx context.Context, e *endpoint) {
	every := p.balance.Health.Interval
	for {
		result, status := p.check(ctx, e)
		if ctx.Err() != nil {
			return
		}
		p.checked(e, result, status)
		// Apart, so that the checks of many routes and gateways don't fall together.
		pause := time.NewTimer(every - every/20 + rand.N(every/10+1)) //nolint:gosec // no secret
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
	}
}

// check asks an endpoint how it is. Redirects are answers, and are not followed.
func (p *Pool) check(ctx context.Context, e *endpoint) (result string, status int) {
	h := &p.balance.Health
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, e.scheme+"://"+e.host+h.Path, nil)
	if err != nil {
		return checkUnreachable, 0
	}
	if p.host != "" {
		r.Host = p.host
	}
	r.Header.Set("User-Agent", "sallyport-health")
	res, err := e.roundTrip(r)
	if err != nil {
		if timeout, ok := errors.AsType[net.Error](err); ctx.Err() != nil || ok && timeout.Timeout() {
			return checkTimeout, 0
		}
		return checkUnreachable, 0
	}
	_, _ = io.CopyN(io.Discard, res.Body, maxCheckBody) // for the connection alone
	_ = res.Body.Close()
	if len(h.Status) == 0 && res.StatusCode >= 200 && res.StatusCode < 400 || slices.Contains(h.Status, res.StatusCode) {
		return checkOK, res.StatusCode
	}
	return checkStatus, res.StatusCode
}

// checked takes the result of a check in. The first decides alone; later ones turn
// the state when there are enough in a row.
func (p *Pool) checked(e *endpoint, result string, status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := &e.health
	first, down := h.checked.IsZero(), result != checkOK
	h.checked, h.result, h.status = time.Now(), result, status
	if down == h.down {
		h.streak = 0
		return
	}
	h.streak++
	need := p.balance.Health.Healthy
	if down {
		need = p.balance.Health.Unhealthy
	}
	if !first && h.streak < need {
		return
	}
	h.down, h.streak = down, 0
	at := []zap.Field{zap.String("route", p.route), zap.String("upstream", e.url)}
	if down {
		p.log.Warn("an upstream fails its health checks and gets no requests", append(at, zap.String("result", result), zap.Int("status", status))...)
	} else {
		p.log.Info("an upstream passes its health checks and gets requests", at...)
	}
	p.refit()
}
