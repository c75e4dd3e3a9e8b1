package login

import "time"

// maxTallies bounds what is remembered: about 2 MB.
const maxTallies = 1 << 14

// tallies count, by key, what happened within a sliding window: all of the
// window that runs, and of the one before as much as still counts. At the limit
// a key is closed for a whole window. A limit of 0 counts nothing. The owner
// locks.
type tallies struct {
	limit  int
	window time.Duration
	all    map[uint64]*tally
}

type tally struct {
	begun         time.Time // of the window that runs
	count, before int       // in it, and in the one before
	closedUntil   time.Time
}

// slide brings the windows up to now.
func (t *tally) slide(now time.Time, window time.Duration) {
	switch age := now.Sub(t.begun); {
	case age < window:
	case age < 2*window:
		t.begun, t.before, t.count = t.begun.Add(window), t.count, 0
	default:
		t.begun, t.before, t.count = now, 0, 0
	}
}

// weight is how much counts now.
func (t *tally) weight(now time.Time, window time.Duration) int {
	left := window - now.Sub(t.begun)
	return t.count + int(float64(t.before)*float64(left)/float64(window))
}

// wait is how long the key is closed, or 0. A key with as many attempts under
// way as it may have wrong ones is closed for a moment.
func (s *tallies) wait(key uint64, now time.Time) time.Duration {
	t := s.all[key]
	if s.limit <= 0 || t == nil {
		return 0
	}
	if !t.closedUntil.IsZero() {
		if wait := t.closedUntil.Sub(now); wait > 0 {
			return wait
		}
		delete(s.all, key)
		return 0
	}
	t.slide(now, s.window)
	if t.weight(now, s.window) >= s.limit {
		return time.Second
	}
	return 0
}

func (s *tallies) add(key uint64, now time.Time) {
	if s.limit <= 0 {
		return
	}
	t := s.all[key]
	if t == nil {
		if len(s.all) >= maxTallies {
			s.forget(now)
		}
		t = &tally{begun: now}
		s.all[key] = t
	}
	t.slide(now, s.window)
	t.count++
}

func (s *tallies) takeBack(key uint64) {
	if t := s.all[key]; t != nil && t.count > 0 {
		t.count--
	}
}

// close shuts a key that is at its limit.
func (s *tallies) close(key uint64, now time.Time) {
	t := s.all[key]
	if s.limit <= 0 || t == nil || !t.closedUntil.IsZero() {
		return
	}
	t.slide(now, s.window)
	if t.weight(now, s.window) >= s.limit {
		t.closedUntil = now.Add(s.window)
	}
}

// forget makes room: of a handful, the one that matters least goes. So a flood
// of made-up names displaces itself, and not what was counted of a real one.
func (s *tallies) forget(now time.Time) {
	const handful = 16
	var least uint64
	lowest, seen := -1, 0
	for key, t := range s.all { // begins anywhere
		t.slide(now, s.window)
		weight := t.weight(now, s.window)
		if t.closedUntil.After(now) {
			weight += s.limit
		}
		if lowest < 0 || weight < lowest {
			least, lowest = key, weight
		}
		if seen++; seen == handful {
			break
		}
	}
	delete(s.all, least)
}
