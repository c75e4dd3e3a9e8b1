package shield

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Applications choose the names of their cookies, some of them anew for every
// visitor: what is kept of a route is bounded.
const (
	maxNames = 64 // of cookies and header fields
	maxName  = 64 // bytes of one that are kept
)

// Tally counts the findings of one route, for one Watch after the other. Counting one
// that is known takes no lock and allocates nothing. The zero value has none, and it is
// safe for concurrent use.
type Tally struct {
	seen atomic.Pointer[sightings]
	mu   sync.Mutex // held to replace seen
}

// sightings never change; they are replaced.
type sightings struct {
	entries map[sighting]*entry
	names   map[string]struct{}
}

// sighting is what was found where: in a cookie or a header field of that name,
// or in the answer as a whole.
type sighting struct {
	finding Finding
	name    string
	others  bool // names beyond those that are kept
}

type entry struct {
	times atomic.Uint64
	first time.Time
	last  atomic.Int64 // Unix time in nanoseconds
}

// counter adds to a Tally, and to the metrics of the mode that a shield has.
type counter struct {
	*Tally
	increments [LeakedHeader + 1]func() func() // each is made when it is first found
}

func newCounter(t *Tally, count func(Finding) func()) *counter {
	c := &counter{Tally: t}
	for f := range c.increments {
		c.increments[f] = sync.OnceValue(func() func() { return count(Finding(f)) })
	}
	return c
}

// add counts a finding.
func (c *counter) add(f Finding, name string) {
	c.Tally.add(f, name)
	c.increments[f]()()
}

func (t *Tally) add(f Finding, name string) {
	now := time.Now()
	e := t.find(f, name)
	if e == nil {
		e = t.meet(f, name, now)
	}
	e.times.Add(1)
	e.last.Store(now.UnixNano())
}

func (t *Tally) find(f Finding, name string) *entry {
	s := t.sightings()
	return s.entries[s.key(f, name)]
}

func (t *Tally) sightings() *sightings {
	if s := t.seen.Load(); s != nil {
		return s
	}
	return &sightings{}
}

// key is what a finding is counted under.
func (s *sightings) key(f Finding, name string) sighting {
	name = name[:min(len(name), maxName)]
	if _, known := s.names[name]; !known && name != "" && len(s.names) >= maxNames {
		return sighting{finding: f, others: true}
	}
	return sighting{finding: f, name: name}
}

// meet is for what was not seen before.
func (t *Tally) meet(f Finding, name string, now time.Time) *entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.find(f, name); e != nil {
		return e
	}
	old := t.sightings()
	seen := &sightings{entries: maps.Clone(old.entries), names: maps.Clone(old.names)}
	if seen.entries == nil {
		seen.entries, seen.names = map[sighting]*entry{}, map[string]struct{}{}
	}
	key := seen.key(f, name)
	key.name = strings.Clone(key.name) // or a whole answer would be kept for it
	if key.name != "" {
		seen.names[key.name] = struct{}{}
	}
	e := &entry{first: now}
	seen.entries[key] = e
	t.seen.Store(seen)
	return e
}
