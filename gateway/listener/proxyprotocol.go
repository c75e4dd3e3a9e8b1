package listener

import (
	"errors"
	"net"
	"sync/atomic"
	"time"

	"github.com/pires/go-proxyproto"
	"go.uber.org/zap"
)

// Reasons why a connection was refused before anything of HTTP was read.
const (
	RefusedPeer   = "untrusted_peer"   // it is not a trusted proxy, where only those may connect
	RefusedHeader = "bad_proxy_header" // it did not begin with a PROXY header that names a client
)

// proxied takes connections that begin with a PROXY header, versions 1 and 2. Only
// trusted peers can connect: anybody else could name any client, and whoever sends
// no header would be taken for the proxy itself.
type proxied struct {
	trusted func(remoteAddr string) bool
	timeout time.Duration // for the header; 0 = the library's own
	refused func(reason string)
	log     *zap.Logger
	told    atomic.Int64 // when something was last said, Unix seconds
}

// wrap reads nothing: the header is read with the first read of the connection, on
// its own goroutine.
func (p *proxied) wrap(c net.Conn) (net.Conn, bool) {
	if peer := c.RemoteAddr().String(); !p.trusted(peer) {
		p.tell(RefusedPeer, peer, errUntrusted)
		return nil, false
	}
	options := []func(*proxyproto.Conn){
		proxyproto.WithPolicy(proxyproto.REQUIRE),
		proxyproto.ValidateHeader(namesAClient),
	}
	if p.timeout > 0 {
		options = append(options, proxyproto.SetReadHeaderTimeout(p.timeout))
	}
	below := &noted{Conn: c}
	return &proxiedConn{Conn: proxyproto.NewConn(below, options...), below: below, owner: p}, true
}

var (
	errUntrusted = errors.New("it is not among trusted_proxies")
	errNoClient  = errors.New("the PROXY header names no client with an IP address and a TCP port")
)

// namesAClient refuses headers after which the client would pass for the proxy, and
// its X-Forwarded-For be believed: PROXY UNKNOWN, which the library calls local,
// and what comes over other protocols. LOCAL is the proxy's own connection.
func namesAClient(h *proxyproto.Header) error {
	if h.Command.IsLocal() && h.Version == 2 {
		return nil
	}
	if tcp, ok := h.SourceAddr.(*net.TCPAddr); !ok || len(tcp.IP) == 0 || tcp.IP.IsUnspecified() {
		return errNoClient
	}
	return nil
}

// tellEvery keeps a peer that connects again and again from filling the log.
const tellEvery = 10 // seconds

func (p *proxied) tell(reason, peer string, err error) {
	p.refused(reason)
	now, last := time.Now().Unix(), p.told.Load()
	if now-last >= tellEvery && p.told.CompareAndSwap(last, now) {
		p.log.Warn("a connection was refused, where each begins with a PROXY header of a trusted proxy",
			zap.String("peer", peer), zap.String("reason", reason), zap.Error(err))
	}
}

// noted knows whether anything was read. A balancer that only looks whether it can
// connect is no news.
type noted struct {
	net.Conn
	some atomic.Bool
}

func (c *noted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.some.Store(true)
	}
	return n, err
}

// proxiedConn tells of its header when it is bad. No byte is read or written past
// that.
type proxiedConn struct {
	*proxyproto.Conn
	below *noted
	owner *proxied
	begun atomic.Bool
}

// Read implements net.Conn.
func (c *proxiedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.begun.CompareAndSwap(false, true) && err != nil && c.ProxyHeader() == nil && c.below.some.Load() {
		c.owner.tell(RefusedHeader, c.below.RemoteAddr().String(), err)
	}
	return n, err
}
