package upstream_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/tlstest"
	"github.com/sallyport/sallyport/gateway/upstream"
)

// tells answers with how it was asked.
func tells(w http.ResponseWriter, r *http.Request) {
	who := "nobody"
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		who = r.TLS.PeerCertificates[0].Subject.CommonName
	}
	says(r.Proto+" "+r.Host+" "+who)(w, r)
}

// serveOn serves an application that knows HTTP/1.1 and HTTP/2, with TLS or without.
func serveOn(t *testing.T, l net.Listener, secure *tls.Config) {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(tells))
	_ = s.Listener.Close()
	s.Listener = l
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	if secure == nil {
		s.Start()
	} else {
		s.Config.Protocols.SetHTTP2(true)
		s.EnableHTTP2, s.TLS = true, secure
		s.StartTLS()
	}
	t.Cleanup(s.Close)
}

func socket(t *testing.T) (net.Listener, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "app.sock")
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	return l, path
}

func TestEverySchemeReachesItsApplication(t *testing.T) {
	ca := tlstest.New(t)
	l, secure := listen(t), listen(t)
	serveOn(t, l, nil)
	serveOn(t, secure, &tls.Config{Certificates: []tls.Certificate{ca.Server("127.0.0.1").Load(t)}})
	sock, path := socket(t)
	serveOn(t, sock, nil)
	trust := config.ClientTLS{CAFile: ca.CertFile}
	for upstreamURL, want := range map[string][2]string{
		"http://" + l.Addr().String():       {"HTTP/1.1", "HTTP/1.1"},
		"h2c://" + l.Addr().String():        {"HTTP/2.0", "HTTP/1.1"},
		"https://" + secure.Addr().String(): {"HTTP/2.0", "HTTP/1.1"},
		"unix://" + path:                    {"HTTP/1.1", "HTTP/1.1"},
		"unix+h2c://" + path:                {"HTTP/2.0", "HTTP/1.1"},
	} {
		r := route(upstreamURL)
		r.UpstreamTLS = trust
		p := pool(t, r)
		if got := get(t, p, nobody); got != want[0]+" app.test nobody" {
			t.Errorf("%s: asked as %s", upstreamURL, got)
		}
		// HTTP/2 knows no such upgrade, so that such requests go by HTTP/1.1.
		up := request(t.Context(), "GET", "")
		up.Header.Set("Connection", "Upgrade")
		up.Header.Set("Upgrade", "websocket")
		if a := send(t, p, up, nobody); a.body != want[1]+" app.test nobody" {
			t.Errorf("%s: asked to switch protocols as %+v", upstreamURL, a)
		}
	}
}

func TestBuiltInUpstreams(t *testing.T) {
	p, err := upstream.New(upstream.Options{Route: route("builtin:echo"), Builtin: map[string]http.Handler{"echo": http.HandlerFunc(tells)}})
	if err != nil {
		t.Fatal(err)
	}
	if got := get(t, p, nobody); got != "HTTP/1.1 app.test nobody" {
		t.Errorf("%q", got)
	}
	if _, err := upstream.New(upstream.Options{Route: route("builtin:ecco")}); err == nil {
		t.Error("an unknown one is accepted")
	}
}

