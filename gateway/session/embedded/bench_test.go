package embedded_test

import (
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/session/embedded"
	"github.com/sallyport/sallyport/gateway/session/sessiontest"
)

const many = 100_000

// manyKeys spreads sessions as hashes do.
func manyKeys() []session.Key {
	random := rand.NewChaCha8([32]byte{1})
	keys := make([]session.Key, many)
	for i := range keys {
		_, _ = random.Read(keys[i][:])
	}
	return keys
}

func fillMany(b *testing.B, s *embedded.Store, keys []session.Key) {
	b.Helper()
	work := make(chan int)
	done := make(chan error)
	const workers = 512 // they share commits
	for range workers {
		go func() {
			var err error
			for i := range work {
				in := sessiontest.Session(i)
				in.Identity.Ref = keys[i]
				if e := s.Create(b.Context(), in); e != nil {
					err = e
				}
			}
			done <- err
		}()
	}
	for i := range keys {
		work <- i
	}
	close(work)
	for range workers {
		must(b, <-done)
	}
}

func TestALookUpAllocatesNothing(t *testing.T) {
	s := open(t, "")
	must(t, s.Create(t.Context(), sessiontest.Session(1)))
	ctx, key, now := t.Context(), sessiontest.Key(1), time.Now()
	for name, call := range map[string]func() error{
		"get":       func() error { _, err := s.Get(ctx, key); return err },
		"touch":     func() error { now = now.Add(1); return s.Touch(ctx, key, now) },
		"last seen": func() error { _, err := s.LastSeen(ctx, key); return err },
		"a miss":    func() error { _, _ = s.Get(ctx, session.Key{}); return nil },
	} {
		if n := testing.AllocsPerRun(100, func() { must(t, call()) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	s := open(b, "")
	keys := manyKeys()
	fillMany(b, s, keys)
	for _, key := range keys {
		_, err := s.Get(b.Context(), key)
		must(b, err)
	}
	ctx := b.Context()
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Get(ctx, keys[0]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("many", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			if _, err := s.Get(ctx, keys[i%many]); err != nil {
				b.Fatal(err)
			}
			i++
		}
	})
	for name, spread := range map[string]int{"parallel/one": 1, "parallel/many": many} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				i := rand.IntN(spread)
				for pb.Next() {
					if _, err := s.Get(ctx, keys[i%spread]); err != nil {
						b.Error(err)
						return
					}
					i++
				}
			})
		})
	}
	b.Run("missing", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = s.Get(ctx, session.Key{1})
		}
	})
}

func BenchmarkCreate(b *testing.B) {
	for name, base := range map[string]string{"memory": "", "file": "sallyport.db"} {
		fresh := func(b *testing.B) *embedded.Store {
			b.Helper()
			if base == "" {
				return open(b, "")
			}
			return open(b, filepath.Join(b.TempDir(), base))
		}
		keys := manyKeys()
		var n atomic.Int64
		create := func(s *embedded.Store) error {
			k := n.Add(1)
			in := sessiontest.Session(1)
			in.Identity.Ref = keys[k%many]
			in.Identity.Ref[31], in.Identity.Ref[30] = byte(k/many), byte(k/many>>8)
			return s.Create(b.Context(), in)
		}
		b.Run(name, func(b *testing.B) {
			s := fresh(b)
			for b.Loop() {
				must(b, create(s))
			}
		})
		b.Run(name+"/64 at once", func(b *testing.B) {
			s := fresh(b)
			b.SetParallelism(64 / runtime.GOMAXPROCS(0))
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := create(s); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

func BenchmarkOpen100k(b *testing.B) {
	path := filepath.Join(b.TempDir(), "sallyport.db")
	s, err := embedded.Open(embedded.Options{Path: path})
	must(b, err)
	fillMany(b, s, manyKeys())
	must(b, s.Close())
	for b.Loop() {
		s, err := embedded.Open(embedded.Options{Path: path})
		must(b, err)
		b.StopTimer()
		if s.Len() != many {
			b.Fatal(s.Len())
		}
		must(b, s.Close())
		b.StartTimer()
	}
}

// BenchmarkMemoryPerSession measures sessions with 5 groups and 10 claims:
// kept, and decoded because someone has used them in the last minutes.
func BenchmarkMemoryPerSession(b *testing.B) {
	keys := manyKeys()
	before := heap()
	s := open(b, "")
	fillMany(b, s, keys)
	kept := heap() - before
	for _, key := range keys {
		_, err := s.Get(b.Context(), key)
		must(b, err)
	}
	used := heap() - before
	for b.Loop() {
		_ = s.Len()
	}
	b.ReportMetric(float64(kept)/many, "kept-B/session")
	b.ReportMetric(float64(used)/many, "used-B/session")
	runtime.KeepAlive(keys)
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
