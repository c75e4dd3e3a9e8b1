package valkeystore

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/valkey-io/valkey-go"
	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/session"
)

// revocations are the sessions that this gateway ended, or was asked to end, in
// the last minutes. Replicas follow their primary late, so that a failover can lose
// the last writes, and with them a revocation. After each loss of a connection
// they are therefore written again.
type revocations struct {
	mu      sync.Mutex
	recent  []revocation  // oldest first
	changed chan struct{} // a connection was lost
}

type revocation struct {
	handle handle
	at     time.Time // when it was revoked
	end    time.Time // when the session would have ended
}

const (
	keepRevocations = 10 * time.Minute // longer than a failover takes
	maxRevocations  = 1 << 16
)

func (r *revocations) add(one revocation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.prune(time.Now())
	r.recent = append(r.recent, one)
}

// addOnce adds what may be there already: asking again and again for the end of
// a session must not drive the others out.
func (r *revocations) addOnce(one revocation) {
	r.mu.Lock()
	known := slices.ContainsFunc(r.recent, func(old revocation) bool { return old.handle == one.handle })
	r.mu.Unlock()
	if !known {
		r.add(one)
	}
}

// prune drops what is old enough to be on every replica. It moves nothing: where a
// million sessions are ended, the list is full, and each of them drops one.
func (r *revocations) prune(now time.Time) {
	old := max(0, len(r.recent)+1-maxRevocations)
	for old < len(r.recent) && now.Sub(r.recent[old].at) > keepRevocations {
		old++
	}
	r.recent = r.recent[old:]
}

func (r *revocations) all() []revocation {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.prune(time.Now())
	return slices.Clone(r.recent)
}

// lost wakes the repetition up. It is called for every connection that breaks.
func (s *Store) lost() {
	select {
	case s.revocations.changed <- struct{}{}:
	default:
	}
}

// repeatRevocations writes them again after each loss of a connection, as soon
// as the store takes writes.
func (s *Store) repeatRevocations(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.revocations.changed:
		}
		todo := s.revocations.all()
		for wait := firstRetry; len(todo) > 0; wait = min(2*wait, maxRetry) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
			todo = s.bury(ctx, todo)
		}
	}
}

// bury makes sure of tombstones, and returns the revocations that it could not
// write. Many at a time: those of a shard that is down keep no others waiting.
func (s *Store) bury(ctx context.Context, todo []revocation) (left []revocation) {
	var mu sync.Mutex
	var wait sync.WaitGroup
	tickets := make(chan struct{}, deleters)
	for _, r := range todo {
		if !time.Now().Before(r.end) {
			continue
		}
		tickets <- struct{}{}
		wait.Go(func() {
			defer func() { <-tickets }()
			args := []string{r.handle.member(), millis(r.at), life(r.end)}
			if _, err := s.script(ctx, "bury", r.handle, scripts.bury, s.layout.keysOf(r.handle), args); err != nil {
				mu.Lock()
				defer mu.Unlock()
				left = append(left, r)
			}
		})
	}
	wait.Wait()
	if len(left) == 0 && len(todo) > 0 {
		s.log.Info("revocations were written again after a connection was lost", zap.Int("sessions", len(todo)))
	}
	return left
}

// learn is told when a read meets a tombstone. back says that the session was
// there nevertheless: a failover or a restored backup brought it back.
func (s *Store) learn(key session.Key, at time.Time, back bool) {
	h := handleOf(key)
	if s.near != nil {
		// From when the push came, it was denied; the request that shows it may
		// have come much later.
		if pushed, ok := s.near.droppedAt(h); ok {
			s.revoked(max(0, pushed.Sub(at)))
		}
	}
	if !back {
		return
	}
	s.log.Warn("a revoked session came back, and was ended again", zap.Stringer("session", key))
	go func() {
		// An error leaves the tombstone, which refuses the session as well.
		ms, err := s.script(context.Background(), "bury", h, scripts.remove, s.layout.keysOf(h), []string{h.member(), millis(at)})
		if err == nil && ms > 0 {
			s.revocations.addOnce(revocation{handle: h, at: at, end: time.Now().Add(time.Duration(ms) * time.Millisecond)})
		}
	}()
}

const (
	// opWait is the operation that waits for a replica.
	opWait = "wait"
	// awaitReplica bounds the wait for a replica to have a revocation.
	awaitReplica = 100 * time.Millisecond
	// maxWaiters is how many wait at once, each on a connection of its own
	// that is kept.
	maxWaiters = 16
)

// await gives a revocation the chance to reach a replica before it is reported
// as done: best effort, and only where there are replicas. What WAIT waits for
// is what its own connection wrote; the order of replication covers the rest.
func (s *Store) await(ctx context.Context, r revocation) {
	if !s.replicated.Load() {
		return
	}
	patience := time.NewTimer(awaitReplica)
	defer patience.Stop()
	select {
	case s.waiters <- struct{}{}:
		defer func() { <-s.waiters }()
	case <-patience.C: // a replica that keeps so many waiting does not follow
		return
	case <-ctx.Done():
		return
	}
	_, _ = call(ctx, s, opWait, r.handle, func(ctx context.Context, c valkey.Client) (n int64, err error) {
		err = c.Dedicated(func(d valkey.DedicatedClient) error {
			answers := d.DoMulti(ctx,
				d.B().Set().Key(s.layout.tombstone(r.handle)).Value(millis(r.at)).Xx().Keepttl().Build(),
				d.B().Wait().Numreplicas(1).Timeout(min(awaitReplica, s.cfg.Timeout/2).Milliseconds()).Build())
			n, err = answers[1].AsInt64()
			return err
		})
		return n, err
	})
}
