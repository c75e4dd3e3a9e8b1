package main

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestHeadroomForTheGarbageCollector(t *testing.T) {
	for live, want := range map[uint64]int{0: 800, 1 << 20: 800, 8 << 20: 400, 32 << 20: 100, 1 << 30: 100} {
		if got := percentFor(live); got != want {
			t.Errorf("with %d bytes live it is %d %%, want %d", live, got, want)
		}
	}
}

// percent reads the setting.
func percent() int {
	now := debug.SetGCPercent(100)
	debug.SetGCPercent(now)
	return now
}

func TestThePercentageFollowsWhatIsLive(t *testing.T) {
	t.Setenv("GOGC", "")
	before := percent()
	restore := tuneGC()
	if got := percent(); got < 200 {
		t.Errorf("at the start it is %d %%", got)
	}
	func() {
		large := make([]byte, 256<<20)
		until(t, func() bool { runtime.GC(); return percent() == 100 })
		runtime.KeepAlive(large)
	}()
	until(t, func() bool { runtime.GC(); return percent() >= 200 })
	restore()
	if got := percent(); got != before {
		t.Errorf("at the end it is %d %%, before it was %d", got, before)
	}
}

func TestTheOperatorsPercentageStays(t *testing.T) {
	t.Setenv("GOGC", "50")
	before := percent()
	defer tuneGC()()
	if got := percent(); got != before {
		t.Errorf("it was %d %% and is %d", before, got)
	}
}

func until(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !done(); {
		if time.Now().After(end) {
			t.Fatalf("the percentage stays %d", percent())
		}
	}
}
