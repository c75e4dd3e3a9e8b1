//go:build e2e && linux

package compare

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"
)

// client is one keep-alive connection. It is made to cost little beside what it
// measures: it sends bytes that are ready, and reads of the answer only the status
// and the length.
type client struct {
	conn net.Conn
	buf  []byte
}

// patience bounds the wait for one answer.
const patience = 10 * time.Second

func dial(ctx context.Context, address string) (*client, error) {
	dialer := net.Dialer{Timeout: patience}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &client{conn: conn, buf: make([]byte, 16<<10)}, nil
}

// exchange sends a request without a body and reads the answer to its end.
func (c *client) exchange(request []byte) (status int, err error) {
	if _, err := c.conn.Write(request); err != nil {
		return 0, err
	}
	have, size := 0, 0
	for size == 0 || have < size {
		if have == len(c.buf) {
			return 0, errors.New("an answer larger than the client's buffer")
		}
		n, err := c.conn.Read(c.buf[have:])
		if err != nil {
			return 0, err
		}
		have += n
		if size != 0 {
			continue
		}
		head := bytes.Index(c.buf[:have], []byte("\r\n\r\n"))
		if head < 0 {
			continue
		}
		var length int
		if status, length, err = parseHead(c.buf[:head]); err != nil {
			return 0, err
		}
		size = head + len("\r\n\r\n") + length
	}
	if have > size {
		return 0, errors.New("more bytes than the answer has")
	}
	return status, nil
}

// parseHead reads a status line and the Content-Length, which every answer here has.
func parseHead(head []byte) (status, length int, err error) {
	const version = "HTTP/1.1 "
	if len(head) < len(version)+3 || string(head[:len(version)]) != version {
		return 0, 0, fmt.Errorf("%.40q is no status line", head)
	}
	if status, err = strconv.Atoi(string(head[len(version) : len(version)+3])); err != nil {
		return 0, 0, err
	}
	if status == 204 {
		return status, 0, nil
	}
	const name = "\r\ncontent-length: "
	for rest := head; ; {
		at := bytes.IndexByte(rest, '\r')
		if at < 0 || len(rest) < at+len(name) {
			return 0, 0, fmt.Errorf("an answer %d without Content-Length", status)
		}
		rest = rest[at:]
		if !bytes.EqualFold(rest[:len(name)], []byte(name)) {
			rest = rest[1:]
			continue
		}
		value, _, _ := bytes.Cut(rest[len(name):], []byte("\r"))
		length, err = strconv.Atoi(string(value))
		return status, length, err
	}
}
