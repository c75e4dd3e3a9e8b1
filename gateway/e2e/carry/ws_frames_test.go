//go:build e2e

package carry_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// frame is one frame (RFC 6455, section 5.2). first is its first byte: FIN, the
// reserved bits and the opcode. A client's is masked.
func frame(first byte, masked bool, body []byte) []byte {
	var b []byte
	mask := byte(0)
	if masked {
		mask = 0x80
	}
	switch n := len(body); {
	case n < 126:
		b = []byte{first, mask | byte(n)}
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16([]byte{first, mask | 126}, uint16(n))
	default:
		b = binary.BigEndian.AppendUint64([]byte{first, mask | 127}, uint64(n))
	}
	if !masked {
		return append(b, body...)
	}
	key := [4]byte{1, 0x80, 0xff, 7}
	b = append(b, key[:]...)
	for i, c := range body {
		b = append(b, c^key[i%4])
	}
	return b
}

// conversation is what one side says: frames of every kind and size, the usual
// and those that only an extension would send.
func conversation(masked bool) []byte {
	const fin, text, binary, closing, ping, pong = 0x80, 1, 2, 8, 9, 10
	var all []byte
	say := func(first byte, body []byte) { all = append(all, frame(first, masked, body)...) }
	for _, n := range []int32{0, 1, 125, 126, 127, 65535, 65536, 1 << 20, 16 << 20} {
		say(fin|binary, payload(n).GetBody())
	}
	// One message in fragments, some of them empty, with control frames between
	// and characters that the borders cut.
	say(text, []byte("\xed\x95"))
	say(fin|ping, payload(125).GetBody())
	say(0, []byte("\x9c\xf0\x9f"))
	say(fin|pong, []byte("nobody asked"))
	say(0, nil)
	say(fin|ping, nil)
	say(fin, []byte("\x98\x88"))
	// A compressed message, reserved bits and opcodes that nothing defines yet,
	// and text that is none: whoever is offended by it is not the gateway.
	say(fin|0x40|text, []byte("\xf2\x48\xcd\xc9\xc9\x07\x00"))
	say(fin|0x30|binary, []byte("reserved bits"))
	say(fin|0x3, []byte("a reserved opcode"))
	say(fin|0xb, []byte("a reserved control opcode"))
	say(fin|text, []byte("\xff\xfe\x00"))
	say(fin|closing, append(binaryCode(4999), strings.Repeat("é", 61)...))
	return all
}

func binaryCode(code uint16) []byte { return binary.BigEndian.AppendUint16(nil, code) }

// sockets is a listener that answers each handshake and gives out the
// connection.
func sockets(t *testing.T) (url string, accepted <-chan net.Conn) {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	conns := make(chan net.Conn, 4)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(patience))
			t.Cleanup(func() { _ = c.Close() })
			if _, err := http.ReadRequest(bufio.NewReaderSize(c, 16)); err != nil {
				continue
			}
			fmt.Fprint(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
				"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
			conns <- c
		}
	}()
	return "http://" + l.Addr().String(), conns
}

// upgrade sends a handshake and reads its answer.
func (g *gate) upgrade(t *testing.T, cookie string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c := g.dial(t)
	fmt.Fprintf(c, "GET /socket HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: %s\r\nCookie: %s\r\n\r\n", g.Host, g.URL, cookie)
	in := bufio.NewReader(c)
	res, err := http.ReadResponse(in, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", res, err)
	}
	return c, in
}

// TestWebSocketBytesPassUnchanged has both sides say everything that frames can
// be, at the same time, in pieces that have nothing to do with the frames.
func TestWebSocketBytesPassUnchanged(t *testing.T) {
	t.Parallel()
	for _, tlsIn := range []bool{false, true} {
		t.Run(fmt.Sprintf("TLS %v", tlsIn), func(t *testing.T) {
			t.Parallel()
			url, accepted := sockets(t)
			g := start(t, plan{tls: tlsIn, routes: fmt.Sprintf("  - {name: app, upstream: %q, policy: authenticated}", url)})
			client, in := g.upgrade(t, g.signIn(t, "alice"))
			app := within(t, patience, "the application has the WebSocket", accepted)

			fromClient, fromApp := conversation(true), conversation(false)
			go inPieces(client, fromClient)
			go inPieces(app, fromApp)
			heard := make(chan []byte, 1)
			go func() { heard <- exactly(app, len(fromClient)) }()
			if got := exactly(in, len(fromApp)); !bytes.Equal(got, fromApp) {
				t.Errorf("the client got %d bytes, which differ from the %d that were sent at %d", len(got), len(fromApp), difference(got, fromApp))
			}
			if got := within(t, patience, "the application has heard everything", heard); !bytes.Equal(got, fromClient) {
				t.Errorf("the application got %d bytes, which differ from the %d that were sent at %d", len(got), len(fromClient), difference(got, fromClient))
			}
		})
	}
}

// TestWebSocketHalfClose: who has finished speaking can still listen.
func TestWebSocketHalfClose(t *testing.T) {
	t.Parallel()
	url, accepted := sockets(t)
	g := start(t, plan{routes: fmt.Sprintf("  - {name: app, upstream: %q, policy: authenticated}", url)})
	cookie := g.signIn(t, "alice")
	type half interface{ CloseWrite() error }
	last, answer := frame(0x81, true, []byte("the last that I say")), frame(0x81, false, bytes.Repeat([]byte("and I "), 10_000))

	client, in := g.upgrade(t, cookie)
	app := within(t, patience, "the application has the WebSocket", accepted)
	_, _ = client.Write(last)
	if err := client.(half).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(app); err != nil || !bytes.Equal(got, last) {
		t.Fatalf("the application heard %d bytes, %v", len(got), err)
	}
	_, _ = app.Write(answer)
	_ = app.Close()
	if got, err := io.ReadAll(in); err != nil || !bytes.Equal(got, answer) {
		t.Errorf("the client, which had finished, heard %d of %d bytes, %v", len(got), len(answer), err)
	}

	client, in = g.upgrade(t, cookie)
	app = within(t, patience, "the application has the WebSocket", accepted)
	_, _ = app.Write(answer)
	if err := app.(half).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(in); err != nil || !bytes.Equal(got, answer) {
		t.Fatalf("the client heard %d bytes, %v", len(got), err)
	}
	_, _ = client.Write(last)
	_ = client.Close()
	if got, err := io.ReadAll(app); err != nil || !bytes.Equal(got, last) {
		t.Errorf("the application, which had finished, heard %q, %v", got, err)
	}
}

// inPieces writes in pieces of any length.
func inPieces(w io.Writer, b []byte) {
	random := rand.New(rand.NewPCG(1, 2)) // the same ones each time
	for len(b) > 0 {
		n := min(len(b), 1+random.IntN(1<<(1+random.IntN(17))))
		if _, err := w.Write(b[:n]); err != nil {
			return // the reader says what is missing
		}
		b = b[n:]
	}
}

// exactly reads n bytes, or as many as come.
func exactly(r io.Reader, n int) []byte {
	b := make([]byte, n)
	n, _ = io.ReadFull(r, b)
	return b[:n]
}

func difference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}
