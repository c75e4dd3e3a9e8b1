//go:build e2e && race

package e2e_test

import "time"

// raceSlack is what limits of time are stretched by. The gateway itself is built
// without the race detector; the tests that measure are slower with it.
const raceSlack = 100 * time.Millisecond
