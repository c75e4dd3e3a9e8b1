//go:build e2e && !race

package gateway_test

import "testing"

func TestDecidingASessionFromTheNearCacheAllocatesNothing(t *testing.T) {
	j := newJudgeOver(t, valkey(t, 64<<20))
	r := j.sessionRequest(t)
	allow(t, j.guard, r)
	// Now and then the connection is asked for a sign of life.
	if got := testing.AllocsPerRun(10_000, func() { allow(t, j.guard, r) }); got >= 1 {
		t.Errorf("a decision allocates %.2f times", got)
	}
}
