//go:build e2e && long

package valkeystore_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/session/sessiontest"
)

// each runs do for 0 to n-1, some at a time.
func each(t *testing.T, n int, do func(ctx context.Context, i int) error) {
	t.Helper()
	const workers = 64
	var wait sync.WaitGroup
	for w := range workers {
		wait.Go(func() {
			for i := w; i < n && !t.Failed(); i += workers {
				if err := do(t.Context(), i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestAMillionSessions measures what a session takes in Valkey, with its
// indexes, and in the near cache: 5 groups, 10 claims, a user for each. Then it lists
// them all, and ends those that are old.
func TestAMillionSessions(t *testing.T) {
	const n = 1_000_000
	key := func(i int) session.Key { return sha256.Sum256([]byte(strconv.Itoa(i))) }
	server := env.StartValkey(t)
	s := open(t, settings(server.URL()), config.Cache{MaxStaleness: defaultCache().MaxStaleness})
	last, empty, began := 0, server.UsedMemory(), time.Now()
	for _, upTo := range []int{10_000, 100_000, n} {
		each(t, upTo-last, func(ctx context.Context, i int) error {
			in := sessiontest.Session(last + i)
			in.Identity.Ref, in.Identity.Subject = key(last+i), fmt.Sprintf("248289761001-%08d", last+i)
			if (last+i)%2 == 0 {
				in.Created = began.Add(-2 * time.Minute).UnixNano()
			}
			return s.Create(ctx, in)
		})
		last = upTo
		t.Logf("%d sessions: %d bytes each in Valkey", upTo, (server.UsedMemory()-empty)/int64(upTo))
	}
	if each := (server.UsedMemory() - empty) / n; each > 500 {
		t.Errorf("a session takes %d bytes in Valkey, the budget is 500", each)
	}

	t.Run("the near cache of the default size", func(t *testing.T) {
		near := open(t, settings(server.URL()), defaultCache())
		before := heap()
		each(t, n, func(ctx context.Context, i int) error { _, err := near.Get(ctx, key(i)); return err })
		took, st := heap()-before, near.Stats()
		t.Logf("%d sessions, %d MiB of heap, %d evictions", st.Entries, took>>20, st.Evictions)
		if limit := defaultCache().MaxBytes; st.Bytes > limit || took > limit*5/4 {
			t.Errorf("%d bytes are counted and %d taken, the limit is %d", st.Bytes, took, limit)
		}
		runtime.KeepAlive(near)
	})
	t.Run("a large near cache", func(t *testing.T) {
		near := open(t, settings(server.URL()), config.Cache{MaxBytes: 4 << 30, MaxStaleness: defaultCache().MaxStaleness})
		before := heap()
		each(t, n, func(ctx context.Context, i int) error { _, err := near.Get(ctx, key(i)); return err })
		took, st := heap()-before, near.Stats()
		t.Logf("%d sessions in the near cache: %d bytes of heap each, counted as %d", st.Entries, took/st.Entries, st.Bytes/st.Entries)
		if st.Entries < n*99/100 || took/st.Entries > 1024 {
			t.Errorf("%d entries of %d bytes, the budget is 1024", st.Entries, took/st.Entries)
		}
		runtime.KeepAlive(near)
	})
	t.Run("every user's sessions are found", func(t *testing.T) {
		for i := 0; i < n; i += n / 100 {
			gone, err := s.DeleteSubject(t.Context(), sessiontest.Session(i).Identity.Issuer, fmt.Sprintf("248289761001-%08d", i))
			if gone != 1 || err != nil {
				t.Fatalf("session %d: deleted %d, %v", i, gone, err)
			}
		}
	})
	t.Run("they are listed, and half of them ended", func(t *testing.T) {
		one := sessiontest.Session(1).Identity
		sessiontest.ListCrowd(t, s, sessiontest.Crowd{
			Old: n/2 - 100, Young: n / 2, Before: began.Add(-time.Minute), Issuer: one.Issuer, Subject: fmt.Sprintf("248289761001-%08d", 1), Users: 1,
		})
	})
}
