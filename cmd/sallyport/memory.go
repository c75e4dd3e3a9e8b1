package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

// headroom is how much is allocated at least before garbage is collected again. By
// default that is as much as there is live, which is a few MiB here: a busy gateway
// would collect dozens of times a second, for a tenth of its CPU time.
const headroom = 32 << 20

// tuneGC makes the garbage collector leave headroom, until restore is called. It
// leaves a GOGC of the operator's alone; GOMEMLIMIT holds in any case.
func tuneGC() (restore func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	before := debug.SetGCPercent(100)
	var over atomic.Bool
	adapt(100, &over)
	return func() {
		over.Store(true)
		debug.SetGCPercent(before)
	}
}

// adapt sets the percentage for what is live now, and again after each collection:
// an object that nobody refers to is found by the next one.
func adapt(percent int, over *atomic.Bool) {
	if over.Load() {
		return
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	if want := percentFor(live[0].Value.Uint64()); want < percent*9/10 || want > percent*11/10 {
		percent = want
		debug.SetGCPercent(percent)
	}
	runtime.AddCleanup(new([64]byte), func(percent int) { adapt(percent, over) }, percent)
}

// percentFor is how much may be allocated, in percent of what is live. The runtime
// takes 4 MiB for live where it is less.
func percentFor(live uint64) int {
	return max(100, int(100*headroom/max(live, 4<<20)))
}
