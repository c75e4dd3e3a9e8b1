package listener_test

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"
	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/listener"
	"github.com/sallyport/sallyport/gateway/tlstest"
)

func behindProxies(timeout time.Duration) config.Server {
	return config.Server{
		Listeners: []config.Listener{{Name: "behind", Listen: "127.0.0.1:0", ProxyProtocol: true}},
		Limits:    config.Limits{ReadHeaderTimeout: timeout},
	}
}

// v2 is a header of version 2 for a client.
func v2(t *testing.T, protocol proxyproto.AddressFamilyAndProtocol, client net.Addr) string {
	t.Helper()
	h := proxyproto.Header{Version: 2, Command: proxyproto.PROXY, TransportProtocol: protocol, SourceAddr: client, DestinationAddr: client}
	if client == nil {
		h.Command = proxyproto.LOCAL
	}
	b, err := h.Format()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestClientIsWhomAProxyNames(t *testing.T) {
	g := serve(t, behindProxies(patience))
	for name, c := range map[string]struct{ header, from string }{
		"version 1, IPv4":         {"PROXY TCP4 203.0.113.7 192.0.2.1 5555 443\r\n", "203.0.113.7:5555"},
		"version 1, IPv6":         {"PROXY TCP6 2001:db8::7 2001:db8::1 5555 443\r\n", "[2001:db8::7]:5555"},
		"version 2, IPv4":         {v2(t, proxyproto.TCPv4, &net.TCPAddr{IP: net.IPv4(203, 0, 113, 7), Port: 5555}), "203.0.113.7:5555"},
		"version 2, IPv6":         {v2(t, proxyproto.TCPv6, &net.TCPAddr{IP: net.ParseIP("2001:db8::7"), Port: 5555}), "[2001:db8::7]:5555"},
		"its own health check":    {v2(t, proxyproto.UNSPEC, nil), "127.0.0.1:"},
		"a client that is mapped": {"PROXY TCP6 ::ffff:203.0.113.7 ::1 5555 443\r\n", "203.0.113.7:5555"},
	} {
		t.Run(name, func(t *testing.T) {
			if body, _ := ask(t, dial(t, g.addr(0)), c.header+get); !strings.HasPrefix(body, "HTTP/1.1 /x from "+c.from) {
				t.Errorf("it says %q", body)
			}
		})
	}
	if n := g.refused.Load(); n != 0 {
		t.Errorf("%d were refused", n)
	}
}

// TestConnectionsWithoutAClientsNameAreRefused: whoever could send a request without
// a header, or with one that names nobody, would be taken for the proxy, and his
// X-Forwarded-For would be believed.
func TestConnectionsWithoutAClientsNameAreRefused(t *testing.T) {
	g := serve(t, behindProxies(patience))
	unix := v2(t, proxyproto.UnixStream, &net.UnixAddr{Net: "unix", Name: "/x"})
	udp := v2(t, proxyproto.UDPv4, &net.UDPAddr{IP: net.IPv4(203, 0, 113, 7), Port: 5555})
	tcp := v2(t, proxyproto.TCPv4, &net.TCPAddr{IP: net.IPv4(203, 0, 113, 7), Port: 5555})
	for name, header := range map[string]string{
		"no header":                    "",
		"version 1, unknown":           "PROXY UNKNOWN\r\n",
		"version 1, unknown and more":  "PROXY UNKNOWN 203.0.113.7 192.0.2.1 5555 443\r\n",
		"version 1, no address":        "PROXY TCP4\r\n",
		"version 1, half an address":   "PROXY TCP4 203.0.113 192.0.2.1 5555 443\r\n",
		"version 1, a large port":      "PROXY TCP4 203.0.113.7 192.0.2.1 99999 443\r\n",
		"version 1, any address":       "PROXY TCP4 0.0.0.0 192.0.2.1 5555 443\r\n",
		"version 1, another family":    "PROXY TCP4 2001:db8::7 192.0.2.1 5555 443\r\n",
		"version 1, lower case":        "proxy tcp4 203.0.113.7 192.0.2.1 5555 443\r\n",
		"version 1, one byte too long": "PROXY TCP4 203.0.113.7 192.0.2.1 5555 443" + strings.Repeat(" ", 200) + "\r\n",
		"version 1, a line feed alone": "PROXY TCP4 203.0.113.7 192.0.2.1 5555 443\n",
		"version 2, a unix socket":     unix,
		"version 2, UDP":               udp,
		"version 2, a wrong command":   tcp[:12] + "\x2f" + tcp[13:],
		"version 2, version 3":         tcp[:12] + "\x31" + tcp[13:],
		"version 2, unspecified":       tcp[:12] + "\x21\x00\x00\x00",
		"version 2, 64 KiB of it":      tcp[:14] + "\xff\xff" + strings.Repeat("a", 1<<16),
		"version 2, too short":         tcp[:14] + "\x00\x04abcd",
		"after a blank line":           "\r\nPROXY TCP4 203.0.113.7 192.0.2.1 5555 443\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			before := g.refused.Load()
			if body, _ := ask(t, dial(t, g.addr(0)), header+get); body != "" {
				t.Errorf("it says %q", body)
			}
			poll(t, "it to be counted", func() bool { return g.refused.Load() == before+1 })
		})
	}
}

