package valkeystore

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valkey-io/valkey-go"
)

// link is the cache of one connection as valkey-go drives it: its CacheStore.
// Flight announces a read, Update and Cancel bring its answer, Delete passes an
// invalidation on, and Close tells that the connection is gone. Update, Delete
// and the Cancel of an answer come from the connection's reader, in the order in
// which Valkey sent them; everything rests on that order.
type link struct {
	near   *near
	onLost func() // the connection broke

	// proven is the newest time, on the near's clock, at which the connection is
	// known to have been whole: when a read was sent that was answered since.
	proven atomic.Int64
	asked  atomic.Int64 // when a sign of life was last asked for
	closed atomic.Bool

	mu      sync.Mutex
	pending map[string][]sent // reads under way by key, in the order of sending
}

type sent struct {
	at       int64
	deserted bool // nobody waits for it any more; its answer comes nevertheless
}

var _ valkey.CacheStore = (*link)(nil)

// Flight implements valkey.CacheStore. Hits are answered before valkey-go is
// asked, so what comes here is always sent.
func (l *link) Flight(key, _ string, _ time.Duration, _ time.Time) (valkey.ValkeyMessage, valkey.CacheEntry) {
	now := l.near.clock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pending == nil {
		l.pending = make(map[string][]sent)
	}
	// A read that was cancelled before it was sent has no answer, and stays. The
	// answers to later ones then count for the read before: older, which is safe.
	l.pending[key] = append(l.pending[key], sent{at: now})
	return valkey.ValkeyMessage{}, nil
}

// Update implements valkey.CacheStore.
func (l *link) Update(key, _ string, val valkey.ValkeyMessage) (pxat int64) {
	read, ok := l.answered(key)
	if !ok || read.deserted {
		// Nobody asked on this link (an answer to ASK is not tracked), or who
		// asked has left and can't vouch for it.
		return 0
	}
	h, err := l.near.layout.parse(key)
	if err != nil {
		return 0
	}
	value, err := val.ToString()
	switch {
	case valkey.IsValkeyNil(err):
		l.near.load(l, h, "", true)
	case err == nil:
		l.near.load(l, h, value, false)
	}
	return 0
}

// answered takes the oldest read of key off the list, and its time as a sign of
// life.
func (l *link) answered(key string) (read sent, ok bool) {
	l.mu.Lock()
	reads := l.pending[key]
	if len(reads) == 0 {
		l.mu.Unlock()
		return sent{}, false
	}
	read = reads[0]
	if len(reads) == 1 {
		delete(l.pending, key)
	} else {
		l.pending[key] = reads[1:]
	}
	l.mu.Unlock()
	for {
		old := l.proven.Load()
		if read.at <= old || l.proven.CompareAndSwap(old, read.at) {
			return read, true
		}
	}
}

// Cancel implements valkey.CacheStore.
func (l *link) Cancel(key, _ string, err error) {
	if _, said := valkey.IsValkeyErr(err); said {
		l.answered(key) // with an error, but answered
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.pending[key] {
		l.pending[key][i].deserted = true
	}
}

// Delete implements valkey.CacheStore.
func (l *link) Delete(keys []valkey.ValkeyMessage) {
	if keys == nil {
		l.near.dropLink(l)
		return
	}
	l.near.invalidations.Add(uint64(len(keys)))
	for i := range keys {
		name, err := keys[i].ToString()
		if err != nil {
			continue
		}
		if h, err := l.near.layout.parse(name); err == nil {
			l.near.drop(l, h)
		}
	}
}

// Close implements valkey.CacheStore.
func (l *link) Close(error) {
	if l.closed.Swap(true) {
		return
	}
	l.near.links.remove(l)
	l.near.dropLink(l)
	l.onLost()
}

// links are those of all open connections.
type links struct {
	mu   sync.Mutex
	open map[*link]struct{}
}

func (s *links) add(l *link) *link {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = make(map[*link]struct{})
	}
	s.open[l] = struct{}{}
	return l
}

func (s *links) remove(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, l)
}

func (s *links) all() []*link {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.open))
}
