package carried_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/sallyport/sallyport/gateway/carried"
)

type thing struct{ made int }

func TestWhatIsUnchangedIsCarriedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shelf carried.Shelf
		var running atomic.Int32
		made, closed := 0, 0
		take := func(h *carried.Hold, settings ...string) *thing {
			got, err := carried.Take(h, "thing", settings, func() (*thing, carried.Work, error) {
				made++
				return &thing{made}, carried.Work{
					Run:   func(ctx context.Context) { running.Add(1); <-ctx.Done(); running.Add(-1) },
					Close: func() { closed++ },
				}, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		first, second := shelf.Hold(), shelf.Hold()
		a, b := take(first, "a"), take(first, "b")
		if again := take(first, "a"); again != a {
			t.Error("equal settings in one configuration make two")
		}
		first.Start(t.Context())
		synctest.Wait()
		if n := running.Load(); n != 2 {
			t.Errorf("%d run", n)
		}
		if take(second, "a") != a || take(second, "c") == b {
			t.Error("what is unchanged was made anew, or what is another was not")
		}
		second.Start(t.Context())
		first.Release()
		synctest.Wait()
		if n := running.Load(); made != 3 || n != 2 || closed != 1 {
			t.Errorf("%d were made, %d run, %d are closed: want 3, 2, 1", made, n, closed)
		}
		second.Release()
		if n := running.Load(); n != 0 || closed != 3 {
			t.Errorf("in the end %d run and %d are closed", n, closed)
		}
		if third := take(shelf.Hold(), "a"); third == a {
			t.Error("something that was closed came back")
		}
	})
}

func TestWhatCouldNotBeMadeIsNotKept(t *testing.T) {
	var shelf carried.Shelf
	bad := errors.New("bad")
	for range 2 {
		_, err := carried.Take(shelf.Hold(), "thing", 1, func() (*thing, carried.Work, error) { return nil, carried.Work{}, bad })
		if !errors.Is(err, bad) {
			t.Errorf("%v", err)
		}
	}
	h := shelf.Hold()
	if _, err := carried.Take(h, "thing", 1, func() (*thing, carried.Work, error) { return &thing{}, carried.Work{}, nil }); err != nil {
		t.Error(err)
	}
	h.Release() // what never ran ends as well
}
