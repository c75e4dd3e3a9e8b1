//go:build e2e

package env

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

// NewCA makes an authority with files in the test's directory.
func NewCA(tb testing.TB) *CA {
	tb.Helper()
	ca := &CA{t: tb, dir: tb.TempDir()}
	template := ca.template("a test's authority")
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	ca.cert, ca.key = template, ca.newKey() // signs itself
	der := ca.sign(template, ca.key)
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	ca.cert = cert
	ca.CertFile = ca.write("ca.pem", "CERTIFICATE", der)
	return ca
}

// Server issues a certificate for these DNS names and addresses. A server may
// present it to other servers as well, as those of a cluster do.
func (ca *CA) Server(hosts ...string) KeyPair {
	ca.t.Helper()
	template := ca.template(hosts[0])
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	return ca.issue(template)
}

// Client issues a certificate with which a client of this name signs in.
func (ca *CA) Client(name string) KeyPair {
	ca.t.Helper()
	template := ca.template(name)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return ca.issue(template)
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

func (ca *CA) template(name string) *x509.Certificate {
	ca.t.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		ca.t.Fatal(err)
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
}

func (ca *CA) newKey() *ecdsa.PrivateKey {
	ca.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		ca.t.Fatal(err)
	}
	return key
}

func (ca *CA) sign(template *x509.Certificate, key *ecdsa.PrivateKey) []byte {
	ca.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
	if err != nil {
		ca.t.Fatal(err)
	}
	return der
}

func (ca *CA) issue(template *x509.Certificate) KeyPair {
	ca.t.Helper()
	key := ca.newKey()
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		ca.t.Fatal(err)
	}
	name := template.SerialNumber.Text(16)
	return KeyPair{
		CertFile: ca.write(name+".pem", "CERTIFICATE", ca.sign(template, key)),
		KeyFile:  ca.write(name+".key", "PRIVATE KEY", encoded),
	}
}

func (ca *CA) write(name, kind string, der []byte) string {
	ca.t.Helper()
	return WriteFile(ca.t, ca.dir, name, string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
}
