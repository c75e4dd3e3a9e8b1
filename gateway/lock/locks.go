package lock

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/session"
)

// Options are what Locks need.
type Options struct {
	Feeds session.Feeds
	// MaxStaleness is how long the locks are believed to be all without a word from
	// the store; 0 for a store that this process has to itself.
	MaxStaleness time.Duration
	Log          *zap.Logger // nil logs nothing
}

// feedName is the feed in which locks are kept.
const feedName = "locks"

// keptAfter is how long a lock is remembered that matches nothing any more. A
// gateway that has not heard of the lifting must not be able to bring it back.
const keptAfter = 7 * 24 * time.Hour

// ErrUnknown says that no lock has that id.
var ErrUnknown = errors.New("lock: no such lock")

// ErrTooMany says that there are as many locks as there may be.
var ErrTooMany = fmt.Errorf("lock: there are %d locks, and no room for another", MaxLocks)

// Locks knows every lock. It is safe for concurrent use; a nil Locks has none.
type Locks struct {
	feeds     session.Feeds
	freshness *session.Freshness
	log       *zap.Logger

	live   atomic.Pointer[index]
	bounds bool // the store can be out of sight

	mu    sync.Mutex
	byID  map[string]*Lock // never changed once they are in
	whole bool             // there was a first whole reading
	next  time.Time        // when one of those that are active runs out; zero: none does
}

// New makes the list. Until the feed was read as a whole nothing is known: see Run
// and ReadNow.
func New(o Options) *Locks {
	l := &Locks{
		feeds: o.Feeds, freshness: session.NewFreshness(o.MaxStaleness), log: o.Log,
		bounds: o.MaxStaleness > 0, byID: map[string]*Lock{},
	}
	if l.log == nil {
		l.log = zap.NewNop()
	}
	l.live.Store(newIndex(nil, false))
	return l
}

// Run follows the feed until ctx ends. It is called once.
func (l *Locks) Run(ctx context.Context) {
	l.feeds.Follow(ctx, feedName, l.apply, l.confirm)
}

// ReadNow reads the feed as a whole, before Run, where that takes no waiting: from
// a store in this process.
func (l *Locks) ReadNow(ctx context.Context) {
	ctx, done := context.WithCancel(ctx)
	defer done()
	l.feeds.Follow(ctx, feedName, l.apply, func(at time.Time) { l.confirm(at); done() })
}

func (l *Locks) confirm(at time.Time) {
	l.mu.Lock()
	if !l.whole || !l.next.IsZero() && !at.Before(l.next) {
		l.whole = true
		l.sort(at)
	}
	l.mu.Unlock()
	l.freshness.Confirm(at) // wakes those who wait, and so comes last
}

// Judge returns the lock that matches, or nil where none does. An error means that
// nobody can say so: the locks were not read yet, the store has not confirmed them for
// too long, or nothing of one can be read. A lock that is known counts whatever else
// is not.
func (l *Locks) Judge(ctx context.Context, q *Question) (*Lock, error) {
	if l == nil {
		return nil, nil //nolint:nilnil // no lock is the usual answer
	}
	x := l.live.Load()
	if x.none && x.whole && !l.bounds {
		return nil, nil //nolint:nilnil // likewise
	}
	now := time.Now()
	if found := l.find(q, now); found != nil {
		return found, nil
	}
	if later := l.freshness.Await(ctx, now); later.After(now) {
		now = later
		if found := l.find(q, now); found != nil {
			return found, nil
		}
	}
	if err := l.freshness.Judge(now); err != nil {
		return nil, fmt.Errorf("locks: %w", err)
	}
	return nil, l.Ready()
}

// Any reports whether there may be a lock.
func (l *Locks) Any() bool {
	if l == nil {
		return false
	}
	x := l.live.Load()
	return !x.none || !x.whole
}

// Now returns the lock that matches, as far as is known.
func (l *Locks) Now(q *Question) *Lock {
	if l == nil || l.live.Load().none {
		return nil
	}
	return l.find(q, time.Now())
}

// Holds reports whether a lock on somebody matches him wherever he comes from and
// goes to, as far as is known.
func (l *Locks) Holds(id *identity.Identity) bool { return l.Now(&Question{Identity: id}) != nil }

