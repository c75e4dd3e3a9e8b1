// Package slots bounds how much goes on at once, by a limit that can change while
// it does.
package slots

import "sync"

// Slots are as many as their limit. It is safe for concurrent use.
type Slots struct {
	mu      sync.Mutex
	limit   int // 0 = none
	taken   int
	waiting []chan struct{} // each is closed when its slot is free
}

// New makes slots. A limit of 0 is none.
func New(limit int) *Slots { return &Slots{limit: limit} }

// SetLimit changes the limit. Who has a slot keeps it.
func (s *Slots) SetLimit(limit int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = limit
	s.offer()
}

// Take takes a slot. Where none is free it calls full and waits for one, until
// ended is closed: it reports false then. full may be nil.
func (s *Slots) Take(ended <-chan struct{}, full func()) bool {
	s.mu.Lock()
	if s.free() && len(s.waiting) == 0 {
		s.taken++
		s.mu.Unlock()
		return true
	}
	turn := make(chan struct{})
	s.waiting = append(s.waiting, turn)
	s.mu.Unlock()
	if full != nil {
		full()
	}
	select {
	case <-turn:
		return true
	case <-ended:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, one := range s.waiting {
		if one == turn {
			s.waiting = append(s.waiting[:i], s.waiting[i+1:]...)
			return false
		}
	}
	s.taken-- // it was free at the same moment
	s.offer()
	return false
}

// Leave gives a slot back.
func (s *Slots) Leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	s.offer()
}

func (s *Slots) free() bool { return s.limit <= 0 || s.taken < s.limit }

func (s *Slots) offer() {
	for len(s.waiting) > 0 && s.free() {
		s.taken++
		close(s.waiting[0])
		s.waiting = s.waiting[1:]
	}
}
