package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"go.uber.org/zap"
)

const (
	// lockTimeout is how long Open waits for another process to let go.
	lockTimeout = time.Second
	// touchDelay is how long uses of sessions are gathered before they are written.
	touchDelay = time.Second
	// maxBatch bounds the changes in one commit.
	maxBatch = 4096
)

var errClosed = errors.New("session store: closed")

// op is one change to the file. What write does must not depend on when it runs
// beyond the order of the queue.
type op struct {
	write func(tx *bolt.Tx) error
	done  func(err error) // may be nil; runs once, after the commit or its failure
	// owed: the change is in force in memory already and cannot be taken back,
	// so that it leads every further commit until one succeeds.
	owed bool
}

// file is the durable side: a queue of changes and one goroutine that commits
// them in groups, so that many sign-ins share one sync of the disk.
type file struct {
	path string
	db   *bolt.DB
	log  *zap.Logger

	mu      sync.Mutex
	queue   []*op
	touched []*entry
	closing bool
	wake    chan struct{} // holds one token while there is something to do
	stopped chan struct{}

	owed    []func(*bolt.Tx) error // only the goroutine's own
	owing   atomic.Bool            // owed is not empty
	broken  atomic.Pointer[error]  // bbolt panicked: it is not asked again
	failing bool                   // the last commit failed, and the log says so
}

// openFile opens or makes the file and reads it with load.
func openFile(path string, o bolt.Options, log *zap.Logger, load func(*bolt.Tx) error) (*file, error) {
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		log.Warn("others than the owner can read the session file; it holds who is signed in: chmod 600",
			zap.String("path", path), zap.Stringer("mode", info.Mode().Perm()))
	}
	o.Timeout = lockTimeout
	o.FreelistType = bolt.FreelistMapType
	var handle *os.File
	open := o.OpenFile
	if open == nil {
		open = os.OpenFile
	}
	o.OpenFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
		var err error
		handle, err = open(name, flag, mode)
		return handle, err
	}
	f := &file{path: path, log: log, wake: make(chan struct{}, 1), stopped: make(chan struct{})}
	err := guard(func() error {
		var err error
		if f.db, err = bolt.Open(path, 0o600, &o); err != nil {
			return err
		}
		if err := f.db.View(func(tx *bolt.Tx) error { return examineTree(tx, handle) }); err != nil {
			return err
		}
		if err := f.prepare(); err != nil {
			return err
		}
		return f.db.View(load)
	})
	if err != nil {
		switch {
		case isPanic(err):
			// bbolt gave nothing back, or holds its own locks. Its map of the file
			// stays, and with it the lock on this damaged file, until the process ends.
			_ = handle.Close()
		case f.db != nil:
			err = errors.Join(err, f.db.Close())
		}
		return nil, explain(path, err)
	}
	go f.run()
	return f, nil
}

// prepare makes the buckets that are missing in a new or an older file, and
// refuses another format.
func (f *file) prepare() error {
	isNew, complete := false, false
	err := f.db.View(func(tx *bolt.Tx) error {
		var err error
		if isNew, err = examine(tx); err == nil && !isNew {
			complete = hadFeeds(tx)
		}
		return err
	})
	switch {
	case err != nil || complete:
		return err
	case isNew:
		return f.db.Update(create)
	}
	return f.db.Update(addFeeds)
}

// explain says what to do about a file that does not open.
func explain(path string, err error) error {
	var refused *fs.PathError
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("session store %s: another process has the file open; one gateway owns one file, and several gateways share sessions through session.store: valkey", path)
	case errors.Is(err, errOtherFormat):
		return fmt.Errorf("session store %s: %w; start that release, or move the file away: then everyone signs in again", path, err)
	case errors.As(err, &refused):
		return fmt.Errorf("session store %s: %w", path, err)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrVersionMismatch), errors.Is(err, bolterrors.ErrChecksum),
		errors.Is(err, bolterrors.ErrInvalidMapping), errors.Is(err, errDamaged), isPanic(err):
		return fmt.Errorf("session store %s: the file is damaged or no session file; move it away and start again: then everyone signs in again: %w", path, err)
	}
	return fmt.Errorf("session store %s: %w", path, err)
}

// panicError is a panic of bbolt, which is how it reports many damages.
type panicError struct{ value any }

func (e *panicError) Error() string { return fmt.Sprintf("reading it: %v", e.value) }

func isPanic(err error) bool {
	_, ok := errors.AsType[*panicError](err)
	return ok
}

// guard runs what reads or writes the mapped file. A page beyond the end of a
// truncated file is a fault, which would end the process without this.
func guard(do func() error) (err error) {
	faults := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(faults)
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{v}
		}
	}()
	return do()
}

// enqueue adds a change. It never blocks, so that it can be called under the
// lock that orders the same change in memory.
func (f *file) enqueue(o *op) {
	f.mu.Lock()
	f.queue = append(f.queue, o)
	f.mu.Unlock()
	f.signal()
}

