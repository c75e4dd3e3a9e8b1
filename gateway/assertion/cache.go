package assertion

import (
	"sync"
	"time"

	"github.com/sallyport/sallyport/gateway/identity"
)

const (
	shardCount = 32
	// shardEntries bounds a generation of a shard: 16,384 assertions in all, with
	// what they are about at most 32 MiB. Beyond that more is signed, no more.
	shardEntries = 256
)

// key is what an assertion is made for.
type key struct {
	ref      identity.Ref
	audience string
}

// minted is an assertion, and until when it is given again.
type minted struct {
	token string
	until time.Time
	kid   string
	// generation is that of the published keys when kid was last seen among them.
	generation uint64
}

// proven reports whether verifiers still find the key. The caller holds the lock of
// the shard.
func (m *minted) proven(r *Ring) bool {
	now := r.Generation()
	if m.generation == now {
		return true
	}
	if !r.publishes(m.kid) {
		return false
	}
	m.generation = now
	return true
}

// cache keeps assertions in two generations: when the younger one is full, the
// older one goes, whole. An entry that is asked for is carried over.
type cache struct{ shards [shardCount]shard }

type shard struct {
	mu         sync.Mutex
	young, old map[key]*entry
}

// entry is one assertion, made or in the making.
type entry struct {
	about *identity.Identity
	made  chan struct{} // closed when the rest is set
	minted
	err error
}

func newCache() *cache {
	c := new(cache)
	for i := range c.shards {
		c.shards[i].young = make(map[key]*entry)
	}
	return c
}

// get returns the assertion for k, or has m make it: once, however many ask.
func (c *cache) get(k key, id *identity.Identity, now time.Time, m *Minter) (string, error) {
	s := &c.shards[k.ref[0]%shardCount]
	s.mu.Lock()
	e := s.find(k)
	if e != nil && sameClaims(e.about, id) {
		select {
		case <-e.made:
			if e.err == nil && now.Before(e.until) && e.proven(m.ring) {
				s.mu.Unlock()
				return e.token, nil
			}
		default:
			s.mu.Unlock()
			<-e.made // as long as one signature takes
			return e.token, e.err
		}
	}
	e = &entry{about: id, made: make(chan struct{})}
	s.put(k, e)
	s.mu.Unlock()

	defer close(e.made) // also if signing panics: nobody must wait for ever
	e.err = ErrNoRing
	e.minted, e.err = m.make(id, k.audience, now)
	return e.token, e.err
}

func (s *shard) find(k key) *entry {
	if e := s.young[k]; e != nil {
		return e
	}
	e := s.old[k]
	if e != nil {
		s.put(k, e)
	}
	return e
}

func (s *shard) put(k key, e *entry) {
	if _, ok := s.young[k]; !ok && len(s.young) >= shardEntries {
		s.old, s.young = s.young, make(map[key]*entry, shardEntries)
	}
	s.young[k] = e
}
