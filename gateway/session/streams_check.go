package session

import (
	"context"
	"errors"
	"time"

	"github.com/sallyport/sallyport/gateway/identity"
)

// check ends what has expired and has everything else looked at, unless it still
// is from an earlier turn. It reports whether streams are open.
func (s *Streams) check(ctx context.Context, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for st := range s.open {
		if why := s.outlived(st, now); why != 0 {
			s.finish(st, why)
		}
	}
	for _, w := range s.sessions {
		s.queue(w)
	}
	for w := range s.alone {
		s.queue(w)
	}
	for range min(len(s.due)-s.next, maxChecks-s.workers) {
		s.workers++
		s.running.Go(func() { s.work(ctx) })
	}
	return len(s.open) > 0
}

// outlived says why a stream is over at now, as far as that is known without
// asking anybody; 0 if it is not.
func (s *Streams) outlived(st *stream, now time.Time) End {
	id := st.Identity
	switch {
	case id != nil && !id.ExpiresAt.IsZero() && !now.Before(id.ExpiresAt),
		id != nil && !st.OfSession && s.taken(id):
		return EndSession
	case st.Barred != nil && st.Barred(id):
		return EndLocked
	case !st.Until.IsZero() && !now.Before(st.Until):
		return EndLifetime
	}
	return 0
}

func (s *Streams) queue(w *watch) {
	if !w.due {
		w.due = true
		s.due = append(s.due, w)
	}
}

// work checks what is due until nothing is. A slow check holds up this worker
// alone.
func (s *Streams) work(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var open, ended []*stream
	for s.next < len(s.due) && !s.closed {
		w := s.due[s.next]
		s.due[s.next] = nil
		s.next++
		if len(w.streams) > 0 {
			open = open[:0]
			for st := range w.streams {
				open = append(open, st)
			}
			s.mu.Unlock()
			over, who := s.over(ctx, w)
			ended = ended[:0]
			if !over && who != nil {
				ended = refused(ctx, open, who, ended)
			}
			s.mu.Lock()
			if over {
				for st := range w.streams {
					s.finish(st, EndSession)
				}
			}
			for _, st := range ended {
				if _, stillOpen := s.open[st]; stillOpen {
					s.finish(st, EndPolicy)
				}
			}
		}
		w.due = false
	}
	if s.next == len(s.due) {
		s.due, s.next = s.due[:0], 0
	}
	s.workers--
}

// over reports whether a session is definitely over, and whom it is of if it is
// known to go on. Unknown is not "over".
func (s *Streams) over(ctx context.Context, w *watch) (over bool, who *identity.Identity) {
	if w.id != nil {
		return false, w.id
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	who, err := s.live(ctx, w.key)
	if err != nil {
		return errors.Is(err, ErrNotFound) || errors.Is(err, ErrIdle), nil
	}
	return false, who
}

// refused appends to ended the streams that somebody would not be let into now.
func refused(ctx context.Context, open []*stream, who *identity.Identity, ended []*stream) []*stream {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	for _, st := range open {
		if st.Still != nil && !st.Still(ctx, who) {
			ended = append(ended, st)
		}
	}
	return ended
}
