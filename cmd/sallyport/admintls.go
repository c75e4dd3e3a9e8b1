package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/spf13/cobra"
)

// adminTLS says how the operators' listener is known, and by which certificate the
// user is.
type adminTLS struct{ caFile, certFile, keyFile string }

func (t *adminTLS) add(cmd *cobra.Command) {
	cmd.PersistentFlags().StringVar(&t.caFile, "ca-file", "", "authorities of the admin listener's certificate (default: the certificate of admin.tls itself, or the system's authorities with --admin)")
	cmd.PersistentFlags().StringVar(&t.certFile, "cert-file", "", "client certificate, in place of the token")
	cmd.PersistentFlags().StringVar(&t.keyFile, "key-file", "", "its private key")
}

// use puts what the flags say over what the configuration does.
func (t *adminTLS) use(c *adminClient) error {
	if t.caFile == "" && t.certFile == "" && t.keyFile == "" {
		return nil
	}
	transport, ok := c.http.Transport.(*http.Transport)
	if !ok {
		transport = &http.Transport{Proxy: http.ProxyFromEnvironment}
		c.http.Transport = transport
	}
	if transport.TLSClientConfig == nil {
		transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if t.caFile != "" {
		text, err := os.ReadFile(t.caFile)
		if err != nil {
			return fmt.Errorf("--ca-file: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(text) {
			return fmt.Errorf("--ca-file: %s holds no certificate in PEM", t.caFile)
		}
		transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	}
	if (t.certFile == "") != (t.keyFile == "") {
		return errors.New("--cert-file and --key-file go together")
	}
	if t.certFile != "" {
		pair, err := tls.LoadX509KeyPair(t.certFile, t.keyFile)
		if err != nil {
			return fmt.Errorf("--cert-file: %w", err)
		}
		transport.TLSClientConfig.Certificates = []tls.Certificate{pair}
	}
	return nil
}

// onlyCertificate believes the one certificate that is in a file, for whatever name:
// it is the gateway's own, and its listener is asked by an address.
func onlyCertificate(file string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection knows more: which certificate it is
		VerifyConnection: func(state tls.ConnectionState) error {
			text, err := os.ReadFile(file)
			if err != nil {
				return fmt.Errorf("admin.tls.cert_file: %w", err)
			}
			block, _ := pem.Decode(text)
			if block == nil || len(state.PeerCertificates) == 0 || !bytes.Equal(block.Bytes, state.PeerCertificates[0].Raw) {
				return errors.New("the admin listener shows another certificate than admin.tls.cert_file")
			}
			return nil
		},
	}
}
