//go:build !unix

package http1

import "net"

// silence can't tell, so that no connection is used again.
func silence(net.Conn) func() bool { return nil }
