// Package localca is a certificate authority for one developer's own machine. It
// keeps a root, which its owner may choose to trust, and issues certificates for
// localhost from it. The root can vouch for nothing but this machine: it carries
// name constraints (RFC 5280, section 4.2.1.10), so that whoever steals its key
// can't be another site. Making a root trusted is its owner's business.
package localca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The names of the files of a folder.
const (
	rootFile    = "root.pem"
	rootKeyFile = "root-key.pem"
)

const (
	rootLife = 10 * 365 * 24 * time.Hour
	leafLife = 90 * 24 * time.Hour
	// renewAhead is what a certificate has left when another one is issued.
	renewAhead = 30 * 24 * time.Hour
)

// Authority is the root of a folder. It is not safe for concurrent use, but two
// processes can have one folder.
type Authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// DefaultDir is where the authority of the current user is: sallyport/ca in the
// configuration directory of the system.
func DefaultDir() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "sallyport", "ca"), nil
}

// Open returns the authority of a folder, and makes it where there is none: the
// root and its key, which only their owner may read. A root that runs out within a
// month, or whose key others can read, is an error that says what to do.
func Open(dir string) (*Authority, error) {
	a := &Authority{dir: dir}
	if _, err := os.Stat(a.RootFile()); errors.Is(err, fs.ErrNotExist) {
		if err := a.create(); err != nil {
			return nil, fmt.Errorf("the local authority can't be made: %w", err)
		}
	}
	keyFile := filepath.Join(dir, rootKeyFile)
	pair, err := tls.LoadX509KeyPair(a.RootFile(), keyFile)
	if err != nil {
		return nil, fmt.Errorf("the local authority in %s can't be used: %w: remove the folder to have another made", dir, err)
	}
	if info, err := os.Stat(keyFile); err != nil || os.PathSeparator == '/' && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("the key of the local authority, %s, can be read by others: run chmod 600 on it", keyFile)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || !pair.Leaf.IsCA {
		return nil, fmt.Errorf("the local authority in %s was not made by Sallyport: remove the folder to have another made", dir)
	}
	if time.Until(pair.Leaf.NotAfter) < renewAhead {
		return nil, fmt.Errorf("the local authority in %s runs out on %s: remove the folder to have another made, and trust that one",
			dir, pair.Leaf.NotAfter.Format(time.DateOnly))
	}
	a.cert, a.key = pair.Leaf, key
	return a, nil
}

// RootFile is the certificate that is to be trusted.
func (a *Authority) RootFile() string { return filepath.Join(a.dir, rootFile) }

// Fingerprint is the SHA-256 of the root, as browsers show it.
func (a *Authority) Fingerprint() string {
	sum := sha256.Sum256(a.cert.Raw)
	pairs := make([]string, len(sum))
	for i, b := range sum {
		pairs[i] = strings.ToUpper(hex.EncodeToString([]byte{b}))
	}
	return strings.Join(pairs, ":")
}

// Trusted reports whether this system's store has the root. Browsers may keep a
// store of their own.
func (a *Authority) Trusted() bool {
	_, err := a.cert.Verify(x509.VerifyOptions{KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err == nil
}

// Certificate returns the files of a certificate for localhost, 127.0.0.1, ::1,
// *.localhost and the names, which must be below localhost: browsers believe no
// wildcard of a top-level name. The one in the folder is issued anew when it lacks
// a name, runs out within a month, or is of another root.
func (a *Authority) Certificate(names ...string) (certFile, keyFile string, err error) {
	certFile, keyFile = filepath.Join(a.dir, "localhost.pem"), filepath.Join(a.dir, "localhost-key.pem")
	if pair, err := tls.LoadX509KeyPair(certFile, keyFile); err == nil {
		if a.serves(pair.Leaf, names) {
			return certFile, keyFile, nil
		}
		names = append(names, pair.Leaf.DNSNames...) // of gateways that use it now
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	leaf := template("localhost", leafLife)
	leaf.KeyUsage = x509.KeyUsageDigitalSignature
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leaf.DNSNames = distinct(append([]string{"localhost", "*.localhost"}, names...))
	leaf.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	der, err := x509.CreateCertificate(rand.Reader, leaf, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return "", "", err
	}
	return certFile, keyFile, writePair(certFile, keyFile, der, key)
}

func (a *Authority) serves(leaf *x509.Certificate, names []string) bool {
	if leaf.CheckSignatureFrom(a.cert) != nil || time.Until(leaf.NotAfter) < renewAhead {
		return false
	}
	has := map[string]bool{}
	for _, name := range leaf.DNSNames {
		has[name] = true
	}
	for _, name := range names {
		if !has[name] {
			return false
		}
	}
	return true
}

func (a *Authority) create() error {
	if err := os.MkdirAll(a.dir, 0o700); err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	root := template("Sallyport development authority of "+machine(), rootLife)
	root.IsCA, root.BasicConstraintsValid, root.MaxPathLenZero = true, true, true
	root.KeyUsage = x509.KeyUsageCertSign
	root.PermittedDNSDomainsCritical = true
	root.PermittedDNSDomains = []string{"localhost"}
	root.PermittedIPRanges = []*net.IPNet{
		{IP: net.IPv4(127, 0, 0, 0).To4(), Mask: net.CIDRMask(8, 32)},
		{IP: net.IPv6loopback, Mask: net.CIDRMask(128, 128)},
	}
	der, err := x509.CreateCertificate(rand.Reader, root, root, &key.PublicKey, key)
	if err != nil {
		return err
	}
	return writePair(a.RootFile(), filepath.Join(a.dir, rootKeyFile), der, key)
}

func template(name string, life time.Duration) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		Subject:   pkix.Name{CommonName: name, Organization: []string{"Sallyport development"}},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(life), // clocks of virtual machines differ
	}
}

func machine() string {
	if name, err := os.Hostname(); err == nil {
		return name
	}
	return "this machine"
}

func distinct(names []string) []string {
	seen, out := map[string]bool{}, []string{}
	for _, name := range names {
		if !seen[name] {
			seen[name] = true
			out = append(out, name)
		}
	}
	return out
}

// writePair writes the key first: a certificate says that the key is there. Each
// file is whole at any time.
func writePair(certFile, keyFile string, der []byte, key *ecdsa.PrivateKey) error {
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name, kind string
		content    []byte
		mode       fs.FileMode
	}{
		{keyFile, "PRIVATE KEY", secret, 0o600},
		{certFile, "CERTIFICATE", der, 0o644},
	} {
		if err := writeFile(f.name, pem.EncodeToMemory(&pem.Block{Type: f.kind, Bytes: f.content}), f.mode); err != nil {
			return err
		}
	}
	return nil
}

func writeFile(name string, content []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-") // of mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(mode), f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
