package session

import (
	"context"
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
	EndPolicy                  // its user would not be let in any more
	EndLifetime                // it was open for as long as it may be
	EndIdle                    // nothing passed for too long
	EndLocked                  // an operator has locked it
)

// String returns the word for logs and metrics.
func (e End) String() string {
	switch e {
	case EndShutdown:
		return "shutdown"
	case EndPolicy:
		return "not_allowed"
	case EndLifetime:
		return "lifetime"
	case EndIdle:
		return "idle"
	case EndLocked:
		return "locked"
	case EndSession:
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
// ended it and on whichever gateway, when their user would not be let in any more,
// and when the gateway goes away.
//
// Traffic inside a stream is no activity: a busy stream does not keep its
// session from becoming idle. A session that gets a new id (Manager.Rotate)
// loses its streams, which were opened with what it was allowed before.
//
// A store that can't answer ends nothing: only ExpiresAt of the identity does
// then. It is safe for concurrent use.
type Streams struct {
	live  func(context.Context, Key) (*identity.Identity, error)
	taken func(*identity.Identity) bool

	added chan struct{} // there is a stream where there was none
	empty chan struct{} // at the end: every stream was removed

	mu       sync.Mutex
	open     map[*stream]struct{} // those that were not ended yet
	sessions map[Key]*watch
	alone    map[*watch]struct{} // those without a session
	due      []*watch            // wait for a worker; those before next had one
	next     int
	workers  int
	held     int  // streams that were not removed yet
	closed   bool // Run is at its end: whatever comes is ended at once

	running sync.WaitGroup // workers; only Run starts them
}

// Stream is what Add is told of one.
type Stream struct {
	// Identity is who it was opened for, nil for nobody: then only Until and the
	// shutdown end it.
	Identity *identity.Identity
	// OfSession says that Identity.Ref is the key of a session, which is watched;
	// any other identity ends at its ExpiresAt, or when it is taken back.
	OfSession bool
	// Until ends it whatever happens; zero = never.
	Until time.Time
	// Still reports whether somebody would be let in now: whoever the session is
	// of by now, or Identity. It is asked every turn, may block until its context
	// ends, and answers true where it does not know. Nil = always.
	Still func(context.Context, *identity.Identity) bool
	// Barred reports whether it is locked for Identity by now. It is asked every turn,
	// must be quick, and says no where it does not know. Nil = never.
	Barred func(*identity.Identity) bool
	// End is called at most once, on a goroutine of its own, possibly before Add
	// has returned. It must see to it that the stream is over soon.
	End func(why End)
}

type stream struct {
	Stream
	watch   *watch // nil where nothing needs to be asked
	removed bool
}

// watch is a session with open streams, or one stream of somebody without.
type watch struct {
	key     Key
	id      *identity.Identity // who it is without a session; nil with one
	streams map[*stream]struct{}
	due     bool // waits for its check, or is being checked
}

// NewStreams makes an empty registry. live is Manager.Live, which returns whom a
// session is of: ErrNotFound and ErrIdle mean that it is definitely over, any
// other error nothing.
// takenBack says of somebody without a session whether what he came in with was
// taken back meanwhile; it must be quick, and may be nil. Nothing is ended before
// Run is called.
func NewStreams(live func(context.Context, Key) (*identity.Identity, error), takenBack func(*identity.Identity) bool) *Streams {
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
		alone:    make(map[*watch]struct{}),
	}
}

// Add registers an open stream. remove must be called when the stream is over for
// any reason, may be called again, and does not wait for an end that is under way.
func (s *Streams) Add(o Stream) (remove func()) {
	st := &stream{Stream: o}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held++
	if s.closed {
		go o.End(EndShutdown)
		return func() { s.remove(st) }
	}
	if st.watch = s.watchFor(&o); st.watch != nil {
		st.watch.streams[st] = struct{}{}
	}
	s.open[st] = struct{}{}
	if len(s.open) == 1 {
		signal(s.added)
	}
	return func() { s.remove(st) }
}

// watchFor returns the watch that a new stream belongs to. The lock is held.
func (s *Streams) watchFor(o *Stream) *watch {
	switch {
	case o.Identity == nil:
		return nil
	case o.OfSession:
		w := s.sessions[o.Identity.Ref]
		if w == nil {
			w = &watch{key: o.Identity.Ref, streams: make(map[*stream]struct{})}
			s.sessions[w.key] = w
		}
		return w
	case o.Still != nil:
		w := &watch{id: o.Identity, streams: make(map[*stream]struct{})}
		s.alone[w] = struct{}{}
		return w
	}
	return nil
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
	if w := st.watch; w != nil {
		delete(w.streams, st)
		switch {
		case w.id != nil:
			delete(s.alone, w)
		case len(w.streams) == 0 && s.sessions[w.key] == w:
			delete(s.sessions, w.key)
		}
	}
}

// finish ends an open stream. The lock is held, and end does not run under it.
func (s *Streams) finish(st *stream, why End) {
	s.drop(st)
	go st.End(why)
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
