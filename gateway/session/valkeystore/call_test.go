package valkeystore

import (
	"testing"

	"go.uber.org/zap"
)

// TestAnOutageIsNotForgotten when the last call that succeeded finds, just
// before the breaker opens, that all is well, and says so just after.
func TestAnOutageIsNotForgotten(t *testing.T) {
	s := &Store{log: zap.NewNop(), closed: true}
	b := &s.breakers[0]
	for range tripAfter {
		s.judge(b, handle{}, ClassTimeout, errDeadline)
	}
	s.setFault(nil) // of that call
	s.probed(b, handle{}, ClassTimeout, errDeadline)
	if s.Available() {
		t.Error("no call is let through, and the store passes for available")
	}
}
