//go:build race

package session_test

// raceEnabled: the race detector makes sync.Pool drop values, so allocation
// counts mean nothing under it.
const raceEnabled = true
