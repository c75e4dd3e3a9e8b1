package gateway_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/tlstest"
)

// TestAReloadChangesTheHeadersOfAnswers, of applications' and the gateway's own.
func TestAReloadChangesTheHeadersOfAnswers(t *testing.T) {
	t.Parallel()
	route := func(more string) string {
		return `- {name: shown, paths: [/shown/], upstream: "$UP", public: true` + more + `}`
	}
	s := newSite(t, plan{publicURL: "https://localhost", followed: true, server: "hsts: {max_age: 1m}", routes: route("")})
	s.upstream.answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nServer: Apache/1.3\r\n\r\n")
	says := func(hsts, server string) {
		t.Helper()
		for _, target := range []string{"/shown/", "/.auth/me"} {
			if got := s.raw(t, s.request("GET", target)).Header.Get("Strict-Transport-Security"); got != hsts {
				t.Errorf("%s: Strict-Transport-Security is %q, want %q", target, got, hsts)
			}
		}
		if got := s.raw(t, s.request("GET", "/shown/")).Header.Get("Server"); got != server {
			t.Errorf("Server is %q, want %q", got, server)
		}
	}
	says("max-age=60", "Apache/1.3")
	s.reload(t, func(p *plan) {
		p.server = "hsts: {max_age: 2m}"
		p.routes = strings.ReplaceAll(route(", shield: {mode: enforce, remove_headers: [Server]}"), "$UP", p.upstream)
	})
	says("max-age=120", "")
	s.reload(t, func(p *plan) { p.server = "hsts: {max_age: 0s}" })
	says("", "Apache/1.3")
}

// TestEnvoyIsAnsweredByTheNewConfiguration from the first call after a reload, on the
// connection that it has, while others ask.
func TestEnvoyIsAnsweredByTheNewConfiguration(t *testing.T) {
	t.Parallel()
	e := newEnvoy(t, plan{followed: true, routes: `- {name: turn, paths: [/turn/], upstream: "$UP", policy: users}`})
	in := e.asking(t, about{user: "alice", target: "/turn/"})
	ctx, stop := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	var asked atomic.Int64
	for range 3 {
		callers.Go(func() {
			for ctx.Err() == nil {
				out, err := e.client.Check(t.Context(), in)
				if err != nil {
					t.Error(err)
					return
				}
				if code := answered(out).StatusCode; code != http.StatusOK && code != http.StatusForbidden {
					t.Errorf("the answer is %d", code)
					return
				}
				asked.Add(1)
			}
		})
	}
	for range 3 {
		for policy, want := range map[string]int{"admins": http.StatusForbidden, "users": http.StatusOK} {
			e.reload(t, func(p *plan) { p.routes = strings.Replace(p.routes, "policy: users", "policy: "+policy, 1) })
			for range 5 {
				if got := e.got(t, about{user: "alice", target: "/turn/"}).StatusCode; got != want {
					t.Errorf("with %s: %d", policy, got)
				}
			}
			before := asked.Load()
			poll(t, "others to ask as well", func() bool { return asked.Load() >= before+10 || ctx.Err() != nil || t.Failed() })
		}
	}
	stop()
	callers.Wait()
}

