//go:build e2e

package carry_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/tlstest"
)

// chat is an application with WebSockets. It sends back each message in two parts,
// but for "close CODE REASON", after which it hangs up.
type chat struct {
	url  string
	ends chan error // what each WebSocket at /watched ended with
}

func startChat(t *testing.T, l library) *chat {
	t.Helper()
	c := &chat{ends: make(chan error, 64)}
	c.url = application(t, func(w http.ResponseWriter, r *http.Request) {
		p, err := l.accept(w, r, socketOptions{subprotocols: []string{"chat.v2", "chat.v1"}, compress: strings.HasPrefix(r.URL.Path, "/deflate")})
		if err != nil {
			return
		}
		err = serveChat(p)
		p.drop()
		if r.URL.Path == "/watched" {
			c.ends <- err
		}
	})
	return c
}

func serveChat(p peer) error {
	type message struct {
		kind int
		body []byte
	}
	in, failed := make(chan message), make(chan error, 1)
	go func() { // what answers is not what reads: a ping waits for its pong
		defer close(in)
		for {
			kind, body, err := p.receive()
			if err != nil {
				failed <- err
				return
			}
			in <- message{kind, body}
		}
	}()
	for m := range in {
		if order, ok := strings.CutPrefix(string(m.body), "close "); ok && m.kind == text {
			code, reason, _ := strings.Cut(order, " ")
			n, _ := strconv.Atoi(code)
			_ = p.hangUp(n, reason)
			continue
		}
		half := len(m.body) / 2
		if err := p.send(m.kind, m.body[:half], m.body[half:]); err != nil {
			return err
		}
	}
	return <-failed
}

// line is a WebSocket through the gateway; what arrives is in messages, and ended
// has what the client's side ended with.
type line struct {
	peer
	res      *http.Response
	messages chan []byte
	ended    chan error
}

// open opens a WebSocket with this library as somebody who is signed in.
func (g *gate) open(t *testing.T, l library, path, cookie string, o socketOptions) *line {
	t.Helper()
	o.header = http.Header{"Cookie": {cookie}, "Origin": {g.URL}}
	if g.CA != nil {
		o.tls = &tls.Config{RootCAs: g.CA.Pool()}
	}
	p, res, err := l.dial(g.URL+path, o)
	if err != nil {
		t.Fatalf("%v, %v", err, res)
	}
	c := &line{p, res, make(chan []byte, 4), make(chan error, 1)}
	go func() {
		for {
			kind, body, err := p.receive()
			if err != nil {
				c.ended <- err
				return
			}
			c.messages <- append([]byte{byte(kind)}, body...)
		}
	}()
	t.Cleanup(p.drop)
	return c
}

// echoed sends a message and waits for it to come back.
func (c *line) echoed(t *testing.T, kind int, parts ...[]byte) {
	t.Helper()
	if err := c.send(kind, parts...); err != nil {
		t.Fatal(err)
	}
	got := within(t, patience, "the message comes back", c.messages)
	if want := slices.Concat(parts...); got[0] != byte(kind) || !bytes.Equal(got[1:], want) {
		t.Errorf("sent %d bytes of kind %d, got %d of kind %d", len(want), kind, len(got)-1, got[0])
	}
}

// TestWebSocketLibrariesUnderstandEachOther has one library as the client and the
// other one as the application: the gateway between them must change nothing that
// either would object to.
func TestWebSocketLibrariesUnderstandEachOther(t *testing.T) {
	t.Parallel()
	for _, tlsIn := range []bool{false, true} {
		for client, application := range map[string]string{"coder": "gorilla", "gorilla": "coder"} {
			t.Run(fmt.Sprintf("%s to %s, TLS %v", client, application, tlsIn), func(t *testing.T) {
				t.Parallel()
				l, app := libraries()[client], startChat(t, libraries()[application])
				g := start(t, plan{tls: tlsIn, routes: fmt.Sprintf("  - {name: chat, upstream: %q, policy: authenticated}", app.url)})
				cookie := g.signIn(t, "alice")
				t.Run("messages", func(t *testing.T) { g.messages(t, l, cookie) })
				t.Run("deflate", func(t *testing.T) { g.deflate(t, l, cookie) })
				t.Run("subprotocols", func(t *testing.T) { g.subprotocols(t, l, cookie) })
				t.Run("close codes", func(t *testing.T) { g.closeCodes(t, l, app, cookie) })
			})
		}
	}
}

