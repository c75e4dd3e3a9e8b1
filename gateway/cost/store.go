package cost

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
)

// CountingStore counts how often a store is asked for a session. It is safe for
// concurrent use.
type CountingStore struct {
	session.Store
	asked atomic.Int64
}

// Get implements session.Store.
func (s *CountingStore) Get(ctx context.Context, key session.Key) (*session.Session, error) {
	s.asked.Add(1)
	return s.Store.Get(ctx, key)
}

// Asked returns how often Get was called.
func (s *CountingStore) Asked() int64 { return s.asked.Load() }

// UnreadStore reads a session's record anew for every Get, and remembers nothing
// that was made of it: what a gateway does at the first request of a session
// that another gateway began, without the way to the store. It is safe for
// concurrent use.
type UnreadStore struct {
	session.Store

	mu      sync.Mutex
	records map[session.Key][]byte
}

// Get implements session.Store.
func (s *UnreadStore) Get(ctx context.Context, key session.Key) (*session.Session, error) {
	kept, err := s.Store.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	record, err := s.record(key, kept)
	if err != nil {
		return nil, err
	}
	read, err := session.Unmarshal(key, record)
	if err != nil {
		return nil, err
	}
	read.SeenAt(time.Now())
	return read, nil
}

func (s *UnreadStore) record(key session.Key, kept *session.Session) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if record, ok := s.records[key]; ok {
		return record, nil
	}
	record, err := session.Marshal(kept)
	if err != nil {
		return nil, err
	}
	if s.records == nil {
		s.records = make(map[session.Key][]byte)
	}
	s.records[key] = record
	return record, nil
}
