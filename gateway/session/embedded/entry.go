package embedded

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
)

// entry is one session in memory: the record, and what must be known of it
// without decoding. There may be a million, so every field is weighed.
type entry struct {
	key     session.Key
	decoded atomic.Pointer[session.Session] // nil until asked for, and again when unused for a while
	record  string                          // guarded by the shard's lock

	expires atomic.Int64 // unix nanoseconds, as all times here
	seen    atomic.Int64
	created int64
	idle    int64 // nanoseconds; guarded by the shard's lock

	subject  link
	provider link

	gone  atomic.Bool // no longer in the table: nothing may bring it back
	dirty atomic.Bool // seen waits to be written
}

func (e *entry) expired(now time.Time) bool { return e.expires.Load() <= now.UnixNano() }

// idleGrace is how much later than IdleTimeout an idle session is dropped. The
// session manager knows of uses up to a minute before it writes them.
const idleGrace = time.Minute

// leaves is when the session ends without further use. The caller holds the
// shard's lock.
func (e *entry) leaves() int64 {
	end := e.expires.Load()
	if e.idle > 0 {
		end = min(end, e.seen.Load()+e.idle+int64(idleGrace))
	}
	return end
}

// raise sets a to v unless it is already later, and tells whether it did.
func raise(a *atomic.Int64, v int64) bool {
	for {
		old := a.Load()
		if v <= old {
			return false
		}
		if a.CompareAndSwap(old, v) {
			return true
		}
	}
}

// link chains the entries that share a hash.
type link struct {
	hash       uint64 // 0: in no chain
	prev, next *entry
}

// index finds the entries with a hash: one small map, and chains through the
// entries themselves. It takes its lock after a shard's, never before.
type index struct {
	mu    sync.Mutex
	heads map[uint64]*entry
	link  func(*entry) *link
}

func newIndex(link func(*entry) *link) *index {
	return &index{heads: make(map[uint64]*entry), link: link}
}

// move puts e under hash, out of where it was. Hash 0 takes it out.
func (x *index) move(e *entry, hash uint64) {
	l := x.link(e)
	if l.hash == hash {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if l.hash != 0 {
		x.unlink(l)
	}
	l.hash = hash
	if hash == 0 {
		return
	}
	if head := x.heads[hash]; head != nil {
		l.next = head
		x.link(head).prev = e
	}
	x.heads[hash] = e
}

func (x *index) unlink(l *link) {
	switch {
	case l.prev != nil:
		x.link(l.prev).next = l.next
	case l.next != nil:
		x.heads[l.hash] = l.next
	default:
		delete(x.heads, l.hash)
	}
	if l.next != nil {
		x.link(l.next).prev = l.prev
	}
	l.prev, l.next = nil, nil
}

// find returns the entries under hash.
func (x *index) find(hash uint64) []*entry {
	x.mu.Lock()
	defer x.mu.Unlock()
	var found []*entry
	for e := x.heads[hash]; e != nil; e = x.link(e).next {
		found = append(found, e)
	}
	return found
}

// hashPair is part of the file format. The length keeps ("a", "bc") and
// ("ab", "c") apart. An empty second part has no hash.
func hashPair(issuer, name string) uint64 {
	if name == "" {
		return 0
	}
	buf := make([]byte, 0, 128)
	buf = binary.AppendUvarint(buf, uint64(len(issuer)))
	buf = append(append(buf, issuer...), name...)
	sum := sha256.Sum256(buf)
	return binary.BigEndian.Uint64(sum[:8]) | 1 // never the 0 of "none"
}
