//go:build unix

package http1

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

const canLook = true

// silence returns a function that reports whether a connection is open and nothing
// waits to be read, without reading anything. Nil where that can't be told.
func silence(raw net.Conn) func() bool {
	with, ok := raw.(syscall.Conn)
	if !ok {
		return nil
	}
	access, err := with.SyscallConn()
	if err != nil {
		return nil
	}
	silent := false
	var one [1]byte
	look := func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		silent = errors.Is(err, syscall.EAGAIN)
		return true
	}
	return func() bool {
		silent = false
		err := access.Read(look)
		if errors.Is(err, os.ErrDeadlineExceeded) { // of its last request
			_ = raw.SetDeadline(time.Time{})
			err = access.Read(look)
		}
		return err == nil && silent
	}
}
