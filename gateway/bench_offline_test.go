//go:build !e2e

package gateway_test

import "testing"

// benchOverValkey needs a real Valkey, and the tag e2e: see make bench.
func benchOverValkey(*testing.B) {}
