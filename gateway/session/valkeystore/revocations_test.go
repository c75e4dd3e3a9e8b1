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
