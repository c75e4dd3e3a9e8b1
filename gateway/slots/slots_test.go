package slots_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/sallyport/sallyport/gateway/slots"
)

func TestSlotsAreHandedOnInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, never, full := slots.New(1), make(chan struct{}), 0
		if !s.Take(never, func() { full++ }) || full != 0 {
			t.Fatal("the first slot was not free")
		}
		var order []int
		for i := range 2 {
			go func() {
				if s.Take(never, func() { full++ }) {
					order = append(order, i)
				}
			}()
			synctest.Wait()
		}
		if full != 2 || len(order) != 0 {
			t.Fatalf("%v came in, and it was said %d times that it is full", order, full)
		}
		for range 2 {
			s.Leave()
			synctest.Wait()
		}
		if len(order) != 2 || order[0] != 0 {
			t.Errorf("they came in as %v", order)
		}
	})
}

func TestAHigherLimitLetsInWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, never := slots.New(1), make(chan struct{})
		s.Take(never, nil)
		var in atomic.Int32
		for range 3 {
			go func() {
				if s.Take(never, nil) {
					in.Add(1)
				}
			}()
		}
		synctest.Wait()
		s.SetLimit(3)
		synctest.Wait()
		if in.Load() != 2 {
			t.Errorf("%d of 3 came in by a limit of 3, where one was in", in.Load())
		}
		s.SetLimit(1)
		s.Leave()
		synctest.Wait()
		if in.Load() != 2 {
			t.Error("one came in by a limit that is exceeded")
		}
		s.SetLimit(0)
		synctest.Wait()
		if in.Load() != 3 {
			t.Error("one waits though there is no limit")
		}
	})
}

func TestWhoGivesUpTakesNoSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, never, ended := slots.New(1), make(chan struct{}), make(chan struct{})
		s.Take(never, nil)
		got := true
		go func() { got = s.Take(ended, nil) }()
		synctest.Wait()
		close(ended)
		synctest.Wait()
		s.Leave()
		if got || !s.Take(never, func() { t.Error("it is full") }) {
			t.Error("who gave up has a slot")
		}
	})
}