// TestCertificatesChangeWhileConnectionsAreOpen: by the content of their files and by
// other names, on the public and the operators' listener; who is connected stays so.
func TestCertificatesChangeWhileConnectionsAreOpen(t *testing.T) {
	t.Parallel()
	ca := tlstest.New(t)
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	place := func(from tlstest.KeyPair) {
		t.Helper()
		for to, name := range map[string]string{cert: from.CertFile, key: from.KeyFile} {
			text, err := os.ReadFile(name)
			if err == nil {
				err = os.WriteFile(to, text, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	first, second, third := ca.Server("localhost"), ca.Server("localhost"), ca.Server("localhost")
	place(first)
	text := func(cert, key string) string {
		return strings.NewReplacer("$CERT", cert, "$KEY", key).Replace(`
server: {listen: "127.0.0.1:0", public_url: "https://localhost:8443", tls: {cert_file: "$CERT", key_file: "$KEY"}}
admin: {listen: "127.0.0.1:0", tls: {cert_file: "$CERT", key_file: "$KEY"}}
session: {embedded: {path: ""}}
login: {providers: [{name: dev, type: dev, identities: [{subject: alice}]}]}
routes: [{name: app, upstream: "builtin:echo", public: true}]
`)
	}
	s := &site{file: filepath.Join(dir, "config.yaml"), sessions: map[string]string{}}
	s.write(t, text(cert, key))
	cfg, err := config.Load(s.file, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.start(t, cfg)

	pool := ca.Pool()
	addresses := map[string]string{"public": s.addr, "operators'": s.gw.AdminAddr().String()}
	serial := func(address string) string {
		d := tls.Dialer{Config: &tls.Config{RootCAs: pool, ServerName: "localhost"}}
		c, err := d.DialContext(t.Context(), "tcp", address)
		if err != nil {
			return err.Error()
		}
		defer c.Close()
		return c.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String() //nolint:forcetypeassert // it dials no other
	}
	shown := func(pair tlstest.KeyPair) {
		t.Helper()
		want := pair.Load(t).Leaf.SerialNumber.String()
		for name, address := range addresses {
			poll(t, "the "+name+" listener to show the other certificate", func() bool { return serial(address) == want })
		}
	}
	client := &http.Client{Timeout: patience, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "localhost"},
	}}
	defer client.CloseIdleConnections()
	ask := func() {
		t.Helper()
		for name, target := range map[string]string{"public": "https://" + s.addr + "/", "operators'": "https://" + addresses["operators'"] + "/livez"} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = "localhost:8443"
			res, err := client.Do(r)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			_, err = io.Copy(io.Discard, res.Body) // so that its connection is used again
			_ = res.Body.Close()
			if err != nil || res.StatusCode != http.StatusOK || res.TLS.PeerCertificates[0].SerialNumber.Cmp(first.Load(t).Leaf.SerialNumber) != 0 {
				t.Errorf("%s: %s, over another connection than before", name, res.Status)
			}
		}
	}
	ask()
	shown(first)
	place(second)
	shown(second) // by itself
	ask()
	s.write(t, text(third.CertFile, third.KeyFile))
	if err := s.gw.Reload(t.Context(), gateway.TriggerSignal); err != nil {
		t.Fatal(err)
	}
	shown(third)
	ask()
}

// TestOtherTimeoutsSignNobodyOutWhoShouldNotBe: a shorter idle timeout counts for
// everybody from then on, the absolute one is that of the sign-in.
func TestOtherTimeoutsSignNobodyOutWhoShouldNotBe(t *testing.T) {
	t.Parallel()
	s := newSite(t, plan{followed: true})
	alice, bob := s.newSession(t, "alice", ""), s.newSession(t, "root", "")
	in := func(cookie, target string) bool {
		code := s.as(t, "", target, "Cookie: "+cookie).StatusCode
		if code != http.StatusOK && code != http.StatusUnauthorized {
			t.Errorf("%s: %d", target, code)
		}
		return code == http.StatusOK
	}
	if !in(alice, "/") || !in(bob, "/") {
		t.Fatal("somebody who has just signed in is not")
	}
	s.reload(t, func(p *plan) { p.session = "idle_timeout: 3s, absolute_timeout: 3s" })
	carol := s.newSession(t, "mallory", "")
	poll(t, "bob, who does nothing, and carol's time to be over", func() bool {
		if !in(alice, "/") { // she is busy all the time
			t.Fatal("alice is signed out, though she signed in under a longer absolute timeout")
		}
		return !in(bob, "/.auth/me") && !in(carol, "/")
	})
	s.reload(t, func(p *plan) { p.session = "cookie: {name: other}" })
	if in(alice, "/") {
		t.Error("the cookie has another name, and the former one counts")
	}
	s.reload(t, func(*plan) {})
	if !in(alice, "/") {
		t.Error("alice is signed out by timeouts that are longer again")
	}
}

// TestAccountsThatChangeOrGoWithAReload: passwords that were proven are judged again
// within a second. Sessions outlive the provider that they began with, and nobody signs
// in by it any more.
func TestAccountsThatChangeOrGoWithAReload(t *testing.T) {
	t.Parallel()
	users := filepath.Join(t.TempDir(), "users.yaml")
	account := func(password string) {
		t.Helper()
		hash, err := gateway.HashPassword(password)
		if err == nil {
			err = os.WriteFile(users, fmt.Appendf(nil, "users: [{username: paula, password_hash: '%s', groups: [users]}]", hash), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	account("the first password")
	s := newSite(t, plan{
		followed: true, providers: "- {name: local, type: users, file: " + users + "}",
		routes: `- {name: basic, paths: [/basic/], upstream: "$UP", auth: [basic], policy: users, headers: [{name: X-Forwarded-Issuer, claim: iss}]}`,
	})
	signIn := func(password string) (cookie string) {
		t.Helper()
		a := s.post(t, "/.auth/login", url.Values{"provider": {"local"}, "username": {"paula"}, "password": {password}})
		if a.Response == nil {
			t.Fatal("no answer")
		}
		for _, ck := range a.Cookies() {
			if ck.Name == s.cookie {
				cookie = "Cookie: " + ck.Name + "=" + ck.Value
			}
		}
		return cookie
	}
	basic := func(password string) bool {
		return s.as(t, "", "/basic/", basicLine("paula:"+password)).StatusCode == http.StatusOK
	}
	cookie := signIn("the first password")
	if !basic("the first password") || s.as(t, "", "/", cookie).StatusCode != http.StatusOK {
		t.Fatal("paula can't sign in")
	}
	account("the second password")
	s.reload(t, func(p *plan) { p.limits = "max_headers: 90" })
	poll(t, "the other password to count", func() bool { return basic("the second password") })
	if basic("the first password") {
		t.Error("the password before is still right")
	}
	s.reload(t, func(p *plan) { p.providers, p.routes = "", "" })
	if got := s.as(t, "", "/", cookie).StatusCode; got != http.StatusOK {
		t.Errorf("a session of a provider that is gone: %d", got)
	}
	if signIn("the second password") != "" {
		t.Error("somebody has signed in by a provider that is gone")
	}
}

// TestTokensOfAnIssuerThatIsGoneAreRefusedAtOnce, also those that were proven before.
func TestTokensOfAnIssuerThatIsGoneAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, plan{followed: true})
	token := "Authorization: Bearer " + s.token(t, nil)
	for range 2 {
		s.passed(t, s.as(t, "", "/api/", token))
	}
	with := s.yaml(func(*plan) {})
	s.write(t, strings.Replace(with, `issuer: "`+tokenIssuer+`"`, `issuer: "https://another.test"`, 1))
	if err := s.gw.Reload(t.Context(), gateway.TriggerSignal); err != nil {
		t.Fatal(err)
	}
	s.denied(t, s.as(t, "", "/api/", token), http.StatusUnauthorized)
	s.reload(t, func(*plan) {})
	s.passed(t, s.as(t, "", "/api/", token))
}
