package embedded

import (
	"time"

	bolt "go.etcd.io/bbolt"
)

// visitEvery is how often a session in use is looked at, to give back the
// decoded form of one that nobody uses any more.
const visitEvery = 5 * time.Minute

// nextVisit is when the sweeper has to look at e again. The caller holds the
// shard's lock.
func nextVisit(e *entry, now time.Time) int64 {
	return min(e.leaves(), now.Add(visitEvery).UnixNano())
}

// sweep removes what has ended, until the store is closed.
func (s *Store) sweep() {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-s.stop:
			return
		case now := <-ticker.C:
			s.sweepSessions(now)
			s.sweepRecords(now)
			s.sweepFeeds(now)
			if s.file != nil && s.file.owing.Load() {
				s.file.enqueue(&op{write: func(*bolt.Tx) error { return nil }})
			}
		}
	}
}

func (s *Store) sweepSessions(now time.Time) {
	for _, e := range s.ending.due(now) {
		sh := s.shard(e.key)
		sh.mu.Lock()
		switch {
		case e.gone.Load():
		case e.leaves() <= now.UnixNano():
			// Not owed: should the file fail, opening it sees the end as well.
			s.remove(sh, e, &op{})
		default:
			if e.seen.Load() < now.Add(-visitEvery).UnixNano() {
				e.decoded.Store(nil)
			}
			s.ending.add(e, nextVisit(e, now))
		}
		sh.mu.Unlock()
	}
}

func (s *Store) sweepRecords(now time.Time) {
	for _, id := range s.endingRecords.due(now) {
		sh := s.recordShard(id)
		sh.mu.Lock()
		// It may have been given a later end, and then has another place in the wheel.
		if r, ok := sh.records[id]; ok && recordExpired(r, now) {
			s.dropRecord(sh, id, &op{})
		}
		sh.mu.Unlock()
	}
}
