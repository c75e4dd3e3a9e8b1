package listener_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/listener"
	"github.com/sallyport/sallyport/gateway/tlstest"
)

const host = "app.example.test"

// files are a pair in one place, whose content is exchanged.
type files struct{ cert, key string }

func newFiles(t *testing.T) files {
	dir := t.TempDir()
	return files{filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")}
}

func (f files) hold(t *testing.T, pair tlstest.KeyPair) {
	t.Helper()
	replace(t, f.cert, read(t, pair.CertFile))
	replace(t, f.key, read(t, pair.KeyFile))
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func replace(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, file string) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}

// holdIssued writes a certificate that is not in files yet.
func (f files) holdIssued(t *testing.T, cert tls.Certificate) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	replace(t, f.cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})))
	replace(t, f.key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
}

// secured is a group with certificates that are followed.
type secured struct {
	*group
	certs          *listener.Certificates
	taken, refused atomic.Int32
	log            *observer.ObservedLogs
}

func secure(t *testing.T, conf config.TLS) *secured {
	t.Helper()
	s := &secured{}
	var core zapcore.Core
	core, s.log = observer.New(zap.InfoLevel)
	var err error
	s.certs, err = listener.NewCertificates(listener.CertificateOptions{TLS: conf, Log: zap.New(core), Pause: 20 * time.Millisecond, Reloaded: func(taken bool) {
		if taken {
			s.taken.Add(1)
		} else {
			s.refused.Add(1)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	s.group = serve(t, anywhere(), func(o *listener.Options) { o.TLS = s.certs.Config() })
	followed := make(chan struct{})
	go func() { s.certs.Run(t.Context()); close(followed) }()
	t.Cleanup(func() { <-followed })
	return s
}

// handshake returns what the server presents to a client.
func (s *secured) handshake(t *testing.T, conf *tls.Config) (*tls.Conn, error) {
	t.Helper()
	if conf.MinVersion == 0 {
		conf.MinVersion = tls.VersionTLS12
	}
	if conf.ServerName == "" {
		conf.ServerName = host
	}
	c := tls.Client(dial(t, s.addr(0)), conf)
	return c, c.HandshakeContext(t.Context())
}

func (s *secured) presents(t *testing.T, conf *tls.Config) string {
	t.Helper()
	c, err := s.handshake(t, conf)
	if err != nil {
		t.Fatal(err)
	}
	return c.ConnectionState().PeerCertificates[0].SerialNumber.Text(16)
}

func serial(t *testing.T, pair tlstest.KeyPair) string {
	t.Helper()
	return pair.Load(t).Leaf.SerialNumber.Text(16)
}

func TestNewCertificateIsPresentedWhileOpenConnectionsLive(t *testing.T) {
	ca, at := tlstest.New(t), newFiles(t)
	first, second := ca.Server(host), ca.Server(host)
	at.hold(t, first)
	s := secure(t, config.TLS{CertFile: at.cert, KeyFile: at.key})
	client := &tls.Config{RootCAs: ca.Pool()}
	open, err := s.handshake(t, client.Clone())
	if err != nil {
		t.Fatal(err)
	}
	if got := s.presents(t, client.Clone()); got != serial(t, first) {
		t.Fatalf("it presents %s", got)
	}
	at.hold(t, second)
	poll(t, "the new certificate to be presented", func() bool { return s.presents(t, client.Clone()) == serial(t, second) })
	if body, _ := ask(t, open, get); body == "" {
		t.Error("a connection that was open did not live")
	}
	if s.taken.Load() != 1 || s.refused.Load() != 0 {
		t.Errorf("%d taken, %d refused", s.taken.Load(), s.refused.Load())
	}
	if end := s.certs.Ends()[at.cert]; !end.Equal(second.Load(t).Leaf.NotAfter) {
		t.Errorf("it is said to run out at %s", end)
	}
}

func TestCertificateThatCannotBeTakenLeavesTheOldOne(t *testing.T) {
	ca := tlstest.New(t)
	good, other := ca.Server(host), ca.Server(host)
	for name, spoil := range map[string]func(t *testing.T, at files){
		"a certificate without its key": func(t *testing.T, at files) { replace(t, at.cert, read(t, other.CertFile)) },
		"half a certificate":            func(t *testing.T, at files) { replace(t, at.cert, read(t, good.CertFile)[:200]) },
		"an empty key":                  func(t *testing.T, at files) { replace(t, at.key, "") },
		"no certificate":                func(t *testing.T, at files) { remove(t, at.cert) },
		"something else":                func(t *testing.T, at files) { replace(t, at.cert, "hello"); replace(t, at.key, "hello") },
		"one that has run out": func(t *testing.T, at files) {
			at.holdIssued(t, ca.Issue(&x509.Certificate{DNSNames: []string{host}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)}))
		},
		"one that is not valid yet": func(t *testing.T, at files) {
			at.holdIssued(t, ca.Issue(&x509.Certificate{DNSNames: []string{host}, NotBefore: time.Now().Add(time.Hour), NotAfter: time.Now().Add(2 * time.Hour)}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			at := newFiles(t)
			at.hold(t, good)
			s := secure(t, config.TLS{CertFile: at.cert, KeyFile: at.key})
			spoil(t, at)
			poll(t, "it to be refused", func() bool { return s.refused.Load() == 1 })
			client := &tls.Config{RootCAs: ca.Pool()}
			if got := s.presents(t, client.Clone()); got != serial(t, good) {
				t.Errorf("it presents %s", got)
			}
			// Mended, it is taken; what is wrong was said once.
			at.hold(t, other)
			poll(t, "a good one to be taken", func() bool { return s.presents(t, client.Clone()) == serial(t, other) })
			if n := s.log.FilterLevelExact(zap.ErrorLevel).Len(); n != 1 {
				t.Errorf("it was said %d times", n)
			}
		})
	}
}

func TestCertificateIsChosenByTheNameThatIsAskedFor(t *testing.T) {
	ca := tlstest.New(t)
	first, a, wild := ca.Server(host), ca.Server("a.example.test"), ca.Server("*.b.example.test")
	s := secure(t, config.TLS{CertFile: first.CertFile, KeyFile: first.KeyFile, Certificates: []config.Certificate{
		{CertFile: a.CertFile, KeyFile: a.KeyFile}, {CertFile: wild.CertFile, KeyFile: wild.KeyFile},
	}})
	for name, want := range map[string]tlstest.KeyPair{host: first, "a.example.test": a, "x.b.example.test": wild, "x.y.b.example.test": first, "unknown.test": first} {
		if got := s.presents(t, &tls.Config{ServerName: name, InsecureSkipVerify: true}); got != serial(t, want) {
			t.Errorf("%s: it presents %s", name, got)
		}
	}
	if got := s.presents(t, &tls.Config{ServerName: "127.0.0.1", InsecureSkipVerify: true}); got != serial(t, first) {
		t.Errorf("without a name it presents %s", got)
	}
}

func TestVersionsAndProtocols(t *testing.T) {
	ca := tlstest.New(t)
	pair := ca.Server(host)
	conf := config.TLS{CertFile: pair.CertFile, KeyFile: pair.KeyFile}
	s := secure(t, conf)
	conf.MinVersion = "1.3"
	strict := secure(t, conf)
	for name, c := range map[string]struct {
		s       *secured
		version uint16
		want    bool
	}{
		"1.1 by default":      {s, tls.VersionTLS11, false},
		"1.2 by default":      {s, tls.VersionTLS12, true},
		"1.3 by default":      {s, tls.VersionTLS13, true},
		"1.2 where 1.3 is it": {strict, tls.VersionTLS12, false},
		"1.3 where 1.3 is it": {strict, tls.VersionTLS13, true},
	} {
		conn, err := c.s.handshake(t, &tls.Config{RootCAs: ca.Pool(), MinVersion: tls.VersionTLS10, MaxVersion: c.version, NextProtos: []string{"http/1.1", "h2"}})
		if (err == nil) != c.want {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && conn.ConnectionState().NegotiatedProtocol != "h2" {
			t.Errorf("%s: it speaks %q", name, conn.ConnectionState().NegotiatedProtocol)
		}
	}
}

// TestClientAuthorityIsExchanged: certificates of the one that is gone are refused,
// also in a session that was begun before and is resumed.
func TestClientAuthorityIsExchanged(t *testing.T) {
	ca, old, young := tlstest.New(t), tlstest.New(t), tlstest.New(t)
	pair := ca.Server(host)
	authorities := filepath.Join(t.TempDir(), "ca.crt")
	replace(t, authorities, read(t, old.CertFile))
	s := secure(t, config.TLS{CertFile: pair.CertFile, KeyFile: pair.KeyFile, ClientCAFile: authorities})
	as := func(ca2 *tlstest.CA) *tls.Config {
		return &tls.Config{
			RootCAs: ca.Pool(), ClientSessionCache: tls.NewLRUClientSessionCache(1),
			Certificates: []tls.Certificate{ca2.Issue(&x509.Certificate{Subject: pkix.Name{CommonName: "billing"}})},
		}
	}
	// accepted tells whether a request is answered: in TLS 1.3 a client learns of
	// the refusal of its certificate when it reads.
	accepted := func(conf *tls.Config) (answered, resumed bool) {
		c, err := s.handshake(t, conf)
		if err != nil {
			return false, false
		}
		body, _ := ask(t, c, get)
		return body != "", c.ConnectionState().DidResume
	}
	before := as(old)
	if ok, _ := accepted(before); !ok {
		t.Fatal("a client of the authority was refused")
	}
	if ok, resumed := accepted(before); !ok || !resumed {
		t.Fatal("the session was not resumed, so that this test shows nothing")
	}
	if ok, _ := accepted(as(young)); ok {
		t.Fatal("a client of nobody was accepted")
	}

	// Cut off in the middle, nothing of the new file counts.
	both := read(t, old.CertFile) + read(t, young.CertFile)
	replace(t, authorities, both[:len(both)-100])
	poll(t, "the half to be refused", func() bool { return s.refused.Load() == 1 })
	if ok, _ := accepted(as(old)); !ok {
		t.Error("a client was shut out by half a file")
	}

	replace(t, authorities, read(t, young.CertFile))
	poll(t, "the new authority to count", func() bool { ok, _ := accepted(as(young)); return ok })
	if ok, _ := accepted(as(old)); ok {
		t.Error("a client of the authority that is gone was accepted")
	}
	if ok, resumed := accepted(before); ok {
		t.Errorf("its old session was accepted (resumed: %v)", resumed)
	}
}

func TestFaultyFilesAreNamedAtTheStart(t *testing.T) {
	ca := tlstest.New(t)
	pair, other := ca.Server(host), ca.Server(host)
	absent := filepath.Join(t.TempDir(), "absent")
	for key, conf := range map[string]config.TLS{
		"server.tls":                 {CertFile: pair.CertFile, KeyFile: other.KeyFile},
		"server.tls.certificates[0]": {CertFile: pair.CertFile, KeyFile: pair.KeyFile, Certificates: []config.Certificate{{CertFile: absent, KeyFile: absent}}},
		"server.tls.certificates[1]": {Certificates: []config.Certificate{{CertFile: pair.CertFile, KeyFile: pair.KeyFile}, {CertFile: pair.KeyFile, KeyFile: pair.KeyFile}}},
		"server.tls.client_ca_file":  {CertFile: pair.CertFile, KeyFile: pair.KeyFile, ClientCAFile: pair.KeyFile},
	} {
		_, err := listener.NewCertificates(listener.CertificateOptions{TLS: conf, Log: zap.NewNop()})
		if err == nil || !strings.HasPrefix(err.Error(), key+": ") {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// TestStalledHandshakesHoldNobodyUp, and are over with the time for a header.
func TestStalledHandshakesHoldNobodyUp(t *testing.T) {
	ca := tlstest.New(t)
	pair := ca.Server(host)
	certs, err := listener.NewCertificates(listener.CertificateOptions{TLS: config.TLS{CertFile: pair.CertFile, KeyFile: pair.KeyFile}, Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	g := serve(t, config.Server{Listen: "127.0.0.1:0", Limits: config.Limits{ReadHeaderTimeout: 300 * time.Millisecond}},
		func(o *listener.Options) { o.TLS = certs.Config() })
	for range 100 {
		if _, err := io.WriteString(dial(t, g.addr(0)), "\x16\x03\x01\x02"); err != nil {
			t.Fatal(err)
		}
	}
	res, err := over(g.addr(0), &tls.Config{RootCAs: ca.Pool(), MinVersion: tls.VersionTLS12}).Get("https://" + host + "/x")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	poll(t, "the stalled ones to be closed", func() bool { return g.Open() <= 1 })
}
