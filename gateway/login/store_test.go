package login_test

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
)

var errStoreDown = errors.New("store down")

// memoryStore keeps sessions in a map, and fails on demand.
type memoryStore struct {
	mu       sync.Mutex
	sessions map[session.Key]*session.Session
	tokens   map[session.Key][]byte
	seen     map[session.Key]time.Time
	records  map[string]session.Record
	down     bool
	readOnly bool
	creates  int
	touches  int
	deleted  time.Time // when something last was
}

var _ session.Store = (*memoryStore)(nil)

func newMemoryStore() *memoryStore {
	return &memoryStore{
		sessions: make(map[session.Key]*session.Session), tokens: make(map[session.Key][]byte), seen: make(map[session.Key]time.Time),
		records: make(map[string]session.Record),
	}
}

func (m *memoryStore) setDown(down bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = down
}

func (m *memoryStore) setReadOnly(readOnly bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.readOnly = readOnly
}

func (m *memoryStore) touched() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.touches
}

func (m *memoryStore) all() []*session.Session {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []*session.Session
	for _, s := range m.sessions {
		all = append(all, s)
	}
	return all
}

func (m *memoryStore) created() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.creates
}

// locked runs do unless the store is down.
func (m *memoryStore) locked(do func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return errStoreDown
	}
	return do()
}

func (m *memoryStore) Create(_ context.Context, s *session.Session) error {
	return m.locked(func() error {
		m.creates++
		m.tokens[s.Key()] = s.Tokens()
		kept := s.Clone()
		kept.SealedTokens = nil
		m.sessions[s.Key()], m.seen[s.Key()] = kept, time.Now()
		return nil
	})
}

func (m *memoryStore) Get(_ context.Context, key session.Key) (s *session.Session, err error) {
	err = m.locked(func() error {
		if s = m.sessions[key]; s == nil {
			return session.ErrNotFound
		}
		return nil
	})
	return s, err
}

func (m *memoryStore) Update(_ context.Context, key session.Key, change func(*session.Session) error) (s *session.Session, err error) {
	err = m.locked(func() error {
		if m.sessions[key] == nil {
			return session.ErrNotFound
		}
		s = m.sessions[key].Clone()
		if err := change(s); err != nil {
			return err
		}
		m.sessions[key] = s
		return nil
	})
	return s, err
}

func (m *memoryStore) Delete(_ context.Context, key session.Key) error {
	return m.locked(func() error {
		if m.readOnly {
			return errStoreDown
		}
		delete(m.sessions, key)
		m.deleted = time.Now()
		return nil
	})
}

func (m *memoryStore) DeleteKeys(ctx context.Context, keys ...session.Key) (n int, err error) {
	for _, key := range keys {
		m.mu.Lock()
		if m.sessions[key] != nil {
			n++
		}
		m.mu.Unlock()
		err = errors.Join(err, m.Delete(ctx, key))
	}
	return n, err
}

func (m *memoryStore) DeleteBefore(context.Context, time.Time) (int, error) { return 0, nil }

func (m *memoryStore) Touch(_ context.Context, key session.Key, at time.Time) error {
	return m.locked(func() error {
		m.seen[key] = at
		m.touches++
		return nil
	})
}

func (m *memoryStore) LastSeen(_ context.Context, key session.Key) (at time.Time, err error) {
	err = m.locked(func() error {
		if m.sessions[key] == nil {
			return session.ErrNotFound
		}
		at = m.seen[key]
		return nil
	})
	return at, err
}

func (m *memoryStore) Tokens(_ context.Context, key session.Key) (sealed []byte, err error) {
	err = m.locked(func() error {
		sealed = m.tokens[key]
		return nil
	})
	return sealed, err
}

func (m *memoryStore) Ping(context.Context) error { return m.locked(func() error { return nil }) }
func (m *memoryStore) Close() error               { return nil }
