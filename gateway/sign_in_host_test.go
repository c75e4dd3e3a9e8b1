package gateway_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/sallyport/sallyport/gateway"
)

// The host of public_url is where people sign in, though all applications are at
// others.
func TestSignInHostNeedsNoRoute(t *testing.T) {
	hash, err := gateway.HashPassword("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	users := filepath.Join(t.TempDir(), "users.yaml")
	if err := os.WriteFile(users, fmt.Appendf(nil, "users: [{username: alice, password_hash: '%s'}]", hash), 0o600); err != nil {
		t.Fatal(err)
	}
	g := run(t, fmt.Sprintf(`
server: {listen: "127.0.0.1:0", public_url: "https://auth.example.test", trusted_proxies: [127.0.0.1]}
admin: {listen: ""}
session: {embedded: {path: ""}, cookie: {domain: example.test}}
login: {providers: [{name: local, type: users, file: %s}]}
forward_auth: {enabled: [traefik]}
routes:
  - {name: app, hosts: [app.example.test], paths: [/], policy: authenticated}
`, users))
	for _, c := range []struct {
		line, host string
		status     int
	}{
		{"GET /.auth/login?return_to=https://app.example.test/x", "auth.example.test", http.StatusOK},
		{"GET /.auth/me", "auth.example.test", http.StatusUnauthorized},
		{"GET /", "auth.example.test", http.StatusMisdirectedRequest},
		{"GET /.auth/login", "evil.test", http.StatusMisdirectedRequest},
		{"GET /.auth/login", "auth.example.test.evil.test", http.StatusMisdirectedRequest},
	} {
		a := sendTo(t, at(g, 0), c.line+" HTTP/1.1\r\nHost: "+c.host+"\r\nX-Forwarded-Proto: https\r\nAccept: text/html\r\nConnection: close\r\n\r\n")
		if a.StatusCode != c.status {
			t.Errorf("%s at %s: %d, want %d\n%s", c.line, c.host, a.StatusCode, c.status, a.text)
		}
	}
}