// TestAnUpstreamMustProveWhoItIs: an unknown authority, or another name than was
// asked for, is no connection.
func TestAnUpstreamMustProveWhoItIs(t *testing.T) {
	ca, stranger := tlstest.New(t), tlstest.New(t)
	l := listen(t)
	serveOn(t, l, &tls.Config{Certificates: []tls.Certificate{ca.Server("app.internal").Load(t)}})
	for name, tt := range map[string]struct {
		tls  config.ClientTLS
		good bool
	}{
		"the system's authorities":     {config.ClientTLS{ServerName: "app.internal"}, false},
		"another authority":            {config.ClientTLS{CAFile: stranger.CertFile, ServerName: "app.internal"}, false},
		"the address, not the name":    {config.ClientTLS{CAFile: ca.CertFile}, false},
		"another name":                 {config.ClientTLS{CAFile: ca.CertFile, ServerName: "other.internal"}, false},
		"its authority, and its name":  {config.ClientTLS{CAFile: ca.CertFile, ServerName: "app.internal"}, true},
		"its name in another spelling": {config.ClientTLS{CAFile: ca.CertFile, ServerName: "APP.internal"}, true},
	} {
		r := route("https://" + l.Addr().String())
		r.UpstreamTLS = tt.tls
		a := send(t, pool(t, r), request(t.Context(), "GET", ""), nobody)
		_, refused := errors.AsType[*upstream.ConnectError](a.err)
		if tt.good != (a.err == nil) || tt.good == refused {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

// swap puts the content of one file into another, as a renewal does.
func swap(t *testing.T, to, from string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFilesOfUpstreamTLSAreReadAgain(t *testing.T) {
	first, second := tlstest.New(t), tlstest.New(t)
	l := listen(t)
	var current atomic.Pointer[tls.Certificate]
	present := func(ca *tlstest.CA) {
		cert := ca.Server("app.internal").Load(t)
		current.Store(&cert)
	}
	present(first)
	clients := first.Pool()
	clients.AppendCertsFromPEM(read(t, second.CertFile))
	serveOn(t, l, &tls.Config{
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return current.Load(), nil },
	})
	dir := t.TempDir()
	r := route("https://" + l.Addr().String())
	r.UpstreamTLS = config.ClientTLS{
		CAFile: filepath.Join(dir, "ca.pem"), CertFile: filepath.Join(dir, "gateway.pem"), KeyFile: filepath.Join(dir, "gateway.key"),
		ServerName: "app.internal",
	}
	one, two := first.Client("one"), second.Client("two")
	swap(t, r.UpstreamTLS.CAFile, first.CertFile)
	swap(t, r.UpstreamTLS.CertFile, one.CertFile)
	swap(t, r.UpstreamTLS.KeyFile, one.KeyFile)
	shared := upstream.NewConnections(nil)
	p, err := upstream.New(upstream.Options{Route: r, Connections: shared})
	if err != nil {
		t.Fatal(err)
	}
	defer shared.Close()
	if got := get(t, p, nobody); !strings.HasSuffix(got, " one") {
		t.Fatalf("%q", got)
	}

	// The certificate is there before its key: what was held still counts.
	swap(t, r.UpstreamTLS.CertFile, two.CertFile)
	for range 3 {
		shared.FollowFiles()
	}
	if got := get(t, p, nobody); !strings.HasSuffix(got, " one") {
		t.Errorf("%q", got)
	}
	swap(t, r.UpstreamTLS.KeyFile, two.KeyFile)
	shared.FollowFiles() // what one look finds may be half of it
	if got := get(t, p, nobody); !strings.HasSuffix(got, " one") {
		t.Errorf("%q after one look", got)
	}
	shared.FollowFiles()
	if got := get(t, p, nobody); !strings.HasSuffix(got, " two") {
		t.Errorf("%q: the new certificate is not used", got)
	}

	present(second)
	swap(t, r.UpstreamTLS.CAFile, second.CertFile)
	for range 2 {
		shared.FollowFiles()
	}
	if got := get(t, p, nobody); !strings.HasSuffix(got, " two") {
		t.Errorf("%q: the new authority is not trusted", got)
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestBadFilesOfUpstreamTLSAreFaults(t *testing.T) {
	ca := tlstest.New(t)
	pair, other := ca.Client("one"), ca.Client("other")
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, bytes.Repeat([]byte("x"), 10), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, bad := range map[string]config.ClientTLS{
		"upstream_tls.ca_file":                         {CAFile: empty},
		"upstream_tls.cert_file":                       {CertFile: pair.CertFile, KeyFile: other.KeyFile},
		"upstream_tls.key_file":                        {CertFile: pair.CertFile, KeyFile: filepath.Join(t.TempDir(), "lost")},
		"upstream_tls.ca_file, upstream_tls.cert_file": {CAFile: empty, CertFile: other.CertFile, KeyFile: pair.KeyFile},
	} {
		r := route("https://127.0.0.1:1", "https://127.0.0.1:2")
		r.UpstreamTLS = bad
		p, err := upstream.New(upstream.Options{Route: r})
		var paths []string
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			for _, one := range joined.Unwrap() {
				if fault, ok := errors.AsType[*upstream.OptionError](one); ok {
					paths = append(paths, fault.Path)
				}
			}
		}
		if p != nil || strings.Join(paths, ", ") != want {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// TestRoutesToTheSameApplicationShareItsConnections, but not with those whose
// settings differ.
func TestRoutesToTheSameApplicationShareItsConnections(t *testing.T) {
	m := newMemory(t)
	m.serve("10.0.0.1:80", says("a"))
	shared := m.network()
	same, other := route("http://10.0.0.1"), route("http://10.0.0.1")
	same.Name, other.Timeouts.ResponseHeader = "same", 0
	for i, r := range []config.Route{route("http://10.0.0.1"), same, other} {
		p, err := upstream.New(upstream.Options{Route: r, Connections: shared})
		if err != nil {
			t.Fatal(err)
		}
		get(t, p, nobody)
		if want := []int{1, 1, 2}[i]; m.connections("10.0.0.1:80") != want {
			t.Errorf("%s: %d connections, want %d", r.Name, m.connections("10.0.0.1:80"), want)
		}
	}
	shared.Close()
	poll(t, "no connection", func() bool { return m.connections("10.0.0.1:80") == 0 })
}
