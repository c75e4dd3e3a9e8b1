package gateway

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/carried"
)

// lifetime is how long the parts of one configuration are in use: until the last
// request that they began with is over.
type lifetime struct {
	turns   turns
	stop    context.CancelFunc // nil before start
	running sync.WaitGroup
}

// start lets run what goes on beside the requests.
func (p *parts) start(ctx context.Context) {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	p.life.stop = stop
	p.hold.Start(ctx)
	for _, work := range p.background {
		p.life.running.Go(func() { work(ctx) })
	}
}

// end stops what runs, and releases everything, last made first.
func (p *parts) end() error {
	if p.life.stop != nil {
		p.life.stop()
		p.life.running.Wait()
	}
	return p.close()
}

// close releases everything of it, last made first.
func (p *parts) close() error {
	var errs []error
	for _, c := range slices.Backward(p.closers) {
		errs = append(errs, c())
	}
	p.closers = nil
	p.hold.Release()
	return errors.Join(errs...)
}

// lookAgain is how often it is looked whether the last request is over.
const lookAgain = 20 * time.Millisecond

// retire ends the parts once no request uses them any more, or when that takes longer
// than a drain may: what is open by then is a stream, and goes on with the connections
// that it has.
func (p *parts) retire(ctx context.Context) {
	p.life.turns.close()
	patience := time.NewTimer(p.cfg.Server.Drain.Timeout)
	defer patience.Stop()
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for waiting := p.life.turns.open(); waiting; waiting = waiting && p.life.turns.open() {
		select {
		case <-tick.C:
		case <-patience.C:
			waiting = false
		case <-ctx.Done():
			waiting = false
		}
	}
	if err := p.end(); err != nil {
		p.core.log.Warn("what the former configuration used could not be released", zap.Error(err))
	}
}

// turns counts the requests under way, on several cache lines: every request writes
// to one of them. The zero value is open.
type turns struct {
	counts [8]struct {
		n atomic.Int64
		_ [56]byte
	}
	over atomic.Bool
}

// Enter counts one more, and returns what Leave is given; false when nothing may begin
// any more.
func (t *turns) Enter() (turn int, ok bool) {
	turn = rand.IntN(len(t.counts)) //nolint:gosec // not a secret
	t.counts[turn].n.Add(1)
	if t.over.Load() {
		t.counts[turn].n.Add(-1)
		return 0, false
	}
	return turn, true
}

// Leave counts one less.
func (t *turns) Leave(turn int) { t.counts[turn].n.Add(-1) }

func (t *turns) close() { t.over.Store(true) }

// open reports whether anything is under way. After close, it never becomes true again.
func (t *turns) open() bool {
	var n int64
	for i := range t.counts {
		n += t.counts[i].n.Load()
	}
	return n > 0
}

// enter returns the parts that judge whatever begins now. leave must be called when
// that is over.
func (c *core) enter() (now *parts, turn int) {
	for {
		now = c.now()
		if turn, ok := now.life.turns.Enter(); ok {
			return now, turn
		}
	}
}

// served serves each request with the handler of the configuration that counts when
// it begins, from its beginning to its end.
type served struct {
	core *core
	of   func(*parts) http.Handler
}

// ServeHTTP implements http.Handler.
func (s *served) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now, turn := s.core.enter()
	defer now.life.turns.Leave(turn)
	s.of(now).ServeHTTP(w, r)
}

// swap makes parts those by which requests are judged from now on.
func (c *core) swap(next *parts) {
	next.upstreams.proceed(c.now().upstreams)
	next.start(c.base)
	c.revocations.SetMaxStaleness(next.cfg.Tokens.Revocation.MaxStaleness)
	c.keys.SetMaxStaleness(next.cfg.Tokens.Revocation.MaxStaleness)
	next.accounts.signIn.Store(next.signIn)
	former := c.live.Swap(next)
	c.retiring.Go(func() { former.retire(c.base) })
}

// carry lets package login keep what it has learned about providers.
func (p *parts) carry(kind string, settings any, anew func() (value any, run func(context.Context), err error)) (any, error) {
	return carried.Take(p.hold, kind, settings, func() (any, carried.Work, error) {
		value, run, err := anew()
		return value, carried.Work{Run: run}, err
	})
}
