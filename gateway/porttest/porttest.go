// Package porttest owns where the servers of tests listen that have to know their
// port before they start.
package porttest

import (
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
)

// From below the ports that the kernel gives to clients and to servers of port 0: those
// may be taken again before the server listens, and a client that keeps dialing a dead
// server there can be connected to itself.
const (
	first = 20_000
	after = 32_000
)

// taken are those that tests have got: between two starts of a server nobody listens
// on its port.
var taken sync.Map //nolint:gochecknoglobals // one process runs the tests of one package

// Free returns a TCP port of 127.0.0.1 on which nobody listens, never the same twice.
// It is safe for concurrent use.
func Free(tb testing.TB) int {
	tb.Helper()
	var lc net.ListenConfig
	for range 100 {
		port := first + rand.IntN(after-first) //nolint:gosec // no secret
		if _, again := taken.LoadOrStore(port, true); again {
			continue
		}
		l, err := lc.Listen(tb.Context(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			_ = l.Close()
			return port
		}
	}
	tb.Fatalf("no free port from %d on", first)
	return 0
}
