package valkeystore

import (
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
)

// near holds the sessions that valkey-go's client-side caching vouches for,
// decoded. It fills, invalidates and drops them through the CacheStore of each
// connection (link.go); nothing else puts anything in. That a session is
// answered from here, and not by DoCache, spares the building of a command.
//
// An entry counts only while its connection is known to have been whole no
// longer than maxStaleness ago: a connection that was cut without a close can't
// tell that a session was revoked.
type near struct {
	layout       layout
	maxStaleness time.Duration
	perShard     int64 // bytes
	began        time.Time
	shards       [nearShards]nearShard
	links        links

	invalidations, flushes, evictions atomic.Uint64
}

const nearShards = 256

type nearShard struct {
	mu      sync.RWMutex
	entries map[uint64]*entry
	ring    []*entry // all of them, for the clock that evicts
	hand    int
	bytes   int64
	flights map[session.Key]*flight
	dropped map[handle]time.Time // sessions that a push took away, and when

	hits, misses atomic.Uint64
	_            [64]byte // neighbours must not share a cache line
}

// entry is one cached answer. There may be a million, so every field is weighed.
type entry struct {
	link    *link
	session atomic.Pointer[session.Session] // nil until vouched for, and when absent
	told    *told                           // what Valkey said, until the session is decoded; guarded by the shard
	until   int64                           // on the near's clock: it must be read again then
	size    int32
	place   int32 // in the ring
	used    atomic.Bool
	absent  bool // there is no such session
}

// told is the answer to a GET.
type told struct {
	handle handle
	value  string
}

// Sizes for the budget, a little above what a heap profile shows.
const (
	entrySize   = 80 // entry, its place in map and ring
	absentSize  = entrySize + 48
	decodedSize = entrySize + 480 // session and identity; record and lists come on top
)

func newNear(l layout, maxBytes int64, maxStaleness time.Duration) *near {
	n := &near{layout: l, maxStaleness: maxStaleness, perShard: maxBytes / nearShards, began: time.Now()}
	for i := range n.shards {
		n.shards[i].entries = make(map[uint64]*entry)
		n.shards[i].flights = make(map[session.Key]*flight)
		n.shards[i].dropped = make(map[handle]time.Time)
	}
	return n
}

// clock is the time since the start, which no change of the wall clock moves.
func (n *near) clock() int64 { return int64(time.Since(n.began)) }

func (n *near) shard(h handle) *nearShard { return &n.shards[h[8]] }

func (h handle) hash() uint64 { return binary.LittleEndian.Uint64(h[:8]) }

// handle returns whose answer e is. The caller holds the shard's lock.
func (e *entry) handle() handle {
	if s := e.session.Load(); s != nil {
		return handleOf(s.Key())
	}
	return e.told.handle
}

// outcome of a look into the cache.
type outcome uint8

const (
	missed outcome = iota
	found
	foundAbsent
)

// get returns the session under key if it can be vouched for now, and the link
// that does when that should be asked for a sign of life soon.
func (n *near) get(key session.Key) (s *session.Session, stale *link, answer outcome) {
	h := handleOf(key)
	sh := n.shard(h)
	sh.mu.RLock()
	e := sh.entries[h.hash()]
	if e == nil {
		sh.mu.RUnlock()
		return nil, nil, missed
	}
	s, absent := e.session.Load(), e.absent
	mine := s != nil && s.Key() == key || absent && e.told.handle == h
	sh.mu.RUnlock()

	now := n.clock()
	age := now - e.link.proven.Load()
	switch {
	case !mine || e.link.closed.Load() || age > int64(n.maxStaleness) || now >= e.until:
		return nil, nil, missed
	case absent:
		answer = foundAbsent
	default:
		answer = found
	}
	if !e.used.Load() {
		e.used.Store(true)
	}
	sh.hits.Add(1)
	if age > int64(n.maxStaleness)/proofs {
		stale = e.link
	}
	return s, stale, answer
}

// recheck is how long an entry counts however sure it seems: should a push ever
// get lost for a reason that nobody has thought of, this is what it costs.
const recheck = time.Minute

// proofs is how many signs of life a connection owes within maxStaleness.
const proofs = 4

