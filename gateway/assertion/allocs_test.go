//go:build !race

package assertion_test

import (
	"testing"
	"time"
)

// The race detector allocates by itself.
func TestReusingAnAssertionAllocatesNothing(t *testing.T) {
	m, id, now := minter(stored(t, &memory{}, "ES256")), someone(1), time.Now()
	got := testing.AllocsPerRun(1000, func() {
		if _, err := m.Mint(id, "app", now); err != nil {
			t.Fatal(err)
		}
	})
	if got > 0 {
		t.Errorf("%.1f allocations", got)
	}
}
