package jwks

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"sync/atomic"
	"testing"
)

// A URL that was learned from a public issuer's document must not lead inside,
// be it by its name, or by what the name resolves to when it is called.
func TestLearnedURLsStayOutside(t *testing.T) {
	var asked atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer srv.Close()
	client := newClient(nil)
	defer client.CloseIdleConnections()
	here := must(url.Parse(srv.URL))

	call := func(from origin) error {
		m := &Metadata{origin: from}
		res, err := get(m.Context(t.Context()), client, srv.URL, http.Header{})
		if err == nil {
			_ = res.Body.Close()
		}
		return err
	}
	for name, from := range map[string]origin{
		"a public issuer":            {host: "op1.test:443"},
		"no issuer":                  {},
		"another port of this host":  {host: "127.0.0.1:1"},
		"a name that looks like one": {host: here.Host + ".op1.test:443"},
	} {
		if err := call(from); ClassOf(err) != classForbidden || !errors.Is(err, errForbidden) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Fatalf("%d requests arrived", n)
	}
	for name, from := range map[string]origin{
		"the issuer's own host": {host: here.Host},
		"an issuer inside":      {host: "op1.test:443", private: true},
	} {
		if err := call(from); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}

	// DNS rebinding: the name said nothing, the address does.
	guarded := client.Transport.(*transport).guarded
	conn, err := guarded.DialContext(t.Context(), "tcp", here.Host)
	if !errors.Is(err, errForbidden) {
		t.Errorf("dialled %v, %v", conn, err)
	}
	if guarded.Proxy != nil {
		t.Error("a guarded connection may go through a proxy, which would be looked at instead")
	}
}

// Behind a proxy it is the proxy that connects; addresses in the URL itself
// are refused all the same.
func TestLearnedURLsThroughAProxy(t *testing.T) {
	var asked []string
	proxy := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked = append(asked, r.URL.String()) }))
	defer proxy.Close()
	client := newClient(nil)
	defer client.CloseIdleConnections()
	client.Transport.(*transport).open.Proxy = http.ProxyURL(must(url.Parse(proxy.URL)))

	ctx := (&Metadata{origin: origin{host: "op1.test:443"}}).Context(t.Context())
	for address, class := range map[string]string{"http://keys.op1.test/": "", "http://169.254.169.254/": classForbidden, "http://localhost/": classForbidden} {
		res, err := get(ctx, client, address, http.Header{})
		switch {
		case err == nil:
			_ = res.Body.Close()
			if class != "" {
				t.Errorf("%s was let through", address)
			}
		case ClassOf(err) != class:
			t.Errorf("%s: %v", address, err)
		}
	}
	if len(asked) != 1 || asked[0] != "http://keys.op1.test/" {
		t.Errorf("the proxy was asked for %q", asked)
	}
}

func TestPublicAddresses(t *testing.T) {
	for address, want := range map[string]bool{
		"93.184.215.14": true, "8.8.8.8": true, "2606:4700::1111": true, "::ffff:8.8.8.8": true, "172.32.0.1": true, "100.128.0.1": true,
		"127.0.0.1": false, "127.255.255.254": false, "10.1.2.3": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.0.1": false,
		"169.254.169.254": false, "100.64.0.1": false, "100.127.255.255": false, "0.0.0.0": false, "0.1.2.3": false, "224.0.0.1": false,
		"240.0.0.1": false, "255.255.255.255": false, "192.0.0.170": false, "198.18.0.1": false, "::": false, "::1": false, "fe80::1": false,
		"fe80::1%eth0": false, "fc00::1": false, "fd00:ec2::254": false, "ff02::1": false, "::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false,
		"64:ff9b::7f00:1": false, "2002:7f00:1::": false, "2001::1": false, "fec0::1": false,
	} {
		if got := public(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: got %v", address, got)
		}
	}
	if privateRemote(nil) || privateRemote(&net.UnixConn{}) {
		t.Error("a connection without an address is taken for a private one")
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
