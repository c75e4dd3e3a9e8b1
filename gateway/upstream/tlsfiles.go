package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/followed"
)

const (
	// filePause is how often files are looked at. They are read each time: neither
	// their time nor their size tells every change.
	filePause = 2 * time.Second
	// maxFile bounds what a file can make the gateway hold.
	maxFile = 4 << 20
)

var (
	errFileSize = errors.New("the file is larger than 4 MiB")
	errNoCert   = errors.New("there is no certificate in PEM in it")
)

// tlsFiles are the files of upstream_tls, and what was made of them.
type tlsFiles struct {
	config.ClientTLS
	ready atomic.Pointer[tls.Config]
	files followed.Files
}

// tlsTexts are what the files of the authorities, the certificate and its key hold.
type tlsTexts struct{ ca, cert, key []byte }

func (t *tlsTexts) all() [][]byte { return [][]byte{t.ca, t.cert, t.key} }

// newTLSFiles reads the files for the first time. Errors are joined *OptionErrors.
func newTLSFiles(t config.ClientTLS, host string) (*tlsFiles, error) {
	f := &tlsFiles{ClientTLS: t}
	if f.ServerName == "" {
		f.ServerName = host
	}
	texts, err := f.read()
	if err == nil {
		err = f.take(texts)
	}
	if err != nil {
		return nil, err
	}
	f.files.Hold(texts.all()...)
	return f, nil
}

func (f *tlsFiles) read() (texts tlsTexts, err error) {
	for _, one := range []struct {
		key, name string
		text      *[]byte
	}{{"ca_file", f.CAFile, &texts.ca}, {"cert_file", f.CertFile, &texts.cert}, {"key_file", f.KeyFile, &texts.key}} {
		if one.name == "" {
			continue
		}
		var unread error
		if *one.text, unread = readFile(one.name); unread != nil {
			err = errors.Join(err, &OptionError{"upstream_tls." + one.key, unread})
		}
	}
	return texts, err
}

func readFile(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(text) > maxFile {
		return nil, errFileSize
	}
	return text, err
}

// take makes a TLS configuration of the files.
func (f *tlsFiles) take(texts tlsTexts) error {
	made := &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: f.ServerName,
		ClientSessionCache: tls.NewLRUClientSessionCache(0),
	}
	var faults []error
	if f.CAFile != "" {
		made.RootCAs = x509.NewCertPool()
		if !made.RootCAs.AppendCertsFromPEM(texts.ca) {
			faults = append(faults, &OptionError{"upstream_tls.ca_file", errNoCert})
		}
	}
	if f.CertFile != "" {
		pair, err := tls.X509KeyPair(texts.cert, texts.key)
		if err != nil {
			faults = append(faults, &OptionError{"upstream_tls.cert_file", err})
		}
		made.Certificates = []tls.Certificate{pair}
	}
	if len(faults) > 0 {
		return errors.Join(faults...)
	}
	f.ready.Store(made)
	return nil
}

// followFiles reads the files of all connections again and again until ctx ends.
func (c *Connections) followFiles(ctx context.Context) {
	tick := time.NewTicker(filePause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, one := range c.list() {
			if one.files != nil && (one.files.CAFile != "" || one.files.CertFile != "") {
				one.followFiles()
			}
		}
	}
}

// followFiles takes what the files hold once they are settled: one that was written
// while the other was not yet is no fault. It says once what is wrong, and once that
// it is mended.
func (c *connection) followFiles() {
	f, log := c.files, c.all.log.With(zap.String("upstream", c.url))
	texts, err := f.read()
	change, err := f.files.Look(texts.all(), err, func() error { return f.take(texts) })
	switch {
	case err != nil:
		log.Error("a file of upstream_tls can't be taken, what it held before still counts", zap.Error(err))
	case change != followed.Same:
		c.renew()
		log.Info("the files of upstream_tls were read")
	}
}
