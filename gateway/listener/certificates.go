package listener

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/followed"
)

// CertificateOptions say which certificates are presented and asked for.
type CertificateOptions struct {
	TLS config.TLS
	Key string // of TLS in the configuration; "" is server.tls
	Log *zap.Logger
	// RequireClient says that without a client certificate there is no connection,
	// where the configuration has authorities for them.
	RequireClient bool
	// Issued returns the certificate for a client that asks for a name, or nil
	// where it is one of those in files. It may be nil.
	Issued func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Protocols are spoken besides HTTP, for proofs to an authority.
	Protocols []string
	// Reloaded is told of every look at changed files: whether they were taken.
	Reloaded func(taken bool)
	// Pause is how long a change may go unseen; 0 is a second. The files are read
	// each time: neither time nor size tells every change, and ConfigMaps change by
	// a link to another directory.
	Pause time.Duration
}

// Certificates are those of the listeners. Their files are read again when they
// change, and connections that are open are not touched by that. It is safe for
// concurrent use.
type Certificates struct {
	o       CertificateOptions
	files   []*pemFiles                // one of each pair, then one of the authorities
	current atomic.Pointer[tls.Config] // what handshakes use

	mu     sync.Mutex // guards what the files hold
	pairs  []*tls.Certificate
	client *x509.CertPool // nil where no client certificate is asked for
}

// NewCertificates reads the files. The error is a *FileError.
func NewCertificates(o CertificateOptions) (*Certificates, error) {
	o.Key = cmp.Or(o.Key, "server.tls")
	c := &Certificates{o: o, pairs: make([]*tls.Certificate, len(o.TLS.Pairs()))}
	for i, pair := range o.TLS.Pairs() {
		key := fmt.Sprintf("%s.certificates[%d]", o.Key, i)
		if o.TLS.CertFile != "" {
			key = fmt.Sprintf("%s.certificates[%d]", o.Key, i-1)
			if i == 0 {
				key = o.Key
			}
		}
		c.files = append(c.files, &pemFiles{key: key, names: []string{pair.CertFile, pair.KeyFile}, take: func(text [][]byte) error {
			return c.takePair(i, text)
		}})
	}
	if o.TLS.ClientCAFile != "" {
		c.files = append(c.files, &pemFiles{key: o.Key + ".client_ca_file", names: []string{o.TLS.ClientCAFile}, take: c.takeClients})
	}
	for _, f := range c.files {
		if err := f.load(); err != nil {
			return nil, &FileError{Key: f.key, Err: err}
		}
	}
	c.publish()
	return c, nil
}

// FileError is what is wrong with the files of a key of the configuration.
type FileError struct {
	Key string
	Err error
}

func (e *FileError) Error() string { return e.Key + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *FileError) Unwrap() error { return e.Err }

// Config returns what a server is given: each handshake asks for what is current.
func (c *Certificates) Config() *tls.Config {
	out := c.base()
	out.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.current.Load(), nil }
	return out
}

// base has what doesn't change.
func (c *Certificates) base() *tls.Config {
	out := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: append([]string{"h2", "http/1.1"}, c.o.Protocols...)}
	if c.o.TLS.MinVersion == "1.3" {
		out.MinVersion = tls.VersionTLS13
	}
	return out
}

// publish makes what the files hold current.
func (c *Certificates) publish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := c.base()
	for _, pair := range c.pairs {
		next.Certificates = append(next.Certificates, *pair)
	}
	next.GetCertificate = c.o.Issued
	if c.client != nil {
		next.ClientCAs, next.ClientAuth = c.client, tls.VerifyClientCertIfGiven
		if c.o.RequireClient {
			next.ClientAuth = tls.RequireAndVerifyClientCert
		}
	}
	c.current.Store(next)
}

// Ends returns when each certificate runs out, by the name of its file.
func (c *Certificates) Ends() map[string]time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	ends := make(map[string]time.Time, len(c.pairs))
	for i, pair := range c.pairs {
		ends[c.files[i].names[0]] = pair.Leaf.NotAfter
	}
	return ends
}

// takePair takes a chain and its key. One that is not valid now does not replace
// one that is.
func (c *Certificates) takePair(i int, text [][]byte) error {
	pair, err := tls.X509KeyPair(text[0], text[1])
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if held := c.pairs[i]; held != nil && inForce(held.Leaf, now) && !inForce(pair.Leaf, now) {
		return fmt.Errorf("the certificate is valid from %s to %s alone", pair.Leaf.NotBefore.UTC().Format(time.RFC3339), pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	c.pairs[i] = &pair
	return nil
}

func inForce(leaf *x509.Certificate, now time.Time) bool {
	return !now.Before(leaf.NotBefore) && !now.After(leaf.NotAfter)
}

var (
	errNoAuthority = errors.New("holds no certificate")
	errNotAllPEM   = errors.New("holds something besides whole certificates in PEM")
)

// takeClients takes authorities for client certificates, all or none of a file:
// one that was cut off would shut out those who come with the others.
func (c *Certificates) takeClients(text [][]byte) error {
	pool, rest, some := x509.NewCertPool(), text[0], false
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if block.Type != "CERTIFICATE" || err != nil {
			return errNotAllPEM
		}
		pool.AddCert(cert)
		some = true
	}
	switch {
	case bytes.Contains(rest, []byte("-----BEGIN")):
		return errNotAllPEM
	case !some:
		return errNoAuthority
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.client = pool
	return nil
}

// Run follows the files until ctx ends.
func (c *Certificates) Run(ctx context.Context) {
	tick := time.NewTicker(cmp.Or(c.o.Pause, time.Second))
	defer tick.Stop()
	for len(c.files) > 0 {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		changed := false
		for _, f := range c.files {
			changed = c.follow(f) || changed
		}
		if changed {
			c.publish()
		}
	}
}

// follow looks at the files of one key. It says once what is wrong with them; what
// was held before counts until that is mended.
func (c *Certificates) follow(f *pemFiles) (taken bool) {
	text, err := f.read()
	change, err := f.files.Look(text, err, func() error { return f.take(text) })
	switch {
	case err != nil:
		c.o.Reloaded(false)
		c.o.Log.Error("a new certificate can't be taken, the one before is still presented", zap.String("key", f.key), zap.Error(err))
	case change == followed.Taken:
		c.o.Reloaded(true)
		c.o.Log.Info("a certificate was read anew", zap.String("key", f.key))
	}
	return change == followed.Taken
}

// pemFiles are files that mean something together, as a certificate and its key.
type pemFiles struct {
	key   string // of the configuration
	names []string
	take  func(text [][]byte) error
	files followed.Files
}

// maxPEM bounds what a file can make the gateway hold.
const maxPEM = 4 << 20

func (f *pemFiles) read() ([][]byte, error) {
	text := make([][]byte, len(f.names))
	for i, name := range f.names {
		var err error
		if text[i], err = os.ReadFile(name); err != nil {
			return nil, err
		}
		if len(text[i]) > maxPEM {
			return nil, fmt.Errorf("%s is larger than 4 MiB", name)
		}
	}
	return text, nil
}

func (f *pemFiles) load() error {
	text, err := f.read()
	if err == nil {
		err = f.take(text)
	}
	f.files.Hold(text...)
	return err
}
