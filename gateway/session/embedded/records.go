package embedded

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/sallyport/sallyport/gateway/session"
)

// maxRecordName bounds kind and name together, well below what bbolt refuses:
// a refused key would fail everything in its commit.
const maxRecordName = 4096

var errRecordName = errors.New("session store: a record's kind is empty, has a NUL, or is too long with its name")

type recordID struct{ kind, name string }

func (id recordID) check() error {
	if id.kind == "" || strings.IndexByte(id.kind, 0) >= 0 || len(id.kind)+len(id.name) > maxRecordName {
		return errRecordName
	}
	return nil
}

func recordExpired(r session.Record, now time.Time) bool {
	return !r.ExpiresAt.IsZero() && !now.Before(r.ExpiresAt)
}

// LoadRecord implements session.Records.
func (s *Store) LoadRecord(_ context.Context, kind, name string) (session.Record, error) {
	id := recordID{kind, name}
	sh := s.recordShard(id)
	sh.mu.Lock()
	r, ok := sh.records[id]
	sh.mu.Unlock()
	if !ok || recordExpired(r, time.Now()) {
		return session.Record{}, session.ErrNotFound
	}
	r.Value = bytes.Clone(r.Value)
	return r, nil
}

// SaveRecord implements session.Records.
func (s *Store) SaveRecord(ctx context.Context, kind, name string, version uint64, value []byte, expires time.Time) (uint64, error) {
	id := recordID{kind, name}
	if err := id.check(); err != nil {
		return 0, err
	}
	sh := s.recordShard(id)
	if err := sh.acquire(ctx); err != nil {
		return 0, err
	}
	sh.mu.Lock()
	if recordVersion(sh, id) != version {
		sh.mu.Unlock()
		sh.release()
		return 0, session.ErrConflict
	}
	if version == 0 {
		// An expired one in this place is not the sweeper's any more: its
		// removal would be queued behind this change.
		delete(sh.records, id)
	}
	fresh := session.Record{Value: bytes.Clone(value), Version: version + 1, ExpiresAt: expires}
	removed := false
	answer := s.change(&op{
		write: func(tx *bolt.Tx) error {
			key := recordKey(id)
			return put(inRecords(tx), key, encodeRecord(key, fresh))
		},
		done: func(err error) {
			defer sh.release()
			sh.mu.Lock()
			defer sh.mu.Unlock()
			// Removed meanwhile: that is queued behind this change.
			_, ok := sh.records[id]
			if removed = version > 0 && !ok; removed || err != nil {
				return
			}
			s.setRecord(sh, id, fresh)
		},
	})
	sh.mu.Unlock()
	if err := s.wait(ctx, answer); err != nil {
		return 0, err
	}
	if removed {
		return 0, session.ErrConflict
	}
	return fresh.Version, nil
}

// recordVersion is 0 when there is no live record.
func recordVersion(sh *shard, id recordID) uint64 {
	r, ok := sh.records[id]
	if !ok || recordExpired(r, time.Now()) {
		return 0
	}
	return r.Version
}

// setRecord publishes a record. The caller holds the shard's lock, except in load.
func (s *Store) setRecord(sh *shard, id recordID, r session.Record) {
	if sh.records == nil {
		sh.records = make(map[recordID]session.Record)
	}
	sh.records[id] = r
	if !r.ExpiresAt.IsZero() {
		s.endingRecords.add(id, r.ExpiresAt.UnixNano())
	}
}

// RemoveRecord implements session.Records. As with Delete, the record is gone
// at once, and an error says that the file still has it.
func (s *Store) RemoveRecord(ctx context.Context, kind, name string) error {
	id := recordID{kind, name}
	answers, queued := make(chan error, 1), 0
	sh := s.recordShard(id)
	sh.mu.Lock()
	if _, ok := sh.records[id]; ok {
		s.dropRecord(sh, id, &op{owed: true, done: func(err error) { answers <- err }})
		queued = 1
	}
	sh.mu.Unlock()
	return s.settle(ctx, answers, queued)
}

// dropRecord takes a record out of memory, and queues the same for the file.
// The caller holds the shard's lock.
func (s *Store) dropRecord(sh *shard, id recordID, o *op) {
	delete(sh.records, id)
	if s.file != nil {
		o.write = func(tx *bolt.Tx) error { return remove(inRecords(tx), recordKey(id)) }
		s.file.enqueue(o)
	}
}
