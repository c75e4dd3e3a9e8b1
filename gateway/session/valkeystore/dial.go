package valkeystore

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/valkey-io/valkey-go"

	"github.com/sallyport/sallyport/gateway/config"
)

// Step is what a connection failed at, for the log and for operators.
type Step string

// The steps of a connection, in their order.
const (
	StepResolve     Step = "resolve"
	StepConnect     Step = "connect"
	StepTLS         Step = "tls"
	StepAuth        Step = "auth"
	StepRole        Step = "role"        // the server is no primary, or the group has none
	StepPermissions Step = "permissions" // the ACL user lacks a command
	StepTracking    Step = "tracking"    // no client-side caching, or changes are not pushed
	StepWrite       Step = "write"       // out of memory, a full disk, too few replicas
	StepAnswer      Step = "answer"      // connected, and no answer in time
)

// stepError is a failed step of a connection.
type stepError struct {
	step Step
	err  error
}

func (e *stepError) Error() string { return string(e.step) + ": " + e.err.Error() }
func (e *stepError) Unwrap() error { return e.err }

// stepOf says at which step an error came up.
func stepOf(err error) Step {
	if at, ok := errors.AsType[*stepError](err); ok {
		return at.step
	}
	text := err.Error()
	said, ok := errors.AsType[*valkey.ValkeyError](err)
	if !ok {
		switch {
		// valkey-go wraps some of the server's words in texts of its own.
		case errors.Is(err, valkey.ErrNoCache):
			return StepTracking
		case errors.Is(err, valkey.ErrNoAddr):
			return StepRole
		// With TLS 1.3 the server's verdict on a client comes with its first answer.
		case strings.Contains(text, "remote error: tls:"):
			return StepTLS
		}
		return StepAnswer
	}
	text = said.Error()
	switch word, _, _ := strings.Cut(text, " "); word {
	case "NOAUTH", "WRONGPASS":
		return StepAuth
	case "NOPERM":
		return StepPermissions
	case "READONLY", "MASTERDOWN":
		return StepRole
	case "OOM", "MISCONF", "NOREPLICAS":
		return StepWrite
	}
	switch {
	case strings.Contains(text, "ACL failure in script"):
		return StepPermissions
	case strings.Contains(text, "No such master"):
		return StepRole
	case strings.Contains(text, "AUTH") || strings.Contains(text, "password"):
		return StepAuth
	}
	return StepAnswer
}

// dialTimeout bounds resolving, connecting and TLS together.
const dialTimeout = 2 * time.Second

// dialer makes the connections. Certificates and passwords are read anew for
// each, so that files may be exchanged at any time.
type dialer struct {
	cfg     config.Valkey
	network string
	tls     bool
	net     net.Dialer
}

// newDialer reads every file once, so that faults show at the start.
func newDialer(cfg config.Valkey, first config.ValkeyAddress) (*dialer, error) {
	d := &dialer{cfg: cfg, network: first.Network, tls: first.TLS, net: net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}}
	if d.tls {
		if _, err := d.tlsConfig(""); err != nil {
			return nil, &OptionError{"tls", err}
		}
	}
	if _, err := d.password(); err != nil {
		return nil, &OptionError{"password_file", err}
	}
	if _, err := d.sentinelPassword(); err != nil {
		return nil, &OptionError{"sentinel_password_file", err}
	}
	return d, nil
}

func (d *dialer) tlsConfig(host string) (*tls.Config, error) {
	t := d.cfg.TLS
	out := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if t.ServerName != "" {
		out.ServerName = t.ServerName
	}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, err
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no PEM certificate", t.CAFile)
		}
	}
	if t.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, err
		}
		out.Certificates = []tls.Certificate{cert}
	}
	return out, nil
}

func (d *dialer) password() (string, error) {
	return optionalSecret(d.cfg.Password, d.cfg.PasswordFile)
}

func (d *dialer) sentinelPassword() (string, error) {
	return optionalSecret(d.cfg.SentinelPassword, d.cfg.SentinelPasswordFile)
}

func optionalSecret(inline config.Secret, file string) (string, error) {
	secret, err := config.ReadSecret(inline, file)
	if errors.Is(err, config.ErrNoSecret) {
		return "", nil
	}
	return secret.Reveal(), err
}

// sentinelMark in a dialer's FallbackDelay tells a connection to a sentinel.
// valkey-go gives one function the addresses of both kinds and asks one function
// for the credentials of both.
const sentinelMark = 301 * time.Millisecond

// sentinelConn is a connection to a sentinel, known by its address.
type sentinelConn struct{ net.Conn }

type sentinelAddr struct{ net.Addr }

func (c sentinelConn) RemoteAddr() net.Addr { return sentinelAddr{c.Conn.RemoteAddr()} }

// connect makes a connection, up to TLS.
func (d *dialer) connect(ctx context.Context, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := d.net.DialContext(ctx, d.network, address)
	if err != nil {
		step := StepConnect
		if _, ok := errors.AsType[*net.DNSError](err); ok {
			step = StepResolve
		}
		return nil, &stepError{step, err}
	}
	if d.tls {
		if conn, err = d.handshake(ctx, conn, address); err != nil {
			return nil, &stepError{StepTLS, err}
		}
	}
	return conn, nil
}

func (d *dialer) handshake(ctx context.Context, conn net.Conn, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = ""
	}
	cfg, err := d.tlsConfig(host)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	secure := tls.Client(conn, cfg)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return secure, nil
}

// credentials is valkey.ClientOption.AuthCredentialsFn.
func (d *dialer) credentials(c valkey.AuthCredentialsContext) (valkey.AuthCredentials, error) {
	user, read := d.cfg.Username, d.password
	if _, ok := c.Address.(sentinelAddr); ok {
		user, read = d.cfg.SentinelUsername, d.sentinelPassword
	}
	password, err := read()
	if err != nil {
		return valkey.AuthCredentials{}, &stepError{StepAuth, err}
	}
	return valkey.AuthCredentials{Username: user, Password: password}, nil
}

// dials are the connections of one client, so that none outlives it.
type dials struct {
	*dialer

	mu     sync.Mutex
	open   map[*dialed]struct{}
	closed bool
}

type dialed struct {
	net.Conn
	dials *dials
}

// dial is valkey.ClientOption.DialCtxFn.
func (d *dials) dial(ctx context.Context, address string, given *net.Dialer, _ *tls.Config) (net.Conn, error) {
	conn, err := d.connect(ctx, address)
	if err != nil {
		return nil, err
	}
	c := &dialed{conn, d}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, errors.Join(net.ErrClosed, conn.Close())
	}
	d.open[c] = struct{}{}
	if given.FallbackDelay == sentinelMark {
		return sentinelConn{c}, nil
	}
	return c, nil
}

// Close implements net.Conn.
func (c *dialed) Close() error {
	c.dials.mu.Lock()
	delete(c.dials.open, c)
	c.dials.mu.Unlock()
	return c.Conn.Close()
}

// close closes what is open, and whatever is dialled later.
func (d *dials) close() {
	d.mu.Lock()
	d.closed = true
	left := slices.Collect(maps.Keys(d.open))
	d.mu.Unlock()
	for _, c := range left {
		if over, ok := c.Conn.(*tls.Conn); ok {
			_ = over.NetConn().Close() // TLS would wait for a peer that is silent
		}
		_ = c.Close()
	}
}
