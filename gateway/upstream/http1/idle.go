package http1

import (
	"bufio"
	"sync"
	"time"
)

// idle are the connections that no request uses, the last used on top.
type idle struct {
	max     int
	timeout time.Duration

	mu     sync.Mutex
	conns  []*conn
	closed bool        // closeAll was called, and nobody has asked for one since: none is kept
	sweep  *time.Timer // runs while there are any

	spare sync.Pool
}

// take returns the connection that was used last; nil where there is none.
func (i *idle) take() *conn {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.closed = false
	last := len(i.conns) - 1
	if last < 0 {
		return nil
	}
	c := i.conns[last]
	i.conns[last] = nil
	i.conns = i.conns[:last]
	return c
}

// put keeps a connection.
func (i *idle) put(c *conn) {
	c.since = time.Now()
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed || len(i.conns) >= i.max {
		c.abort()
		return
	}
	i.conns = append(i.conns, c)
	if i.sweep == nil {
		i.sweep = time.AfterFunc(i.timeout, i.expire)
	}
}

// expire closes what was not used for long, which is at the bottom.
func (i *idle) expire() {
	i.mu.Lock()
	defer i.mu.Unlock()
	old := 0
	for old < len(i.conns) && time.Since(i.conns[old].since) >= i.timeout {
		i.conns[old].abort()
		old++
	}
	left := copy(i.conns, i.conns[old:])
	clear(i.conns[left:])
	i.conns = i.conns[:left]
	if left == 0 {
		i.sweep = nil
		return
	}
	i.sweep.Reset(i.timeout - time.Since(i.conns[0].since))
}

// closeAll closes those that are idle, and those that become idle before somebody
// asks for another: they are meant for the last time.
func (i *idle) closeAll() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.closed = true
	for _, c := range i.conns {
		c.abort()
	}
	clear(i.conns)
	i.conns = i.conns[:0]
	if i.sweep != nil {
		i.sweep.Stop()
		i.sweep = nil
	}
}

// buffers lends some to a request.
func (i *idle) buffers() *buffers {
	if b, ok := i.spare.Get().(*buffers); ok {
		return b
	}
	return &buffers{in: bufio.NewReaderSize(nil, inSize), out: make([]byte, 0, outSize)}
}

// lend takes buffers back.
func (i *idle) lend(b *buffers) {
	if cap(b.out) > maxOut {
		return
	}
	b.in.Reset(nil)
	i.spare.Put(b)
}
