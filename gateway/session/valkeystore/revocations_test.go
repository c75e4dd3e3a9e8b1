package valkeystore

import (
	"testing"
	"time"
)

// TestAskingAgainDrivesNoRevocationOut: whoever keeps signing out of a session
// that is over must not make a gateway forget what others ended.
func TestAskingAgainDrivesNoRevocationOut(t *testing.T) {
	var r revocations
	now := time.Now()
	r.add(revocation{handle: handleOf(keyNumber(1)), at: now, end: now.Add(time.Hour)})
	for range maxRevocations {
		r.addOnce(revocation{handle: handleOf(keyNumber(2)), at: now, end: now.Add(time.Hour)})
	}
	if all := r.all(); len(all) != 2 || all[0].handle != handleOf(keyNumber(1)) {
		t.Errorf("%d revocations are remembered", len(all))
	}
}

// TestRevocationsBeyondTheBound: the newest are remembered, however many there are, and
// no more than about as many are held.
func TestRevocationsBeyondTheBound(t *testing.T) {
	var r revocations
	now := time.Now()
	const n = 4 * maxRevocations
	for i := range n {
		r.add(revocation{handle: handleOf(keyNumber(i)), at: now, end: now.Add(time.Hour)})
	}
	all := r.all()
	if len(all) < maxRevocations-1 || len(all) > maxRevocations || all[0].handle != handleOf(keyNumber(n-len(all))) || all[len(all)-1].handle != handleOf(keyNumber(n-1)) {
		t.Errorf("%d revocations are remembered, or not the newest", len(all))
	}
	if cap(r.recent) > 2*maxRevocations {
		t.Errorf("there is room for %d", cap(r.recent))
	}
}