func TestHeaderOfAnUntrustedPeerIsNotEvenRead(t *testing.T) {
	var asked []string
	g := serve(t, behindProxies(patience), func(o *listener.Options) {
		o.Trusted = func(peer string) bool { asked = append(asked, peer); return false }
	})
	for _, text := range []string{get, "PROXY TCP4 10.0.0.1 192.0.2.1 5555 443\r\n" + get} {
		if body, _ := ask(t, dial(t, g.addr(0)), text); body != "" {
			t.Errorf("it says %q", body)
		}
	}
	poll(t, "both to be counted", func() bool { return g.refused.Load() == 2 })
	for _, peer := range asked {
		if !strings.HasPrefix(peer, "127.0.0.1:") {
			t.Errorf("asked about %s", peer)
		}
	}
}

// TestSlowHeaderHoldsNobodyUp: Accept reads nothing, and whoever does not send the
// header in time is gone.
func TestSlowHeaderHoldsNobodyUp(t *testing.T) {
	g := serve(t, behindProxies(200*time.Millisecond))
	const header = "PROXY TCP4 203.0.113.7 192.0.2.1 5555 443\r\n"
	silent, half, endless := dial(t, g.addr(0)), dial(t, g.addr(0)), dial(t, g.addr(0))
	for c, text := range map[net.Conn]string{half: "PROXY TC", endless: v2(t, proxyproto.UNSPEC, nil)[:14] + "\x0f\xff"} {
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
	}
	if body, _ := ask(t, dial(t, g.addr(0)), header+get); !strings.Contains(body, "from 203.0.113.7:5555") {
		t.Errorf("another client got %q", body)
	}
	for name, c := range map[string]net.Conn{"nothing": silent, "half a line": half, "most of a header": endless} {
		if _, err := c.Read(make([]byte, 1)); err == nil || isTimeout(err) {
			t.Errorf("after %s: %v", name, err)
		}
	}
}

func isTimeout(err error) bool {
	timeout, ok := err.(net.Error) //nolint:errorlint // straight from the connection
	return ok && timeout.Timeout()
}

func TestTLSBeginsAfterTheHeader(t *testing.T) {
	ca := tlstest.New(t)
	pair := ca.Server("app.example.test")
	certs, err := listener.NewCertificates(listener.CertificateOptions{TLS: config.TLS{CertFile: pair.CertFile, KeyFile: pair.KeyFile}, Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	g := serve(t, behindProxies(patience), func(o *listener.Options) { o.TLS = certs.Config() })
	raw := dial(t, g.addr(0))
	if _, err := io.WriteString(raw, "PROXY TCP4 203.0.113.7 192.0.2.1 5555 443\r\n"); err != nil {
		t.Fatal(err)
	}
	c := tls.Client(raw, &tls.Config{RootCAs: ca.Pool(), ServerName: "app.example.test", MinVersion: tls.VersionTLS12})
	if body, _ := ask(t, c, get); !strings.HasSuffix(body, "from 203.0.113.7:5555") {
		t.Errorf("it says %q", body)
	}
	if _, err := over(g.addr(0), &tls.Config{RootCAs: ca.Pool(), MinVersion: tls.VersionTLS12}).Get("https://app.example.test/"); err == nil {
		t.Error("TLS without the header was answered")
	}
}

// TestBalancersLookIsNoNews: that somebody connects and says nothing is how many
// balancers look whether a server is there.
func TestBalancersLookIsNoNews(t *testing.T) {
	g := serve(t, behindProxies(patience))
	if err := dial(t, g.addr(0)).Close(); err != nil {
		t.Fatal(err)
	}
	poll(t, "the connection to be over", func() bool { return g.Open() == 0 })
	if n := g.refused.Load(); n != 0 {
		t.Errorf("%d were refused", n)
	}
}
