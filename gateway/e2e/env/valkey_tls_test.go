//go:build e2e

package env_test

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/tlstest"
)

// pingTLS sends a PING and returns the answer.
func pingTLS(addr string, config *tls.Config) (string, error) {
	conn, err := tls.Dial("tcp", addr, config)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return "", err
	}
	buf := make([]byte, 64)
	n, err := conn.Read(buf) // TLS 1.3 tells here that the client was refused
	return strings.TrimSpace(string(buf[:n])), err
}

func TestValkeySpeaksTLS(t *testing.T) {
	ca := tlstest.New(t)
	v := env.StartValkey(t, env.ValkeyTLS(ca), env.ValkeyPassword("s3cret"))
	v.Do("SET", "a", "1")
	if v.URL() != "valkeys://"+v.Addr {
		t.Errorf("URL: %s", v.URL())
	}
	if got, err := pingTLS(v.Addr, &tls.Config{RootCAs: ca.Pool()}); err != nil || !strings.HasPrefix(got, "-NOAUTH") {
		t.Errorf("without a password: %q, %v; want NOAUTH", got, err)
	}
	if got, err := pingTLS(v.Addr, &tls.Config{RootCAs: tlstest.New(t).Pool()}); err == nil {
		t.Errorf("a client that trusts another authority got %q", got)
	}
	l := dial(t, v.Addr)
	l.send("PING")
	if got, err := l.answer(5 * time.Second); err == nil {
		t.Errorf("without TLS: %q", got)
	}
}

func TestValkeyRefusesClientsWithoutACertificate(t *testing.T) {
	ca := tlstest.New(t)
	v := env.StartValkey(t, env.ValkeyMutualTLS(ca))
	v.Do("SET", "a", "1")
	trust := &tls.Config{RootCAs: ca.Pool()}
	if got, err := pingTLS(v.Addr, trust); err == nil {
		t.Errorf("without a certificate: %q", got)
	}
	stranger := trust.Clone()
	stranger.Certificates = []tls.Certificate{tlstest.New(t).Client("gateway").Load(t)}
	if got, err := pingTLS(v.Addr, stranger); err == nil {
		t.Errorf("with a certificate of another authority: %q", got)
	}
	known := trust.Clone()
	known.Certificates = []tls.Certificate{ca.Client("gateway").Load(t)}
	if got, err := pingTLS(v.Addr, known); err != nil || got != "+PONG" {
		t.Errorf("with a certificate: %q, %v; want PONG", got, err)
	}
}
