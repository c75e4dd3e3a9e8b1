// Package acmetest is a certificate authority for tests that speaks ACME: a Pebble in
// the same process.
package acmetest

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"log"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
)

// Authority is a certificate authority on loopback.
type Authority struct {
	Directory string         // its URL
	CAFile    string         // of its own https, PEM
	Roots     *x509.CertPool // of what it issues

	text *lockedText
}

// Log is what it has done so far.
func (a *Authority) Log() string { return a.text.String() }

type lockedText struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// New starts one that ends with the test. It looks for proofs at these ports of this
// machine, whatever the domain.
func New(tb testing.TB, httpPort, tlsPort int) *Authority {
	tb.Helper()
	tb.Setenv("PEBBLE_VA_NOSLEEP", "1")
	tb.Setenv("PEBBLE_WFE_NONCEREJECT", "0")
	a := &Authority{text: &lockedText{}}
	logger := log.New(a.text, "", 0)
	store := db.NewMemoryStore()
	issuer := ca.New(logger, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {Description: "the only one", ValidityPeriod: 7 * 86400}})
	front := wfe.New(logger, store, va.New(logger, httpPort, tlsPort, false, everythingIsHere(tb), store), issuer, []string{"authority.test"}, false, false, 1, 1)
	server := httptest.NewTLSServer(front.Handler())
	tb.Cleanup(server.Close)
	a.Directory = server.URL + wfe.DirectoryPath
	a.CAFile = filepath.Join(tb.TempDir(), "ca.pem")
	if err := os.WriteFile(a.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		tb.Fatal(err)
	}
	a.Roots = x509.NewCertPool()
	a.Roots.AppendCertsFromPEM(issuer.GetRootCert(0).PEM())
	return a
}

// everythingIsHere is a name server that says so.
func everythingIsHere(tb testing.TB) string {
	tb.Helper()
	var lc net.ListenConfig
	at, err := lc.Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	server := &dns.Server{Listener: at, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		if q.Question[0].Qtype == dns.TypeA {
			m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: net.IPv4(127, 0, 0, 1)})
		}
		_ = w.WriteMsg(m)
	})}
	ended := make(chan struct{})
	go func() { _ = server.ActivateAndServe(); close(ended) }()
	tb.Cleanup(func() { _ = server.Shutdown(); <-ended })
	return at.Addr().String()
}
