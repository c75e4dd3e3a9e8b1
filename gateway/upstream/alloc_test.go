//go:build !race

package upstream_test

import (
	"testing"
)

// The race detector makes sync.Pool forget at random, so that nothing is counted
// under it.

// TestCarryingARequestAllocatesNothing, as long as nothing must be counted until
// the end of its answer; that takes one allocation.
func TestCarryingARequestAllocatesNothing(t *testing.T) {
	for name, r := range ways() {
		for answer, most := range map[string]float64{"": 0, "a body": 1} {
			if r.Balance.MaxConnections == 0 && len(r.Upstream) == 1 {
				most = 0
			}
			p, again := canned(t, r, answer)
			key := session(1)
			if got := testing.AllocsPerRun(1000, func() { again(p, key) }); got > most {
				t.Errorf("%s, answered with %q: it allocates %.1f times", name, answer, got)
			}
		}
	}
}
