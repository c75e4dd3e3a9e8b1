package localca_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/localca"
)

func open(t *testing.T, dir string) *localca.Authority {
	t.Helper()
	a, err := localca.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func trusting(t *testing.T, a *localca.Authority) *x509.CertPool {
	t.Helper()
	root, err := os.ReadFile(a.RootFile())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(root) {
		t.Fatalf("%s holds no certificate", a.RootFile())
	}
	return pool
}

func TestWhoTrustsTheRootCanConnectToLocalNames(t *testing.T) {
	t.Parallel()
	a := open(t, filepath.Join(t.TempDir(), "ca"))
	certFile, keyFile, err := a.Certificate("app.localhost")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := trusting(t, a)
	for _, name := range []string{"localhost", "127.0.0.1", "::1", "app.localhost", "other.localhost"} {
		if err := handshake(t, pair, roots, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"example.com", "192.0.2.1"} {
		if err := handshake(t, pair, roots, name); err == nil {
			t.Errorf("%s: the certificate was believed", name)
		}
	}
}

func handshake(t *testing.T, pair tls.Certificate, roots *x509.CertPool, name string) error {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	go func() {
		_ = tls.Server(far, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}).HandshakeContext(t.Context())
	}()
	return tls.Client(near, &tls.Config{RootCAs: roots, ServerName: name, MinVersion: tls.VersionTLS12}).HandshakeContext(t.Context())
}

// TestStolenRootKeyCantBeAnotherSite: a developer who trusts the root must not have
// made all of the web depend on a file in his home.
func TestStolenRootKeyCantBeAnotherSite(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "ca")
	a := open(t, dir)
	root, err := tls.LoadX509KeyPair(a.RootFile(), filepath.Join(dir, "root-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	forged := forge(t, root, "bank.example")
	if _, err := forged.Verify(x509.VerifyOptions{Roots: trusting(t, a), DNSName: "bank.example"}); err == nil {
		t.Error("a certificate for another site was believed")
	} else if !strings.Contains(err.Error(), "not permitted") {
		t.Errorf("refused for another cause: %v", err)
	}
}

func TestRootAndCertificateStayTheSame(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "ca")
	a := open(t, dir)
	first := certificate(t, a)
	again := open(t, dir)
	if a.Fingerprint() != again.Fingerprint() {
		t.Error("another root was made, which nobody trusts")
	}
	if second := certificate(t, again); second != first {
		t.Error("another certificate was issued, though the first one is good")
	}
	third := certificate(t, again, "app.localhost")
	if third == first {
		t.Error("the certificate lacks a name that was asked for")
	}
	if fourth := certificate(t, again, "other.localhost"); !strings.Contains(names(t, fourth), "app.localhost") {
		t.Errorf("a name was lost that another gateway uses: %s", names(t, fourth))
	}
}

func TestKeysAreTheOwnersAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "ca")
	certificate(t, open(t, dir))
	for _, name := range []string{"root-key.pem", "localhost-key.pem"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode().Perm())
		}
	}
	if err := os.Chmod(filepath.Join(dir, "root-key.pem"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := localca.Open(dir); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that others can read: %v", err)
	}
}

func TestBrokenRootIsNotReplacedSilently(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "ca")
	open(t, dir)
	if err := os.Remove(filepath.Join(dir, "root-key.pem")); err != nil {
		t.Fatal(err)
	}
	if _, err := localca.Open(dir); err == nil || !strings.Contains(err.Error(), "remove the folder") {
		t.Errorf("a root without a key: %v", err)
	}
}

func certificate(t *testing.T, a *localca.Authority, more ...string) string {
	t.Helper()
	file, _, err := a.Certificate(more...)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func names(t *testing.T, text string) string {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(cert.DNSNames, " ")
}
