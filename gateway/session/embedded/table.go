package embedded

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/sallyport/sallyport/gateway/session"
)

// table finds entries by key. Readers take no lock: a slot is only ever filled,
// or emptied by tombstone, and growth publishes a new set of slots. Writers
// hold the lock of the shard. Keys are hashes already, so a part of the key is
// the place; against a map with its lock this halves a parallel look-up and
// saves a copy of every key.
type table struct {
	slots atomic.Pointer[[]slot]
	live  int // entries
	used  int // entries and tombstones
}

type slot = atomic.Pointer[entry]

// tombstone marks a slot whose entry is gone, so that a search goes on past it.
//
//nolint:gochecknoglobals // only its address is used
var tombstone = new(entry)

const minSlots = 8

func (t *table) get(key session.Key) *entry {
	slots := t.slots.Load()
	if slots == nil {
		return nil
	}
	for i := place(&key, *slots); ; i = next(i, *slots) {
		e := (*slots)[i].Load()
		if e == nil {
			return nil
		}
		if e != tombstone && e.key == key {
			return e
		}
	}
}

// insert adds an entry whose key is not in the table.
func (t *table) insert(e *entry) {
	slots := t.slots.Load()
	// Three quarters full at most: a search ends at an empty slot.
	if slots == nil || (t.used+1)*4 > len(*slots)*3 {
		t.rebuild(t.live + 1)
		slots = t.slots.Load()
	}
	t.put(*slots, e)
	t.live++
}

func (t *table) put(slots []slot, e *entry) {
	for i := place(&e.key, slots); ; i = next(i, slots) {
		if slots[i].Load() == nil {
			slots[i].Store(e)
			t.used++
			return
		}
	}
}

// remove takes e out, if it is there.
func (t *table) remove(e *entry) {
	slots := t.slots.Load()
	if slots == nil {
		return
	}
	for i := place(&e.key, *slots); ; i = next(i, *slots) {
		switch (*slots)[i].Load() {
		case nil:
			return
		case e:
			(*slots)[i].Store(tombstone)
			t.live--
			if len(*slots) > minSlots && t.live*8 < len(*slots) {
				t.rebuild(t.live)
			}
			return
		}
	}
}

// rebuild publishes fresh slots with room for n entries and some more. A reader
// of the old ones misses only what comes after it began.
func (t *table) rebuild(n int) {
	size := minSlots
	for size*5 < n*8 {
		size *= 2
	}
	fresh := make([]slot, size)
	t.used = 0
	for e := range t.all() {
		t.put(fresh, e)
	}
	t.slots.Store(&fresh)
}

// all ranges over the entries, in no order.
func (t *table) all() func(yield func(*entry) bool) {
	return func(yield func(*entry) bool) {
		slots := t.slots.Load()
		if slots == nil {
			return
		}
		for i := range *slots {
			if e := (*slots)[i].Load(); e != nil && e != tombstone && !yield(e) {
				return
			}
		}
	}
}

// place is where the search for key begins. The first byte chose the shard.
func place(key *session.Key, slots []slot) int {
	return int(binary.LittleEndian.Uint32(key[1:5])) & (len(slots) - 1)
}

func next(i int, slots []slot) int { return (i + 1) & (len(slots) - 1) }
