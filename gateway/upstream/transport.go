package upstream

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"

	"github.com/sallyport/sallyport/gateway/upstream/http1"
)

// transports carry requests over connections that were made with the same
// settings, files and addresses.
type transports struct {
	main http.RoundTripper
	// upgrade is for what HTTP/2 can't do: switching protocols. Nil where main
	// does that.
	upgrade http.RoundTripper
}

func (t *transports) closeIdle() {
	for _, one := range []http.RoundTripper{t.main, t.upgrade} {
		if idle, ok := one.(interface{ CloseIdleConnections() }); ok {
			idle.CloseIdleConnections()
		}
	}
}

func newTransports(c *connection) *transports {
	one, two := new(http.Protocols), new(http.Protocols)
	one.SetHTTP1(true)
	switch {
	case c.scheme == "https":
		two.SetHTTP1(true)
		two.SetHTTP2(true)
	case c.h2c:
		two.SetUnencryptedHTTP2(true)
	case c.all.direct:
		return &transports{main: newDirect(c, newTransport(c, one))}
	default:
		return &transports{main: newTransport(c, one)}
	}
	return &transports{main: newTransport(c, two), upgrade: newTransport(c, one)}
}

// newDirect makes a transport that carries most requests itself, with the limits of
// the one that carries the rest.
func newDirect(c *connection, rest *http.Transport) http.RoundTripper {
	return http1.New(http1.Options{
		Dial:          func(ctx context.Context) (net.Conn, error) { return c.connectTo(ctx, nil) },
		Fallback:      rest,
		HeaderTimeout: rest.ResponseHeaderTimeout, MaxHeaderBytes: rest.MaxResponseHeaderBytes,
		MaxIdle: rest.MaxIdleConnsPerHost, IdleTimeout: rest.IdleConnTimeout,
	})
}

// newTransport makes a transport for network upstreams: a large idle pool, no
// compression of our own, and no proxy from the environment, which is meant for
// calls to the outside.
func newTransport(c *connection, protocols *http.Protocols) *http.Transport {
	t := &http.Transport{
		Protocols: protocols,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return c.connectTo(ctx, nil)
		},
		MaxIdleConns:           4096,
		MaxIdleConnsPerHost:    1024,
		IdleConnTimeout:        90 * time.Second,
		ResponseHeaderTimeout:  c.header,
		ExpectContinueTimeout:  time.Second,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 256 << 10,
		ReadBufferSize:         16 << 10,
		WriteBufferSize:        16 << 10,
		// No pings: gRPC servers close connections on which quiet streams are pinged
		// more often than every five minutes. TCP finds out who is gone.
		HTTP2: &http.HTTP2Config{
			MaxReceiveBufferPerStream: 1 << 20, // what one slow client can make the gateway hold
		},
	}
	if c.files != nil {
		secure := c.files.ready.Load().Clone()
		secure.NextProtos = []string{"http/1.1"}
		if protocols.HTTP2() {
			secure.NextProtos = []string{"h2", "http/1.1"}
		}
		t.DialTLSContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return c.connectTo(ctx, func(ctx context.Context, plain net.Conn) (net.Conn, error) {
				conn := tls.Client(plain, secure)
				if err := conn.HandshakeContext(ctx); err != nil {
					_ = plain.Close() // the handshake failed already
					return nil, err
				}
				return conn, nil
			})
		}
	}
	return t
}