// load keeps what Valkey told on a link. The session counts once it is decoded
// and vouched for. It runs on the link's reader, in the order of the connection.
func (n *near) load(l *link, h handle, value string, absent bool) {
	sh := n.shard(h)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	old := sh.entries[h.hash()]
	if old != nil && old.link == l && old.handle() == h && (old.session.Load() != nil || old.absent) && old.absent == absent {
		return // a sign of life: had it changed, the entry would be gone
	}
	if old != nil {
		sh.remove(old)
	}
	e := &entry{link: l, told: &told{handle: h, value: value}, absent: absent, until: n.clock() + int64(recheck)}
	e.size = int32(entrySize + len(value))
	if absent {
		e.size = absentSize
	}
	sh.insert(h, e)
	n.evict(sh, e)
}

// vouch makes the entry that holds this value answer with s, whose record takes
// size bytes.
func (n *near) vouch(h handle, value string, s *session.Session, record int) {
	sh := n.shard(h)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e := sh.entries[h.hash()]
	if e == nil || e.absent || e.session.Load() != nil || e.told.handle != h || e.told.value != value {
		return // invalidated or evicted meanwhile
	}
	e.until = min(e.until, n.clock()+int64(time.Until(s.ExpiresAt())))
	e.session.Store(s)
	e.told = nil
	size := int32(decodedSize + record + 16*(len(s.Identity.Groups)+len(s.Identity.AMR)))
	sh.bytes += int64(size - e.size)
	e.size = size
	n.evict(sh, e)
}

// forget drops what is known of a session, and makes reads that began before
// now answer only those who asked before now.
func (n *near) forget(key session.Key) {
	h := handleOf(key)
	sh := n.shard(h)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if e := sh.entries[h.hash()]; e != nil && e.handle() == h {
		sh.remove(e)
	}
	delete(sh.flights, key)
}

// maxDropped bounds, for each shard, for how many sessions it is remembered when
// a push took them away.
const maxDropped = 64

// drop removes the entry of a session if it came over this link.
func (n *near) drop(l *link, h handle) {
	sh := n.shard(h)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e := sh.entries[h.hash()]
	if e == nil || e.link != l || e.handle() != h {
		return
	}
	if e.session.Load() != nil {
		if len(sh.dropped) >= maxDropped {
			clear(sh.dropped)
		}
		sh.dropped[h] = time.Now()
	}
	sh.remove(e)
}

// droppedAt returns when a push took a session away that was answered from here
// until then. It tells once.
func (n *near) droppedAt(h handle) (at time.Time, ok bool) {
	sh := n.shard(h)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	at, ok = sh.dropped[h]
	delete(sh.dropped, h)
	return at, ok
}

// dropLink removes everything that came over a link.
func (n *near) dropLink(l *link) {
	n.flushes.Add(1)
	for i := range n.shards {
		sh := &n.shards[i]
		sh.mu.Lock()
		for _, e := range slices.Backward(sh.ring) { // what takes a removed one's place was looked at
			if e.link == l {
				sh.remove(e)
			}
		}
		sh.mu.Unlock()
	}
}

func (sh *nearShard) insert(h handle, e *entry) {
	e.place = int32(len(sh.ring))
	sh.ring = append(sh.ring, e)
	sh.entries[h.hash()] = e
	sh.bytes += int64(e.size)
}

// remove takes e out. The last of the ring takes its place.
func (sh *nearShard) remove(e *entry) {
	delete(sh.entries, e.handle().hash())
	last := len(sh.ring) - 1
	sh.ring[e.place] = sh.ring[last]
	sh.ring[e.place].place = e.place
	sh.ring[last] = nil
	sh.ring = sh.ring[:last]
	sh.bytes -= int64(e.size)
}

// evict makes room: what was not used since the hand last passed goes first.
// keep stays for now, so that a session larger than a shard's share is answered
// at least until the next one comes.
func (n *near) evict(sh *nearShard, keep *entry) {
	for sh.bytes > n.perShard && len(sh.ring) > 1 {
		if sh.hand >= len(sh.ring) {
			sh.hand = 0
		}
		e := sh.ring[sh.hand]
		if e == keep || e.used.Swap(false) {
			sh.hand++
			continue
		}
		sh.remove(e)
		n.evictions.Add(1)
	}
}

// count sums up the shards.
func (n *near) count() (entries, bytes int64, hits, misses uint64) {
	for i := range n.shards {
		sh := &n.shards[i]
		sh.mu.RLock()
		entries += int64(len(sh.ring))
		bytes += sh.bytes
		sh.mu.RUnlock()
		hits += sh.hits.Load()
		misses += sh.misses.Load()
	}
	return entries, bytes, hits, misses
}