func (l *Locks) find(q *Question, now time.Time) *Lock {
	x := l.live.Load()
	if id := q.Identity; !x.none && id != nil && q.Own != "" && id.Issuer == q.Own {
		// A token that the gateway has signed is of the provider that has proven the
		// user, too.
		q.by, _ = id.Claim("idp").(string)
	}
	return x.find(q, now)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Set makes a lock, on every gateway. It returns when the store has it; from then
// on this gateway refuses what it matches. The lock was checked with Check.
func (l *Locks) Set(ctx context.Context, one Lock) (*Lock, error) {
	now := time.Now().UTC()
	one.ID, one.Created, one.Lifted = newID(), now.Truncate(time.Second), time.Time{}
	if err := one.Check(now); err != nil {
		return nil, err
	}
	l.mu.Lock()
	full := len(l.byID) >= MaxLocks
	l.mu.Unlock()
	if full {
		return nil, ErrTooMany
	}
	return &one, l.publish(ctx, &one, now)
}

// Lift ends a lock, on every gateway. One that matches nothing any more is returned
// as it is.
func (l *Locks) Lift(ctx context.Context, id string) (*Lock, error) {
	now := time.Now().UTC()
	l.freshness.Await(ctx, now)
	l.mu.Lock()
	found := l.byID[id]
	l.mu.Unlock()
	if found == nil {
		return nil, ErrUnknown
	}
	if found.StateAt(now) != Active {
		return found, nil
	}
	one := *found
	one.Lifted = now.Truncate(time.Second)
	return &one, l.publish(ctx, &one, now)
}

func (l *Locks) publish(ctx context.Context, one *Lock, now time.Time) error {
	e, err := one.entry(now)
	if err != nil {
		return err
	}
	if err := l.feeds.Publish(ctx, feedName, e); err != nil {
		return err
	}
	// Here it holds from now on, and not only when the store has pushed it.
	l.apply([]session.FeedEntry{e})
	return nil
}

// apply takes entries in. Whatever their order, a lock that was lifted once stays so.
func (l *Locks) apply(entries []session.FeedEntry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range entries {
		one := read(&entries[i])
		old := l.byID[one.ID]
		if old != nil && !old.Lifted.IsZero() {
			continue
		}
		l.byID[one.ID] = one
		if one.Partial && one.Lifted.IsZero() && (old == nil || !old.Partial) {
			l.warn(one)
		}
	}
	l.sort(time.Now())
}

// warn says what an operator has to know of a lock that is Partial.
func (l *Locks) warn(one *Lock) {
	const cause = "a newer release has written it, or it is damaged; upgrade this gateway, or lift the lock"
	if one.unreadable() {
		l.log.Error("a lock can't be read, so that nobody can be let in", zap.String("lock", one.ID), zap.String("cause", cause))
		return
	}
	l.log.Error("a lock can't be read as a whole, and is on more than was meant", zap.String("lock", one.ID), zap.String("on", one.String()), zap.String("cause", cause))
}

// ErrUnreadable says that nobody can say whom a lock is on.
var ErrUnreadable = errors.New("locks: one can't be read: a newer release has written it, or it is damaged")

// Ready returns an error that names the locks which can't be read.
func (l *Locks) Ready() error {
	if l == nil {
		return nil
	}
	now := time.Now()
	var ids []string
	for _, one := range l.live.Load().unreadable {
		if one.StateAt(now) == Active {
			ids = append(ids, one.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return fmt.Errorf("%w (%s)", ErrUnreadable, strings.Join(ids, ", "))
}

// sort forgets what is long over, and makes the index of the rest.
func (l *Locks) sort(now time.Time) {
	var active []*Lock
	l.next = time.Time{}
	for id, one := range l.byID {
		switch end := later(one.Over(now), one.Until); {
		case one.StateAt(now) != Active && now.Sub(end) >= keptAfter:
			delete(l.byID, id)
		case one.StateAt(now) == Active:
			active = append(active, one)
			if !one.Until.IsZero() && (l.next.IsZero() || one.Until.Before(l.next)) {
				l.next = one.Until
			}
		}
	}
	// The oldest counts where several match, at every gateway.
	slices.SortFunc(active, func(a, b *Lock) int { return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.ID, b.ID)) })
	l.live.Store(newIndex(active, l.whole))
}

// Over is when the lock ceased to match; zero where it has not by now.
func (l *Lock) Over(now time.Time) time.Time {
	switch l.StateAt(now) {
	case Lifted:
		return l.Lifted
	case Expired:
		return l.Until
	case Active:
	}
	return time.Time{}
}

// List returns every lock that is remembered, those that are active first, and of
// those the newest. An error means that nothing is known yet.
func (l *Locks) List(ctx context.Context) ([]Lock, error) {
	now := l.freshness.Await(ctx, time.Now())
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.whole {
		return nil, fmt.Errorf("locks: %w", l.freshness.Judge(now))
	}
	list := make([]Lock, 0, len(l.byID))
	for _, one := range l.byID {
		list = append(list, *one)
	}
	slices.SortFunc(list, func(a, b Lock) int {
		return cmp.Or(-compareActive(&a, &b, now), b.Created.Compare(a.Created), strings.Compare(a.ID, b.ID))
	})
	return list, nil
}

func compareActive(a, b *Lock, now time.Time) int {
	is := func(l *Lock) int {
		if l.StateAt(now) == Active {
			return 1
		}
		return 0
	}
	return cmp.Compare(is(a), is(b))
}

// Active counts the locks that are in force, by Kind.
func (l *Locks) Active() map[string]int {
	now := time.Now()
	counts := make(map[string]int, len(Kinds()))
	for _, kind := range Kinds() {
		counts[kind] = 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.byID {
		if one.StateAt(now) == Active {
			counts[one.Kind()]++
		}
	}
	return counts
}
