// Package tlstest is a certificate authority for tests: certificates of servers
// and clients, in files and in memory.
package tlstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// CA is a certificate authority that exists for one test.
type CA struct {
	CertFile string // PEM

	t    testing.TB
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// KeyPair is a certificate and its key, in PEM files.
type KeyPair struct{ CertFile, KeyFile string }

// New makes an authority with files in the test's directory.
func New(tb testing.TB) *CA {
	tb.Helper()
	ca := &CA{t: tb, dir: tb.TempDir(), key: newKey(tb)}
	// It signs itself.
	ca.cert = &x509.Certificate{
		Subject: pkix.Name{CommonName: "a test's authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	ca.cert = ca.sign(ca.cert, ca.key)
	ca.CertFile = ca.write("ca.pem", "CERTIFICATE", ca.cert.Raw)
	return ca
}

// Server issues a certificate for these DNS names and addresses. A server may
// present it to other servers as well, as those of a cluster do.
func (ca *CA) Server(hosts ...string) KeyPair {
	ca.t.Helper()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: hosts[0]}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	return ca.files(ca.Issue(template))
}

// Client issues a certificate with which a client of this name signs in.
func (ca *CA) Client(name string) KeyPair {
	ca.t.Helper()
	return ca.files(ca.Issue(&x509.Certificate{Subject: pkix.Name{CommonName: name}}))
}

// Issue makes the certificate of a template, with a serial number of its own and
// with its Leaf. It is a client's, and valid from an hour ago until tomorrow, unless
// the template says otherwise.
func (ca *CA) Issue(template *x509.Certificate) tls.Certificate {
	ca.t.Helper()
	template.KeyUsage |= x509.KeyUsageDigitalSignature
	if template.ExtKeyUsage == nil {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	key := newKey(ca.t)
	cert := ca.sign(template, key)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

// Pool returns what a client trusts that trusts only this authority.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	return pool
}

// Load reads the pair.
func (p KeyPair) Load(tb testing.TB) tls.Certificate {
	tb.Helper()
	cert, err := tls.LoadX509KeyPair(p.CertFile, p.KeyFile)
	if err != nil {
		tb.Fatal(err)
	}
	return cert
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func (ca *CA) sign(template *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	ca.t.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		ca.t.Fatal(err)
	}
	template.SerialNumber = serial
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
	if err != nil {
		ca.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		ca.t.Fatal(err)
	}
	return cert
}

func (ca *CA) files(cert tls.Certificate) KeyPair {
	ca.t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		ca.t.Fatal(err)
	}
	name := cert.Leaf.SerialNumber.Text(16)
	return KeyPair{
		CertFile: ca.write(name+".pem", "CERTIFICATE", cert.Leaf.Raw),
		KeyFile:  ca.write(name+".key", "PRIVATE KEY", key),
	}
}

func (ca *CA) write(name, kind string, der []byte) string {
	ca.t.Helper()
	path := filepath.Join(ca.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		ca.t.Fatal(err)
	}
	return path
}
