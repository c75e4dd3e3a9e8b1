package valkeystore

import "testing"

func TestBreakerOpensAfterSomeFailuresInARow(t *testing.T) {
	var b breaker
	for range 5 {
		for range tripAfter - 1 {
			if b.failed() || b.open() {
				t.Fatal("it opened too soon")
			}
		}
		b.succeeded()
	}
	for i := range tripAfter {
		if opened := b.failed(); opened != (i == tripAfter-1) {
			t.Errorf("failure %d: opened %v", i, opened)
		}
	}
	if !b.open() {
		t.Error("it is closed")
	}
	// Calls that were under way start no second probe.
	for range 10 {
		if b.failed() {
			t.Error("it opened twice")
		}
	}
	if b.succeeded(); b.open() {
		t.Error("a good probe did not close it")
	}
	if b.failed() {
		t.Error("one failure opened it again")
	}
}