func (g *gate) messages(t *testing.T, l library, cookie string) {
	c := g.open(t, l, "/chat", cookie, socketOptions{})
	for _, size := range []int{0, 1, 125, 126, 127, 65535, 65536, 1 << 20, 16 << 20} {
		c.echoed(t, blob, payload(int32(size)).GetBody())
	}
	for range 3 {
		if err := c.ping(); err != nil {
			t.Fatal(err)
		}
	}
	c.echoed(t, text, []byte("in "), []byte("three "), []byte("parts, with pings between"))
	c.echoed(t, text, nil, []byte("the first part is empty"), nil)
	// Characters that are cut by the border of a fragment: 한 and 😈.
	c.echoed(t, text, []byte("\xed\x95"), []byte("\x9c and \xf0"), []byte("\x9f\x98"), []byte("\x88"))
	c.echoed(t, text, []byte(strings.Repeat("글", 100_000)))
}

func (g *gate) deflate(t *testing.T, l library, cookie string) {
	c := g.open(t, l, "/deflate", cookie, socketOptions{compress: true})
	if got := c.res.Header.Get("Sec-WebSocket-Extensions"); !strings.HasPrefix(got, "permessage-deflate") {
		t.Fatalf("negotiated %q", got)
	}
	for range 3 { // what came before is the dictionary of what comes next
		c.echoed(t, text, bytes.Repeat([]byte("all the same "), 100_000))
	}
	c.echoed(t, blob, payload(1<<20).GetBody())
	c.echoed(t, text, []byte("short"))
}

func (g *gate) subprotocols(t *testing.T, l library, cookie string) {
	for want, offer := range map[string][]string{"chat.v1": {"chat.v0", "chat.v1"}, "": {"other"}} {
		c := g.open(t, l, "/chat", cookie, socketOptions{subprotocols: offer})
		if got := c.subprotocol(); got != want {
			t.Errorf("of %q the application took %q, and the client got %q", offer, want, got)
		}
		c.echoed(t, text, []byte("hello"))
	}
}

// closeCodes lets both sides hang up, each with every code.
func (g *gate) closeCodes(t *testing.T, l library, app *chat, cookie string) {
	reason := strings.Repeat("é", 61) // with the code, all that a control frame holds
	for _, code := range []int{1000, 1001, 1003, 1007, 1009, 1011, 3000, 4999, noStatus} {
		want := reason
		if code == noStatus {
			want = ""
		}
		c := g.open(t, l, "/watched", cookie, socketOptions{})
		c.echoed(t, text, []byte("hello"))
		if err := c.hangUp(code, want); err != nil {
			t.Errorf("%d by the client: %v", code, err)
		}
		if got, why := closing(t, within(t, patience, "the application sees the end", app.ends)); got != code || why != want {
			t.Errorf("the client hung up with %d, the application got %d %q", code, got, why)
		}
		within(t, patience, "the client's side is over", c.ended)

		c = g.open(t, l, "/watched", cookie, socketOptions{})
		if err := c.send(text, fmt.Appendf(nil, "close %d %s", code, want)); err != nil {
			t.Fatal(err)
		}
		if got, why := closing(t, within(t, patience, "the client sees the end", c.ended)); got != code || why != want {
			t.Errorf("the application hung up with %d, the client got %d %q", code, got, why)
		}
		within(t, patience, "the application's side is over", app.ends)
	}
}

// TestWebSocketEndsForBothSides: a sign-out is 1008, the gateway's shutdown 1001,
// and the application sees its end too.
func TestWebSocketEndsForBothSides(t *testing.T) {
	t.Parallel()
	ca := tlstest.New(t)
	for name, l := range libraries() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := startChat(t, l)
			g := start(t, plan{tls: true, ca: ca, routes: fmt.Sprintf("  - {name: chat, upstream: %q, policy: authenticated}", app.url)})
			alice, bob := g.signIn(t, "alice"), g.signIn(t, "bob")
			mine, other := g.open(t, l, "/watched", alice, socketOptions{}), g.open(t, l, "/watched", bob, socketOptions{})
			mine.echoed(t, text, []byte("hello"))
			other.echoed(t, text, []byte("hello"))

			g.signOut(t, alice)
			if code, _ := closing(t, within(t, once, "the client sees the sign-out", mine.ended)); code != 1008 {
				t.Errorf("after the sign-out: %d", code)
			}
			within(t, once, "the application sees the sign-out", app.ends)
			other.echoed(t, text, []byte("still here"))

			stopped := make(chan int, 1)
			go func() { stopped <- g.Stop() }()
			if code, _ := closing(t, within(t, patience, "the client sees the shutdown", other.ended)); code != 1001 {
				t.Errorf("at the shutdown: %d", code)
			}
			within(t, once, "the application sees the shutdown", app.ends)
			if code := within(t, patience, "the gateway ends", stopped); code != 0 {
				t.Errorf("the gateway ended with %d", code)
			}
		})
	}
}
