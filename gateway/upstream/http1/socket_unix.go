//go:build unix

package http1

import (
	"errors"
	"net"
	"syscall"
)

const canLook = true

// socket asks over a connection that was kept. One call looks whether anything is
// there that nobody asked for, writes the request, and waits for the answer: what a
// Write and a Read do as well, but for the look, and for a read in vain before the
// wait.
type socket struct {
	access syscall.RawConn
	out    []byte
	sent   int // of out
	state  socketState
	one    [1]byte
	step   func(fd uintptr) bool
}

type socketState uint8

const (
	looking socketState = iota
	sending             // a part was sent, or there was an error: Write goes on
	waiting
	loud // it is closed, or something is there
)

// newSocket returns nil for a connection that is no socket.
func newSocket(raw net.Conn) *socket {
	with, ok := raw.(syscall.Conn)
	if !ok {
		return nil
	}
	access, err := with.SyscallConn()
	if err != nil {
		return nil
	}
	s := &socket{access: access}
	s.step = s.next
	return s
}

// ask returns false if the connection must not be used; nothing was sent then.
// Otherwise it returns how much was sent, all of it only when something can be read.
func (s *socket) ask(out []byte) (silent bool, sent int, err error) {
	s.out, s.sent, s.state = out, 0, looking
	err = s.access.Read(s.step)
	s.out = nil
	if s.state == loud || err != nil && s.state == looking {
		return false, 0, err
	}
	return true, s.sent, err
}

// next is called when the descriptor may have something to read, the first time in any
// case. What arrives from then on is not missed by the wait after it.
func (s *socket) next(fd uintptr) (done bool) {
	if s.state != looking {
		return true
	}
	if _, _, err := syscall.Recvfrom(int(fd), s.one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT); !errors.Is(err, syscall.EAGAIN) {
		s.state = loud
		return true
	}
	n, err := syscall.Write(int(fd), s.out)
	s.sent = max(n, 0)
	if err != nil || s.sent < len(s.out) {
		s.state = sending
		return true
	}
	s.state = waiting
	return false
}
