package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/gateway/config"
)

// adminFlags say which gateway a command speaks to: the one of the
// configuration file, unless flags say otherwise.
type adminFlags struct {
	config    string
	url       string
	tokenFile string
	tls       adminTLS
}

func (f *adminFlags) add(cmd *cobra.Command) {
	cmd.PersistentFlags().StringVarP(&f.config, "config", "c", "config.yaml", configFlagHelp)
	cmd.PersistentFlags().StringVar(&f.url, "admin", "", "address of the admin listener, such as http://127.0.0.1:9080 (default: admin.listen of the configuration)")
	cmd.PersistentFlags().StringVar(&f.tokenFile, "token-file", "", "file with the admin token (default: admin.token_file of the configuration)")
	f.tls.add(cmd)
}

// client reads the configuration only where the flags leave something open.
func (f *adminFlags) client() (*adminClient, error) {
	c := &adminClient{base: strings.TrimSuffix(f.url, "/"), http: &http.Client{Timeout: 30 * time.Second}}
	tokenFile := f.tokenFile
	if c.base == "" || tokenFile == "" && f.tls.certFile == "" {
		cfg, err := config.Load(f.config, os.Environ())
		if err != nil {
			return nil, err
		}
		if tokenFile == "" {
			tokenFile = cfg.Admin.TokenFile
		}
		if c.base == "" {
			if err := c.dial(cfg.Admin, "--admin"); err != nil {
				return nil, err
			}
		}
	}
	if err := f.tls.use(c); err != nil {
		return nil, err
	}
	token, err := config.ReadSecret("", tokenFile)
	if errors.Is(err, config.ErrNoSecret) && f.tls.certFile != "" {
		return c, nil
	}
	if errors.Is(err, config.ErrNoSecret) {
		return nil, errors.New("the admin API needs a token: configure admin.token_file, or name one with --token-file; or a client certificate: --cert-file")
	}
	if err != nil {
		return nil, err
	}
	c.token = token
	return c, nil
}

// adminClient speaks to the admin API of a running gateway.
type adminClient struct {
	base  string
	token config.Secret
	http  *http.Client
}

// dial takes the address from the listener's. flag is how the user could name
// another one.
func (c *adminClient) dial(of config.Admin, flag string) error {
	if of.Listen == "" {
		return fmt.Errorf(`the admin listener is off (admin.listen: ""): name another gateway's with %s`, flag)
	}
	at, err := config.ParseListen(of.Listen)
	if err != nil {
		return fmt.Errorf("admin.listen: %w", err)
	}
	transport, scheme := &http.Transport{}, "http"
	if of.TLS.CertFile != "" {
		scheme, transport.TLSClientConfig = "https", onlyCertificate(of.TLS.CertFile)
	}
	c.http.Transport = transport
	switch at.Network {
	case config.SystemdSocket:
		return fmt.Errorf("systemd opens the admin listener, so its address is not in the configuration: name it with %s", flag)
	case "unix":
		c.base = scheme + "://sallyport"
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", at.Address)
		}
		return nil
	}
	host, port, err := net.SplitHostPort(at.Address)
	if err != nil {
		return fmt.Errorf("admin.listen: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	c.base = scheme + "://" + net.JoinHostPort(host, port)
	return nil
}

// call sends in as JSON, unless it is nil, and reads the answer into out, unless
// that is nil. path is below /api/v1. What the gateway refuses becomes an error
// with the gateway's own words.
func (c *adminClient) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return atRunTime(err)
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.base+"/api/v1"+path, body)
	if err != nil {
		return atRunTime(err)
	}
	if token := c.token.Reveal(); token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(r)
	if err != nil {
		return atRunTime(fmt.Errorf("the gateway's admin listener does not answer: %w", err))
	}
	defer res.Body.Close() //nolint:errcheck // it was read, or is not wanted
	text, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	if err != nil {
		return atRunTime(err)
	}
	if res.StatusCode >= http.StatusBadRequest {
		return atRunTime(refusedBy(res.StatusCode, text))
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return atRunTime(fmt.Errorf("the answer of the gateway can't be read: %w", err))
	}
	return nil
}

func refusedBy(status int, body []byte) error {
	var problem struct{ Detail, Reason string }
	if err := json.Unmarshal(body, &problem); err != nil || problem.Detail == "" {
		return fmt.Errorf("the gateway answered %d %s %s", status, http.StatusText(status), problem.Reason)
	}
	return &refusedError{problem.Detail, problem.Reason}
}

// refusedError is what the gateway says to a request that it does not fulfil.
type refusedError struct{ detail, reason string }

func (e *refusedError) Error() string {
	if e.reason == reasonUnconfirmed {
		return e.detail + " with --yes"
	}
	return e.detail
}

// reasonUnconfirmed refuses a lock that could be on everybody, or on the operator.
const reasonUnconfirmed = "unconfirmed_lock"
