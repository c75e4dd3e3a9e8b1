//go:build e2e && linux

package compare

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"
)

// startApp starts the application behind all proxies, in this process, and returns
// its address. It answers every request head with the same 1 KiB, and does nothing
// else, so that it costs little.
func startApp(tb testing.TB) string {
	tb.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Close() })
	const size = 1 << 10
	answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nCache-Control: no-cache\r\nContent-Length: %d\r\n\r\n%s",
		size, strings.Repeat("x", size))
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c, answer)
		}
	}()
	return l.Addr().String()
}

func serve(c net.Conn, answer []byte) {
	defer func() { _ = c.Close() }()
	buf, have := make([]byte, 16<<10), 0
	for {
		n, err := c.Read(buf[have:])
		if err != nil {
			return
		}
		if have += n; !bytes.HasSuffix(buf[:have], []byte("\r\n\r\n")) {
			continue
		}
		have = 0
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}
