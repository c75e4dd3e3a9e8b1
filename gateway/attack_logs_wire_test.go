package gateway_test

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport/sallyport/gateway/login/oidctest"
)

// TestLogInjectionByNamesInTLS: what a client calls the server in its handshake is text
// of his choice, before there is a request.
func TestLogInjectionByNamesInTLS(t *testing.T) {
	t.Parallel()
	cert, key, _ := certificate(t, "localhost")
	s := newSite(t, plan{publicURL: "https://localhost:8443", server: fmt.Sprintf("tls: {cert_file: %s, key_file: %s}", cert, key)})
	for _, name := range []string{
		`","admin":true,"x":"`, "a\r\n{\"admin\":true}", "\x1b[31mred", "x\u2028x", "a\x00b", strings.Repeat("n", 3000), "localhost",
	} {
		d := tls.Dialer{Config: &tls.Config{ServerName: name, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}} // an attacker
		c, err := d.DialContext(t.Context(), "tcp", s.addr)
		if err != nil {
			continue // refused in the handshake, which may have been logged
		}
		fmt.Fprintf(c, "GET /public/ HTTP/1.1\r\nHost: localhost:8443\r\nConnection: close\r\n\r\n")
		_, _ = io.Copy(io.Discard, c)
		_ = c.Close()
	}
	poll(t, "the last request to be logged", func() bool { return strings.Contains(s.logText.String(), `"path":"/public/"`) })
	for line := range strings.Lines(s.logText.String()) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil || record["admin"] != nil || len(line) > 2000 {
			t.Errorf("%v: the record is %q", err, line)
		}
		if strings.ContainsAny(strings.TrimSuffix(line, "\n"), "\r\n\x1b\x00") {
			t.Errorf("the record is %q", line)
		}
	}
}

// talkativeStore answers every command with an error that repeats all of it, the
// password among it.
func talkativeStore(t *testing.T, says string) (address string, asked func() int) {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var n int
	var all sync.WaitGroup
	serve := func(c net.Conn) {
		defer c.Close()
		r := bufio.NewReader(c)
		for {
			var args []string
			var count int
			if _, err := fmt.Fscanf(r, "*%d\r\n", &count); err != nil {
				return
			}
			for range count {
				var size int
				if _, err := fmt.Fscanf(r, "$%d\r\n", &size); err != nil || size < 0 || size > 1<<20 {
					return
				}
				text := make([]byte, size+2)
				if _, err := io.ReadFull(r, text); err != nil {
					return
				}
				args = append(args, string(text[:size]))
			}
			mu.Lock()
			n++
			mu.Unlock()
			fmt.Fprintf(c, "-ERR "+says+"\r\n", args[0], strings.Join(args[1:], "`, `"))
		}
	}
	all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() { serve(c) })
		}
	})
	t.Cleanup(func() { _ = ln.Close(); all.Wait() })
	return ln.Addr().String(), func() int { mu.Lock(); defer mu.Unlock(); return n }
}

// TestNoPasswordOfTheStoreIsLogged, not even where the store says it: servers before
// Redis 6 know no HELLO, and repeat what it was given; proxies repeat what they don't
// understand.
func TestNoPasswordOfTheStoreIsLogged(t *testing.T) {
	t.Parallel()
	const password = "planted-password-of-the-store"
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, says := range []string{"unknown command `%s`, with args beginning with: `%s`, ", "unsupported command %s %s"} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			address, asked := talkativeStore(t, says)
			s := newSite(t, plan{
				adminToken: adminToken(t),
				session:    fmt.Sprintf("store: valkey, keys_files: [%s], valkey: {urls: ['valkey://%s'], username: gate, password: %s}", key, address, password),
			})
			s.as(t, "", "/app", "Cookie: "+s.cookie+"=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
			poll(t, "the store to be asked, and the log to tell", func() bool {
				return asked() > 0 && strings.Contains(s.logText.String(), "the session store can't be used")
			})
			_, ready := s.readiness(t)
			for where, text := range map[string]string{"the log": s.logText.String(), "the metrics": s.metrics(t), "/readyz": ready} {
				if strings.Contains(text, password) {
					t.Errorf("the password is in %s:\n%s", where, text)
				}
			}
		})
	}
}

// TestNoSecretOfARefreshIsLogged: of those that succeed, and those that the provider
// refuses.
func TestNoSecretOfARefreshIsLogged(t *testing.T) {
	t.Parallel()
	s, op := newRefreshSite(t, good)
	cookie := "Cookie: " + s.atProvider(t)
	expire(t)
	s.as(t, "", "/tokens/", cookie)
	fake := `","admin":true,"x":"`
	op.Set(func(o *oidctest.Script) {
		o.TokenStatus, o.TokenError = http.StatusBadRequest, "invalid_client"+fake+"\r\n\x1b[31m"
	})
	expire(t)
	s.as(t, "", "/tokens/", cookie)
	poll(t, "a second refresh", func() bool { return op.Calls(oidctest.Refresh) >= 2 })
	poll(t, "both requests' lines", func() bool { return strings.Count(s.logText.String(), `"path":"/tokens/"`) >= 2 })

	secrets := []string{oidctest.ClientSecret}
	for _, form := range op.Exchanges() {
		for _, name := range []string{"code", "code_verifier", "refresh_token", "client_secret"} {
			if v := form.Get(name); v != "" {
				secrets = append(secrets, v)
			}
		}
	}
	_, value, _ := strings.Cut(cookie, "=")
	secrets = append(secrets, value)
	if len(secrets) < 4 {
		t.Fatalf("only %d secrets are looked for", len(secrets))
	}
	log := s.logText.String()
	for _, secret := range secrets {
		if strings.Contains(log, secret) {
			t.Errorf("%q is in the log:\n%s", secret, log)
		}
	}
	for line := range strings.Lines(log) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil || record["admin"] != nil {
			t.Errorf("%v: the record is %q", err, line)
		}
	}
}
