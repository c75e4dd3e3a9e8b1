package http1

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"time"
)

// conn is a connection. One request at a time uses it: whoever holds it.
type conn struct {
	net.Conn
	of     *Transport
	socket *socket   // nil where it is none, and can't be kept
	abort  func()    // closes it, whoever uses it
	kept   bool      // it has carried a request before
	since  time.Time // it is idle

	// While a request uses it.
	buf       *buffers
	failed    error       // of the last Read
	limit     int64       // how many bytes may still be read for the headers; negative = no limit
	stop      func() bool // ends the watch over the request's context
	mayRepeat bool        // the request failed, and may be sent over another connection
	unsent    bool        // because nothing of it was sent
}

// buffers are lent to connections that are in use, so that idle ones hold none.
type buffers struct {
	in  *bufio.Reader
	out []byte
}

const (
	inSize  = 16 << 10
	outSize = 4 << 10
	maxOut  = 64 << 10 // larger ones are not kept
)

func newConn(t *Transport, raw net.Conn) *conn {
	c := &conn{Conn: raw, of: t, socket: newSocket(raw)}
	c.abort = func() { _ = raw.Close() } // whoever waits learns of it
	return c
}

var errHeaderTooLarge = errors.New("http1: the header of the answer is too large")

// Read implements io.Reader for the buffer.
func (c *conn) Read(p []byte) (int, error) {
	if c.limit == 0 {
		return 0, errHeaderTooLarge
	}
	if c.limit > 0 && int64(len(p)) > c.limit {
		p = p[:c.limit]
	}
	n, err := c.Conn.Read(p)
	c.failed = err
	if c.limit > 0 {
		c.limit -= int64(n)
	}
	return n, err
}

// exchange sends a request and reads the header of its answer. The connection is
// then the answer's, or kept; after an error it is closed, and the buffers are the
// caller's.
func (c *conn) exchange(r *http.Request, buf *buffers) (*http.Response, error) {
	c.buf = buf
	c.buf.in.Reset(c)
	ctx := r.Context()
	c.stop = context.AfterFunc(ctx, c.abort)
	res, err := c.ask(r)
	if err != nil {
		c.stop()
		c.abort()
		return nil, err
	}
	if res.Body == http.NoBody {
		c.done(reusable(res))
		return res, nil
	}
	if c.of.o.HeaderTimeout > 0 && res.ContentLength != int64(c.buf.in.Buffered()) {
		// The body may take its time. One that is there already needs no waiting.
		if err := c.SetDeadline(time.Time{}); err != nil {
			c.stop()
			c.abort()
			return nil, err
		}
	}
	res.Body = &body{from: res.Body, conn: c, ctx: ctx, reusable: reusable(res)}
	return res, nil
}

// reusable reports whether an answer leaves the connection open, as far as it says.
func reusable(res *http.Response) bool { return !res.Close && res.ProtoAtLeast(1, 1) }

// ask writes the request and reads up to the header of the final answer.
func (c *conn) ask(r *http.Request) (*http.Response, error) {
	if wait := c.of.o.HeaderTimeout; wait > 0 {
		if err := c.SetDeadline(time.Now().Add(wait)); err != nil {
			return nil, c.gone(err)
		}
	}
	if err := c.send(c.buf.out); err != nil {
		return nil, err
	}
	c.limit = c.of.o.MaxHeaderBytes
	if _, err := c.buf.in.Peek(1); err != nil {
		return nil, c.gone(err)
	}
	for {
		res, err := http.ReadResponse(c.buf.in, r)
		if err != nil {
			if c.failed != nil { // which net/http may have taken for a header that is malformed
				err = c.failed
			}
			return nil, fmt.Errorf("http1: reading the answer: %w", noEOF(err))
		}
		switch {
		case res.StatusCode >= 200:
			c.limit = -1
			return res, nil
		case res.StatusCode < 100:
			return nil, fmt.Errorf("http1: %d is no status", res.StatusCode)
		case res.StatusCode == http.StatusSwitchingProtocols:
			return nil, errors.New("http1: the upstream switches protocols, which it was not asked for")
		}
		if err := inform(r.Context(), res); err != nil {
			return nil, err
		}
	}
}

var errNotSilent = errors.New("http1: the upstream closed a connection that was kept, or said what nobody asked for")

// send writes the request. Bytes that came since the last answer would be taken for
// the answer to this one, which is that of another user.
func (c *conn) send(out []byte) error {
	if c.kept {
		silent, sent, err := c.socket.ask(out)
		if !silent {
			c.mayRepeat, c.unsent = true, true
			return errNotSilent
		}
		if err != nil {
			return c.gone(err)
		}
		out = out[sent:]
	}
	if len(out) > 0 {
		if _, err := c.Write(out); err != nil {
			return c.gone(err)
		}
	}
	return nil
}

// gone is the error of a connection of which no answer was read. If it was kept, the
// upstream may have closed it before it saw the request; if it was silent for too
// long, it has not.
func (c *conn) gone(err error) error {
	slow, ok := errors.AsType[net.Error](err)
	c.mayRepeat = c.kept && (!ok || !slow.Timeout())
	return fmt.Errorf("http1: waiting for the answer: %w", noEOF(err))
}

// noEOF is err, which came too early to be an end.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// inform passes an informational answer on.
func inform(ctx context.Context, res *http.Response) error {
	trace := httptrace.ContextClientTrace(ctx)
	if trace == nil || trace.Got1xxResponse == nil {
		return nil
	}
	return trace.Got1xxResponse(res.StatusCode, textproto.MIMEHeader(res.Header))
}

// done ends the request's use of the connection after a whole answer.
func (c *conn) done(reusable bool) {
	// What is buffered belongs to no request, and whoever sent it may have meant it
	// as the answer to the next one. If the watch can't be stopped, it is closing
	// the connection right now.
	quiet := c.buf.in.Buffered() == 0
	c.of.idle.lend(c.buf)
	c.buf = nil
	if !c.stop() || !quiet || !reusable || c.socket == nil {
		c.abort()
		return
	}
	c.stop, c.kept = nil, true
	c.of.idle.put(c)
}
