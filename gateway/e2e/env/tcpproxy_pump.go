//go:build e2e

package env

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// The buffers of one direction: more than that stays in the kernel, which makes
// the sender wait.
const (
	chunkSize = 16 << 10
	maxChunks = 64
)

// pump passes on what src sends, and how it ends, through a valve.
func (c *proxied) pump(dst, src *net.TCPConn, v *valve) {
	chunks := make(chan chunk, maxChunks)
	var reader sync.WaitGroup
	reader.Go(func() { c.read(src, chunks) })
	c.write(dst, chunks, v)
	reader.Wait()
}

// read queues what src sends until it ends.
func (c *proxied) read(src *net.TCPConn, chunks chan<- chunk) {
	buf := make([]byte, chunkSize)
	for {
		n, err := src.Read(buf)
		if src == c.client {
			c.proxy.sent.Add(int64(n))
		}
		due := time.Now().Add(c.proxy.currentDelay())
		if n > 0 && !c.queue(chunks, chunk{due: due, data: append([]byte(nil), buf[:n]...)}) {
			return
		}
		if err != nil {
			c.queue(chunks, chunk{due: due, err: err})
			return
		}
	}
}

func (c *proxied) queue(chunks chan<- chunk, ch chunk) bool {
	select {
	case chunks <- ch:
		return true
	case <-c.done:
		return false
	}
}

// write passes on what is queued. It returns after the end of the stream; when
// that was not in order, or dst takes no more, the whole connection is reset.
func (c *proxied) write(dst *net.TCPConn, chunks <-chan chunk, v *valve) {
	for {
		var ch chunk
		select {
		case ch = <-chunks:
		case <-c.done:
			return
		}
		late := time.NewTimer(time.Until(ch.due))
		select {
		case <-late.C:
		case <-c.done:
			late.Stop()
			return
		}
		if !v.pass(dst, ch, c.done) {
			c.abort()
			return
		}
		if ch.err != nil {
			return
		}
	}
}

// valve is what one direction flows through. Shut means that nothing passes
// from the moment that set returns.
type valve struct {
	mu   sync.Mutex
	open chan struct{} // closed while the valve is open
}

func (v *valve) set(open bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.open == nil {
		v.open = make(chan struct{})
	}
	select {
	case <-v.open:
		if !open {
			v.open = make(chan struct{})
		}
	default:
		if open {
			close(v.open)
		}
	}
}

// wait waits until the valve is open; it returns false when done is closed first.
func (v *valve) wait(done <-chan struct{}) bool {
	v.mu.Lock()
	open := v.open
	v.mu.Unlock()
	select {
	case <-open:
		return true
	case <-done:
		return false
	}
}

// pass writes a chunk while the valve is open. It returns false when the
// connection can't go on.
func (v *valve) pass(dst *net.TCPConn, ch chunk, done <-chan struct{}) bool {
	for {
		if !v.wait(done) {
			return false
		}
		n, err := v.try(dst, ch)
		if err == nil {
			return true
		}
		// The valve was shut again, or dst is slow: once more with the rest.
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return false
		}
		ch.data = ch.data[n:]
	}
}

// try passes on what it can in a moment, so that set never waits long.
func (v *valve) try(dst *net.TCPConn, ch chunk) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	select {
	case <-v.open:
	default:
		return 0, os.ErrDeadlineExceeded
	}
	switch {
	case errors.Is(ch.err, io.EOF):
		return 0, dst.CloseWrite()
	case ch.err != nil:
		return 0, ch.err
	}
	if err := dst.SetWriteDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		return 0, err
	}
	return dst.Write(ch.data)
}

// reset closes a connection so that the other side sees a reset.
func reset(conn *net.TCPConn) {
	_ = conn.SetLinger(0) // it may be closed already
	_ = conn.Close()
}
