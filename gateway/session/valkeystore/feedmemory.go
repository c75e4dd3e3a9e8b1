package valkeystore

import (
	"cmp"
	"slices"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
)

// memory is what a follower knows of its feed, to tell what a server lacks that
// it should have, and what it has that no longer counts. It belongs to one
// goroutine.
type memory struct {
	live    map[string]*known   // by name; what has expired is dropped late
	lacking map[string]struct{} // names of live ones that the server has lost
	garbage []garbage           // in the order of time
}

// known is the entry that counts for its name.
type known struct {
	item
	learned time.Time
	older   []streamID // of those that it replaced, oldest first
}

// garbage is an entry in the stream that no longer counts.
type garbage struct {
	id    streamID
	since time.Time
}

// maxOlder bounds for each name the entries that are remembered as replaced. A
// failover brings back the last ones, if any.
const maxOlder = 16

func newMemory() memory {
	return memory{live: make(map[string]*known), lacking: make(map[string]struct{})}
}

// whole takes everything that a server has, in the order of the stream, and
// returns what is new: for each name the last entry, unless it has expired.
//
// A server that was a replica may lack the last entries, and have the one before
// of a name instead. That one must not take the place of its successor: an entry
// that was replaced before is known by its id, and every other one is newer than
// what is known, even if its id is lower, as where a new primary's clock is slow.
func (m *memory) whole(items []item, now time.Time) (fresh []session.FeedEntry) {
	last := make(map[string]int, len(items))
	there := make(map[streamID]bool, len(items))
	for i := range items {
		last[items[i].Name] = i
		there[items[i].id] = true
	}
	clear(m.lacking)
	for name := range m.live {
		if _, ok := last[name]; !ok {
			m.lacking[name] = struct{}{}
		}
	}
	since := make(map[streamID]time.Time, len(m.garbage))
	for _, g := range m.garbage {
		since[g.id] = g.since
	}
	m.garbage = nil
	replaced := make(map[string][]streamID)
	for i := range items {
		it := &items[i]
		if last[it.Name] != i {
			replaced[it.Name] = append(replaced[it.Name], it.id)
			m.discard(it.id, now)
			continue
		}
		k := m.live[it.Name]
		switch {
		case k == nil || k.id != it.id && !slices.Contains(k.older, it.id):
			if m.learn(*it, now) {
				fresh = append(fresh, it.FeedEntry)
			}
		case k.id != it.id:
			m.lacking[it.Name] = struct{}{}
		}
	}
	for name, ids := range replaced {
		if k := m.live[name]; k != nil {
			k.replaced(ids...)
		}
	}
	m.garbage = slices.DeleteFunc(m.garbage, func(g garbage) bool { return !there[g.id] })
	for i, g := range m.garbage {
		if at, ok := since[g.id]; ok {
			m.garbage[i].since = at
		}
	}
	slices.SortStableFunc(m.garbage, func(a, b garbage) int { return a.since.Compare(b.since) })
	return fresh
}

// learn takes an entry that is newer than what is known, and reports whether it
// counts: one that has expired only ends what it replaces.
func (m *memory) learn(it item, now time.Time) bool {
	k := m.live[it.Name]
	delete(m.lacking, it.Name)
	if k != nil {
		m.discard(k.id, now)
	}
	if it.Expired(now) {
		m.discard(it.id, now)
		delete(m.live, it.Name)
		return false
	}
	if k == nil {
		k = &known{}
		m.live[it.Name] = k
	}
	was := k.id
	k.item, k.learned = it, now
	if was != (streamID{}) {
		k.replaced(was)
	}
	return true
}

// replaced remembers entries that k takes the place of.
func (k *known) replaced(ids ...streamID) {
	for _, id := range ids {
		if id != k.id && !slices.Contains(k.older, id) {
			k.older = append(k.older, id)
		}
	}
	k.older = slices.Delete(k.older, 0, max(0, len(k.older)-maxOlder))
}

// discard notes that an entry of the stream no longer counts. Of two with the
// same name the one that was replaced comes first: should the other be deleted
// before it, it would count again.
func (m *memory) discard(id streamID, now time.Time) { m.garbage = append(m.garbage, garbage{id, now}) }

// expire forgets what ended a while before now. By then the clocks of others
// say so as well.
func (m *memory) expire(now time.Time, a time.Duration) {
	for name, k := range m.live {
		if k.Expired(now.Add(-a)) && now.Sub(k.learned) > a {
			m.discard(k.id, now)
			delete(m.live, name)
			delete(m.lacking, name)
		}
	}
}

// due returns the ids of garbage that is older than a, oldest first, n at most.
func (m *memory) due(now time.Time, a time.Duration, n int) (ids []string) {
	for _, g := range m.garbage {
		if len(ids) == n || now.Sub(g.since) <= a {
			break
		}
		ids = append(ids, g.id.String())
	}
	return ids
}

// removed forgets the n oldest pieces of garbage, which are deleted.
func (m *memory) removed(n int) { m.garbage = slices.Delete(m.garbage, 0, n) }

// missing returns some live entries that the server lacks, n at most. Which ones
// is left to chance, so that of several gateways each brings others back.
func (m *memory) missing(now time.Time, n int) (entries []session.FeedEntry) {
	for name := range m.lacking {
		if len(entries) == n {
			break
		}
		k := m.live[name]
		if k == nil || k.Expired(now) {
			delete(m.lacking, name)
			continue
		}
		entries = append(entries, k.FeedEntry)
	}
	slices.SortFunc(entries, func(a, b session.FeedEntry) int { return cmp.Compare(a.Name, b.Name) })
	return entries
}
