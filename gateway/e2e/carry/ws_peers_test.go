//go:build e2e

package carry_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"
)

// Kinds of messages, as RFC 6455 numbers them and both libraries do.
const (
	text = 1
	blob = 2
)

// largest is more than any message here has.
const largest = 32 << 20

// peer is one side of a WebSocket, whichever library speaks. One goroutine may
// receive while another one sends.
type peer interface {
	// send sends one message, each part of it in frames of its own, with a ping
	// between any two parts.
	send(kind int, parts ...[]byte) error
	receive() (kind int, message []byte, err error)
	// ping sends a ping, and returns once the pong has come, which receive sees.
	ping() error
	// hangUp sends a Close frame; noStatus sends an empty one.
	hangUp(code int, reason string) error
	drop() // closes the connection without a word
	subprotocol() string
}

// noStatus stands for a Close frame without a code (RFC 6455, section 7.4.1).
const noStatus = 1005

// library makes both sides of a WebSocket.
type library struct {
	dial   func(url string, o socketOptions) (peer, *http.Response, error)
	accept func(w http.ResponseWriter, r *http.Request, o socketOptions) (peer, error)
}

type socketOptions struct {
	header       http.Header
	tls          *tls.Config
	subprotocols []string
	compress     bool
}

func libraries() map[string]library {
	return map[string]library{"coder": {dialCoder, acceptCoder}, "gorilla": {dialGorilla, acceptGorilla}}
}

// closing says how a WebSocket ended, for the side that got the Close frame.
func closing(t *testing.T, err error) (code int, reason string) {
	t.Helper()
	if e, ok := errors.AsType[coder.CloseError](err); ok {
		return int(e.Code), e.Reason
	}
	if e, ok := errors.AsType[*gorilla.CloseError](err); ok {
		return e.Code, e.Text
	}
	t.Errorf("the WebSocket ended without a Close frame: %v", err)
	return 0, ""
}

type coderPeer struct {
	ctx context.Context
	c   *coder.Conn
}

func dialCoder(url string, o socketOptions) (peer, *http.Response, error) {
	transport := &http.Transport{TLSClientConfig: o.tls}
	c, res, err := coder.Dial(context.Background(), strings.Replace(url, "http", "ws", 1), &coder.DialOptions{
		HTTPClient: &http.Client{Transport: transport}, HTTPHeader: o.header, Subprotocols: o.subprotocols, CompressionMode: o.mode(),
	})
	if err != nil {
		return nil, res, err
	}
	c.SetReadLimit(largest)
	return &coderPeer{context.Background(), c}, res, nil
}

func acceptCoder(w http.ResponseWriter, r *http.Request, o socketOptions) (peer, error) {
	c, err := coder.Accept(w, r, &coder.AcceptOptions{InsecureSkipVerify: true, Subprotocols: o.subprotocols, CompressionMode: o.mode()})
	if err != nil {
		return nil, err
	}
	c.SetReadLimit(largest)
	return &coderPeer{r.Context(), c}, nil
}

func (o socketOptions) mode() coder.CompressionMode {
	if o.compress {
		return coder.CompressionContextTakeover
	}
	return coder.CompressionDisabled
}

func (p *coderPeer) send(kind int, parts ...[]byte) error {
	if len(parts) == 1 {
		return p.c.Write(p.ctx, coder.MessageType(kind), parts[0])
	}
	w, err := p.c.Writer(p.ctx, coder.MessageType(kind))
	if err != nil {
		return err
	}
	for i, part := range parts {
		if _, err := w.Write(part); err != nil {
			return err
		}
		if i+1 < len(parts) {
			if err := p.ping(); err != nil {
				return err
			}
		}
	}
	return w.Close()
}

func (p *coderPeer) receive() (int, []byte, error) {
	kind, message, err := p.c.Read(p.ctx)
	return int(kind), message, err
}

func (p *coderPeer) ping() error {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	return p.c.Ping(ctx)
}

func (p *coderPeer) hangUp(code int, reason string) error {
	return p.c.Close(coder.StatusCode(code), reason)
}

func (p *coderPeer) drop() { _ = p.c.CloseNow() }

func (p *coderPeer) subprotocol() string { return p.c.Subprotocol() }

type gorillaPeer struct {
	c     *gorilla.Conn
	pongs chan string
}

// Small buffers make gorilla send its messages in fragments.
const fragment = 4096

func dialGorilla(url string, o socketOptions) (peer, *http.Response, error) {
	d := gorilla.Dialer{
		TLSClientConfig: o.tls, Subprotocols: o.subprotocols, EnableCompression: o.compress, WriteBufferSize: fragment, HandshakeTimeout: patience,
	}
	c, res, err := d.Dial(strings.Replace(url, "http", "ws", 1), o.header)
	if err != nil {
		return nil, res, err
	}
	return newGorillaPeer(c), res, nil
}

func acceptGorilla(w http.ResponseWriter, r *http.Request, o socketOptions) (peer, error) {
	u := gorilla.Upgrader{
		Subprotocols: o.subprotocols, EnableCompression: o.compress, WriteBufferSize: fragment,
		CheckOrigin: func(*http.Request) bool { return true },
	}
	c, err := u.Upgrade(w, r, nil)
	if err != nil {
		return nil, err
	}
	return newGorillaPeer(c), nil
}

func newGorillaPeer(c *gorilla.Conn) *gorillaPeer {
	p := &gorillaPeer{c, make(chan string, 16)}
	c.SetPongHandler(func(payload string) error { p.pongs <- payload; return nil })
	return p
}

func (p *gorillaPeer) send(kind int, parts ...[]byte) error {
	w, err := p.c.NextWriter(kind)
	if err != nil {
		return err
	}
	for i, part := range parts {
		if _, err := w.Write(part); err != nil {
			return err
		}
		if i+1 < len(parts) {
			if err := p.ping(); err != nil {
				return err
			}
		}
	}
	return w.Close()
}

func (p *gorillaPeer) receive() (int, []byte, error) { return p.c.ReadMessage() }

// ping has the largest payload that a control frame can have.
func (p *gorillaPeer) ping() error {
	payload := strings.Repeat("\x00é", 41) + "ab"
	if err := p.c.WriteControl(gorilla.PingMessage, []byte(payload), time.Now().Add(patience)); err != nil {
		return err
	}
	select {
	case got := <-p.pongs:
		if got != payload {
			return errors.New("the pong has another payload than the ping")
		}
		return nil
	case <-time.After(patience):
		return errors.New("no pong came")
	}
}

func (p *gorillaPeer) hangUp(code int, reason string) error {
	return p.c.WriteControl(gorilla.CloseMessage, gorilla.FormatCloseMessage(code, reason), time.Now().Add(patience))
}

func (p *gorillaPeer) drop() { _ = p.c.Close() }

func (p *gorillaPeer) subprotocol() string { return p.c.Subprotocol() }
