// Package embedded keeps sessions in the gateway itself: in memory to read, and
// in a bbolt file to last. It owns the file's format, expiry and the indexes by
// user and by provider session. What a record holds is package session's codec.
//
// Memory and file never disagree for long. What is added or changed is
// committed first and visible then; what is deleted is gone from memory at
// once, whatever the disk does, and the file follows. Only the last use of
// sessions is written late, by a second or so.
package embedded

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/session"
)

// Options say where sessions are kept.
type Options struct {
	Path string      // of the file; empty: in memory only
	Log  *zap.Logger // for background work; nil: no log

	// bolt lets the tests make the disk fail.
	bolt bolt.Options
}

// Store is a session.Store, session.Records and session.Feeds for one gateway. It
// is safe for concurrent use.
type Store struct {
	file   *file // nil: in memory only
	shards [shardCount]shard
	count  atomic.Int64

	subjects  *index
	providers *index

	ending        *wheel[*entry]
	endingRecords *wheel[recordID]
	endingFeeds   *wheel[ending]
	names         maphash.Seed // spreads records over the shards
	feeds         feeds

	closed atomic.Bool
	stop   chan struct{}
	swept  sync.WaitGroup
}

var (
	_ session.Store   = (*Store)(nil)
	_ session.Records = (*Store)(nil)
	_ session.Feeds   = (*Store)(nil)
)

// shardCount is one shard for each first byte of a key, which makes the order
// of shards the order of keys.
const shardCount = 256

// shard holds the sessions whose keys share the first byte, and a part of the records.
type shard struct {
	// busy is held across a commit by whoever creates or changes something
	// here: of two changes to one version, one must see the other. It is a
	// channel so that waiting ends with the context.
	busy chan struct{}

	// mu is held for moments, and orders changes of memory and the file's queue alike.
	mu      sync.Mutex
	table   table                  // look-ups need no lock
	tokens  map[session.Key][]byte // in memory only; otherwise the file has them
	records map[recordID]session.Record
}

// Open opens the store and reads every session of its file. It fails with what
// to do when another process has the file, or when it is damaged.
func Open(o Options) (*Store, error) {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	s := &Store{
		subjects:      newIndex(func(e *entry) *link { return &e.subject }),
		providers:     newIndex(func(e *entry) *link { return &e.provider }),
		ending:        newWheel[*entry](),
		endingRecords: newWheel[recordID](),
		endingFeeds:   newWheel[ending](),
		names:         maphash.MakeSeed(),
		stop:          make(chan struct{}),
	}
	for i := range s.shards {
		s.shards[i].busy = make(chan struct{}, 1)
	}
	if o.Path != "" {
		var err error
		if s.file, err = openFile(o.Path, o.bolt, o.Log, s.load); err != nil {
			return nil, err
		}
	}
	s.swept.Go(s.sweep)
	return s, nil
}

// load reads the file into memory. What ended while the gateway was down goes
// through the wheel like everything else.
func (s *Store) load(tx *bolt.Tx) error {
	now := time.Now()
	err := eachSession(tx, func(key session.Key, kept stored) {
		s.add(s.shard(key), newEntry(key, &kept), &kept, now)
	})
	if err != nil {
		return err
	}
	err = eachRecord(tx, func(id recordID, r session.Record) {
		s.setRecord(s.recordShard(id), id, r)
	})
	if err != nil {
		return err
	}
	return s.loadFeeds(tx)
}

// Len returns how many sessions there are, including those that have ended in
// the last seconds.
func (s *Store) Len() int { return int(s.count.Load()) }

// Ping fails when the store is closed or its file is found to be damaged.
// A full disk is no failure: sessions are still answered.
func (s *Store) Ping(context.Context) error {
	if s.closed.Load() {
		return errClosed
	}
	if s.file == nil {
		return nil
	}
	return s.file.view(func(*bolt.Tx) error { return nil })
}

// Close writes what is still to be written and lets go of the file. Later calls
// do nothing.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	close(s.stop)
	s.swept.Wait()
	if s.file == nil {
		return nil
	}
	return s.file.close()
}

func (s *Store) shard(key session.Key) *shard { return &s.shards[key[0]] }

// lookUp returns the live entry under key, or nil.
func (s *Store) lookUp(key session.Key, now time.Time) *entry {
	e := s.shard(key).table.get(key)
	if e == nil || e.expired(now) {
		return nil
	}
	return e
}

// acquire takes the shard's turn to commit.
func (sh *shard) acquire(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case sh.busy <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (sh *shard) release() { <-sh.busy }

func newEntry(key session.Key, kept *stored) *entry {
	e := &entry{key: key, record: kept.record, created: kept.created, idle: kept.idle}
	e.expires.Store(kept.expires)
	e.seen.Store(kept.seen)
	return e
}

// add publishes an entry. The caller holds the shard's lock, except in load.
func (s *Store) add(sh *shard, e *entry, kept *stored, now time.Time) {
	sh.table.insert(e)
	s.subjects.move(e, kept.subject)
	s.providers.move(e, kept.provider)
	s.ending.add(e, nextVisit(e, now))
	s.count.Add(1)
}

// remove takes an entry out of memory, and queues the same for the file. The
// caller holds the shard's lock.
func (s *Store) remove(sh *shard, e *entry, o *op) {
	sh.table.remove(e)
	e.gone.Store(true)
	s.subjects.move(e, 0)
	s.providers.move(e, 0)
	delete(sh.tokens, e.key)
	// The wheel may hold the entry for some minutes more.
	e.record = ""
	e.decoded.Store(nil)
	s.count.Add(-1)
	if s.file != nil {
		key := e.key
		o.write = func(tx *bolt.Tx) error { return deleteSession(tx, key) }
		s.file.enqueue(o)
	}
}

// read returns the session of e, decoding it if need be. keep says whether it
// is remembered. It returns ErrNotFound when e is gone.
func (s *Store) read(sh *shard, e *entry, keep bool) (*session.Session, error) {
	if live := e.decoded.Load(); live != nil {
		return live, nil
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return readLocked(e, keep)
}

func readLocked(e *entry, keep bool) (*session.Session, error) {
	if e.gone.Load() {
		return nil, session.ErrNotFound
	}
	if live := e.decoded.Load(); live != nil {
		return live, nil
	}
	live, err := session.UnmarshalString(e.key, e.record)
	if err != nil {
		return nil, err
	}
	if keep {
		e.decoded.Store(live)
	}
	return live, nil
}

// recordShard spreads records; their order does not matter.
func (s *Store) recordShard(id recordID) *shard {
	var h maphash.Hash
	h.SetSeed(s.names)
	h.WriteString(id.kind)
	h.WriteByte(0)
	h.WriteString(id.name)
	return &s.shards[h.Sum64()%shardCount]
}
