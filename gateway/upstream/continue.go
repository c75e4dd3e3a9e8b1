package upstream

import (
	"slices"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
)

// Continue takes over what another Pool of the same route knows: of the upstreams that
// both have, how they are, as far as they are asked in the same way, and what was
// counted. It is called before Run.
func (p *Pool) Continue(former *Pool) {
	if p == former {
		return
	}
	known := former.knowledge()
	p.retries.Store(former.retries.Load())
	p.busy.Store(former.busy.Load())
	if p.only != nil {
		return
	}
	sameChecks := p.host == former.host && p.balance.Health.Path == former.balance.Health.Path &&
		slices.Equal(p.balance.Health.Status, former.balance.Health.Status)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.endpoints {
		i := slices.IndexFunc(known, func(k knowledge) bool { return k.at == e.url && k.tls == e.tls })
		if i < 0 {
			continue
		}
		k := &known[i]
		e.ejections.Store(k.ejections)
		if sameChecks {
			e.health = k.health
		}
		if p.ejecting {
			e.failures.Store(k.failures)
			p.stayOut(e, k)
		}
	}
	p.refit()
}

// stayOut leaves an endpoint out for as long as it would have been. The lock is held.
func (p *Pool) stayOut(e *endpoint, k *knowledge) {
	if p.closed || e.out {
		return
	}
	e.out, e.until, e.outFor = k.out, k.until, k.outFor
	if e.out {
		e.back = time.AfterFunc(time.Until(e.until), func() { p.readmit(e) })
	}
}

// knowledge is what is known of an endpoint.
type knowledge struct {
	at        string
	tls       config.ClientTLS
	health    health
	failures  int32
	ejections uint64
	out       bool
	until     time.Time
	outFor    time.Duration
}

func (p *Pool) knowledge() []knowledge {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]knowledge, 0, len(p.endpoints))
	for _, e := range p.endpoints {
		all = append(all, knowledge{
			at: e.url, tls: e.tls, health: e.health, failures: e.failures.Load(), ejections: e.ejections.Load(),
			out: e.out, until: e.until, outFor: e.outFor,
		})
	}
	return all
}
