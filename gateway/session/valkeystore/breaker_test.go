package valkeystore

import (
	"testing"
	"time"
)

func TestBreakerOpensAfterSomeFailuresInARow(t *testing.T) {
	var b breaker
	now := time.Now()
	for range 5 {
		for range tripAfter - 1 {
			if b.failed(now, false) {
				t.Fatal("it opened too soon")
			}
		}
		b.succeeded()
	}
	for i := range tripAfter {
		if ok, _ := b.allow(now); !ok {
			t.Fatal("it is open too soon")
		}
		if opened := b.failed(now, false); opened != (i == tripAfter-1) {
			t.Errorf("failure %d: opened %v", i, opened)
		}
	}
	if ok, probe := b.allow(now); ok || probe {
		t.Error("a call or a probe is let through at once")
	}
}

func TestOpenBreakerSendsOneProbeAtATime(t *testing.T) {
	var b breaker
	now := time.Now()
	for range tripAfter {
		b.failed(now, false)
	}
	wait := firstWait
	for range 10 {
		now = now.Add(wait)
		if ok, probe := b.allow(now); ok || !probe {
			t.Fatalf("after %v: call %v, probe %v, want a probe", wait, ok, probe)
		}
		if ok, probe := b.allow(now); ok || probe {
			t.Fatal("a second probe while one is under way")
		}
		b.failed(now, false) // a call from before it opened changes nothing
		b.failed(now, true)
		wait = min(2*wait, maxWait)
		if _, probe := b.allow(now.Add(wait - time.Millisecond)); probe {
			t.Fatalf("a probe sooner than %v after the last", wait)
		}
	}
	now = now.Add(wait)
	b.allow(now)
	if !b.succeeded() {
		t.Error("a good probe did not close it")
	}
	if ok, _ := b.allow(now); !ok {
		t.Error("it is still open")
	}
}