// touch notes that the last use of e has to be written some time.
func (f *file) touch(e *entry) {
	if e.dirty.Load() || !e.dirty.CompareAndSwap(false, true) {
		return
	}
	f.mu.Lock()
	f.touched = append(f.touched, e)
	first := len(f.touched) == 1
	f.mu.Unlock()
	if first {
		f.signal()
	}
}

func (f *file) signal() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// view reads the file.
func (f *file) view(read func(tx *bolt.Tx) error) error {
	if broken := f.broken.Load(); broken != nil {
		return *broken
	}
	err := guard(func() error { return f.db.View(read) })
	if errors.Is(err, bolterrors.ErrDatabaseNotOpen) {
		return errClosed
	}
	return f.mind(err)
}

// mind wraps an error of the file, and remembers a panic: what bbolt left
// locked stays locked, and waiting for it would hang every request.
func (f *file) mind(err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("session store %s: %w", f.path, err)
	if isPanic(err) && f.broken.CompareAndSwap(nil, &err) {
		f.log.Error("the session file is damaged; move it away and restart: then everyone signs in again", zap.Error(err))
	}
	return err
}

func (f *file) run() {
	defer close(f.stopped)
	flush := time.NewTimer(touchDelay)
	flush.Stop()
	armed := false
	for {
		timeToFlush := false
		select {
		case <-f.wake:
		case <-flush.C:
			timeToFlush, armed = true, false
		}
		ops, touched, closing := f.take(timeToFlush)
		if len(ops) > 0 || len(touched) > 0 {
			f.commit(ops, touched)
		}
		more, waiting := f.pending()
		switch {
		case closing && !more && !waiting:
			return
		case more || closing:
			f.signal()
		case waiting && !armed:
			flush.Reset(touchDelay)
			armed = true
		}
	}
}

// take takes the next changes, and what was touched if it is time or the end.
func (f *file) take(timeToFlush bool) (ops []*op, touched []*entry, closing bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := min(len(f.queue), maxBatch)
	ops, f.queue = f.queue[:n:n], f.queue[n:]
	if len(f.queue) == 0 {
		f.queue = nil
	}
	if timeToFlush || f.closing {
		n := min(len(f.touched), maxBatch)
		touched, f.touched = f.touched[:n:n], f.touched[n:]
		if len(f.touched) == 0 {
			f.touched = nil
		}
	}
	return ops, touched, f.closing
}

func (f *file) pending() (ops, touched bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.queue) > 0, len(f.touched) > 0
}

// commit writes one group: first what is owed, then the changes in their order.
func (f *file) commit(ops []*op, touched []*entry) {
	err := f.update(func(tx *bolt.Tx) error {
		for _, write := range f.owed {
			if err := write(tx); err != nil {
				return err
			}
		}
		for _, o := range ops {
			if err := o.write(tx); err != nil {
				return err
			}
		}
		return writeSeen(tx, touched)
	})
	if err == nil {
		f.owed = nil
	} else {
		for _, o := range ops {
			if o.owed {
				f.owed = append(f.owed, o.write)
			}
		}
		f.keepTouched(touched)
	}
	f.owing.Store(len(f.owed) > 0)
	f.report(err)
	for _, o := range ops {
		if o.done != nil {
			o.done(err)
		}
	}
}

func (f *file) update(write func(tx *bolt.Tx) error) error {
	if broken := f.broken.Load(); broken != nil {
		return *broken
	}
	return f.mind(guard(func() error { return f.db.Update(write) }))
}

// keepTouched puts back what could not be written, unless the store is closing.
func (f *file) keepTouched(touched []*entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range touched {
		e.dirty.Store(!f.closing)
	}
	if !f.closing {
		f.touched = append(f.touched, touched...)
	}
}

// report logs when writing starts to fail and when it works again: each caller
// has the error, but touches and clearing up have none.
func (f *file) report(err error) {
	switch failing := err != nil; {
	case failing && !f.failing:
		f.log.Error("the session file cannot be written: nobody can sign in", zap.Error(err))
		f.failing = true
	case !failing && f.failing:
		f.log.Info("the session file can be written again", zap.String("path", f.path))
		f.failing = false
	}
}

// wait waits for answer, which an op gives when it is done.
func (f *file) wait(ctx context.Context, answer <-chan error) error {
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return fmt.Errorf("session store %s: a write is under way: %w", f.path, ctx.Err())
	case <-f.stopped:
		select {
		case err := <-answer:
			return err
		default:
			return errClosed
		}
	}
}

// close commits what is queued and closes the file.
func (f *file) close() error {
	f.mu.Lock()
	f.closing = true
	f.mu.Unlock()
	f.signal()
	<-f.stopped
	if broken := f.broken.Load(); broken != nil {
		return *broken
	}
	if f.owing.Load() {
		return errors.Join(fmt.Errorf("session store %s: what was revoked last is not in the file", f.path), f.db.Close())
	}
	return f.db.Close()
}
