package embedded

import (
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/gateway/session"
)

// tableKey puts many keys in few places, so that searches collide.
func tableKey(n int) session.Key { return session.Key{0, byte(n % 5), 0, 0, 0, byte(n)} }

func TestTheTableFindsWhatAMapWould(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tab table
		want := map[session.Key]*entry{}
		for _, n := range rapid.SliceOfN(rapid.IntRange(0, 60), 0, 400).Draw(t, "keys") {
			key := tableKey(n)
			if e := want[key]; e != nil {
				tab.remove(e)
				tab.remove(e)
				delete(want, key)
			} else {
				e := &entry{key: key}
				tab.insert(e)
				want[key] = e
			}
			for n := range 61 {
				if got := tab.get(tableKey(n)); got != want[tableKey(n)] {
					t.Fatalf("key %d: got %v, want %v", n, got, want[tableKey(n)])
				}
			}
			count := 0
			for e := range tab.all() {
				count++
				if want[e.key] != e {
					t.Fatalf("a removed entry is still there: %v", e.key)
				}
			}
			if count != len(want) || tab.live != len(want) {
				t.Fatalf("%d entries, counted as %d, want %d", count, tab.live, len(want))
			}
		}
		if tab.get(session.Key{}) != want[session.Key{}] {
			t.Fatal("the zero key finds a tombstone")
		}
	})
}

func TestReadersOfTheTableMissNothingWhileItChanges(t *testing.T) {
	var tab table
	stays := &entry{key: tableKey(0)}
	tab.insert(stays)
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if tab.get(stays.key) != stays {
					t.Error("an entry that stays was not found")
					return
				}
				if e := tab.get(tableKey(7)); e != nil && e.key != tableKey(7) {
					t.Error("another entry was found")
					return
				}
			}
		})
	}
	for range 300 {
		var made []*entry
		for n := 1; n < 100; n++ {
			e := &entry{key: tableKey(n)}
			tab.insert(e)
			made = append(made, e)
		}
		for _, e := range made {
			tab.remove(e)
		}
	}
	close(done)
	readers.Wait()
}
