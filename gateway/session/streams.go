package session

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sallyport/sallyport/gateway/identity"
)

// End says why a stream was ended.
type End uint8

// The reasons to end a stream.
const (
	EndSession  End = iota + 1 // the session or the token behind it is over
	EndShutdown                // the gateway is going away
)

// String returns the word for logs and metrics.
func (e End) String() string {
	if e == EndShutdown {
		return "shutdown"
	}
	return "session_over"
}

const (
	// checkInterval is how often the sessions behind open streams are looked at.
	// With a read of a remote store and a slow client's farewell on top, a
	// stream is over well within the second that is promised.
	checkInterval = 250 * time.Millisecond
	// checkTimeout bounds one check, whatever the store's own patience is.
	checkTimeout = time.Second
	// maxChecks bounds the checks that run at once. A read of a remote store
	// takes up to 250 ms when it is in trouble, and 1,000 sessions must be looked
	// at twice a second even then.
	maxChecks = 512
	// farewell bounds how long Run waits for streams to be over at the end.
	farewell = 2 * time.Second
)

// Streams knows what outlives the request that opened it: WebSockets and
// streaming answers. It ends them when the session behind them is over, whoever
// ended it and on whichever gateway, and when the gateway goes away.
//
// Traffic inside a stream is no activity: a busy stream does not keep its
// session from becoming idle. A session that gets a new id (Manager.Rotate)
// loses its streams, which were opened with what it was allowed before.
//
// A store that can't answer ends nothing: only ExpiresAt of the identity does
// then. It is safe for concurrent use.
type Streams struct {
	live  func(context.Context, Key) error
	taken func(*identity.Identity) bool

	added chan struct{} // there is a stream where there was none
	empty chan struct{} // at the end: every stream was removed

	mu       sync.Mutex
	open     map[*stream]struct{} // those that were not ended yet
	sessions map[Key]*watch
	due      []*watch // wait for a worker; those before next had one
	next     int
	workers  int
	held     int  // streams that were not removed yet
	closed   bool // Run is at its end: whatever comes is ended at once

	running sync.WaitGroup // workers; only Run starts them
}

type stream struct {
	end     func(End)
	expires time.Time
	session *watch             // nil where no session is behind it
	id      *identity.Identity // nil with a session, and for nobody
	removed bool
}

// watch is one session with open streams.
type watch struct {
	key     Key
	streams map[*stream]struct{}
	due     bool // waits for its check, or is being checked
}

// NewStreams makes an empty registry. live is Manager.Live: ErrNotFound and
// ErrIdle mean that a session is definitely over, any other error nothing.
// takenBack says of somebody without a session whether what he came in with was
// taken back meanwhile; it must be quick, and may be nil. Nothing is ended before
// Run is called.
func NewStreams(live func(context.Context, Key) error, takenBack func(*identity.Identity) bool) *Streams {
	if takenBack == nil {
		takenBack = func(*identity.Identity) bool { return false }
	}
	return &Streams{
		live:     live,
		taken:    takenBack,
		added:    make(chan struct{}, 1),
		empty:    make(chan struct{}, 1),
		open:     make(map[*stream]struct{}),
		sessions: make(map[Key]*watch),
	}
}

// Add registers an open stream. id is who it was opened for, nil for nobody:
// then only the shutdown ends it. ofSession says that id.Ref is the key of a
// session, which is watched; any other identity ends at its ExpiresAt, or when it
// is taken back.
//
// end is called at most once, on a goroutine of its own, possibly before Add
// has returned. It must see to it that the stream is over soon. remove must be
// called when the stream is over for any reason, may be called again, and does
// not wait for an end that is under way.
func (s *Streams) Add(id *identity.Identity, ofSession bool, end func(why End)) (remove func()) {
	st := &stream{end: end}
	if id != nil {
		st.expires = id.ExpiresAt
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held++
	if s.closed {
		go end(EndShutdown)
		return func() { s.remove(st) }
	}
	if id != nil && ofSession {
		w := s.sessions[id.Ref]
		if w == nil {
			w = &watch{key: id.Ref, streams: make(map[*stream]struct{})}
			s.sessions[id.Ref] = w
		}
		w.streams[st] = struct{}{}
		st.session = w
	} else {
		st.id = id
	}
	s.open[st] = struct{}{}
	if len(s.open) == 1 {
		signal(s.added)
	}
	return func() { s.remove(st) }
}

func (s *Streams) remove(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.removed {
		return
	}
	st.removed = true
	s.drop(st)
	if s.held--; s.held == 0 && s.closed {
		signal(s.empty)
	}
}

// drop forgets an open stream, so that it is not ended any more.
func (s *Streams) drop(st *stream) {
	delete(s.open, st)
	if w := st.session; w != nil {
		delete(w.streams, st)
		if len(w.streams) == 0 && s.sessions[w.key] == w {
			delete(s.sessions, w.key)
		}
	}
}

// finish ends an open stream. The lock is held, and end does not run under it.
func (s *Streams) finish(st *stream, why End) {
	s.drop(st)
	go st.end(why)
}

// Run looks after the streams until ctx ends, then ends them all and waits a
// moment for them to be over. It must be called once; nothing asks live after
// it has returned.
func (s *Streams) Run(ctx context.Context) {
	for s.await(ctx) {
		s.keepWatch(ctx)
	}
	s.shutDown()
	s.running.Wait()
	patience := time.NewTimer(farewell)
	defer patience.Stop()
	select {
	case <-s.empty:
	case <-patience.C:
	}
}

// await returns when a stream is open, with false when ctx has ended.
func (s *Streams) await(ctx context.Context) bool {
	select {
	case <-s.added:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// keepWatch checks in turns while streams are open.
func (s *Streams) keepWatch(ctx context.Context) {
	tick := time.NewTicker(checkInterval)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			if !s.check(ctx, now) {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// check ends what has expired and has every other session looked at, unless it
// still is from an earlier turn. It reports whether streams are open.
func (s *Streams) check(ctx context.Context, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for st := range s.open {
		if !st.expires.IsZero() && !now.Before(st.expires) || st.id != nil && s.taken(st.id) {
			s.finish(st, EndSession)
		}
	}
	for _, w := range s.sessions {
		if !w.due {
			w.due = true
			s.due = append(s.due, w)
		}
	}
	for range min(len(s.due)-s.next, maxChecks-s.workers) {
		s.workers++
		s.running.Go(func() { s.work(ctx) })
	}
	return len(s.open) > 0
}

// work checks sessions until none is due. A slow check holds up this worker
// alone.
func (s *Streams) work(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.next < len(s.due) && !s.closed {
		w := s.due[s.next]
		s.due[s.next] = nil
		s.next++
		if len(w.streams) > 0 {
			s.mu.Unlock()
			over := s.over(ctx, w.key)
			s.mu.Lock()
			if over {
				for st := range w.streams {
					s.finish(st, EndSession)
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

// over reports whether a session is definitely over. Unknown is not "over".
func (s *Streams) over(ctx context.Context, key Key) bool {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	err := s.live(ctx, key)
	return errors.Is(err, ErrNotFound) || errors.Is(err, ErrIdle)
}

func (s *Streams) shutDown() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for st := range s.open {
		s.finish(st, EndShutdown)
	}
	if s.held == 0 {
		signal(s.empty)
	}
}

// signal wakes the one that waits on c, or that will.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
