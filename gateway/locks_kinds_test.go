package gateway_test

import (
	"context"
	"crypto/tls"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sallyport/sallyport/gateway/tlstest"
)

// lockedKind is a kind of credential, and how a lock can be on whom it proves. He is
// in the group users, and comes from 127.0.0.1.
type lockedKind struct {
	issuer, subject, route string
	sid                    string        // of his session at the provider; "" where the kind knows of none
	get, other             func() answer // a request of his, and of another subject; other may be nil
}

// refused asserts that a lock refuses the kind by each criterion, also by several
// at once, and that one which matches only in part does not.
func (k *lockedKind) refused(t *testing.T, s *site) {
	t.Helper()
	subject := map[string]any{"issuer": k.issuer, "subject": k.subject}
	and := func(on map[string]any, more map[string]any) map[string]any {
		both := maps.Clone(on)
		maps.Copy(both, more)
		return both
	}
	matching := map[string]map[string]any{
		"subject":            subject,
		"issuer":             {"issuer": k.issuer},
		"group":              {"group": "users"},
		"address":            {"address": "127.0.0.1"},
		"network":            {"address": "127.0.0.0/8"},
		"route":              {"route": k.route},
		"all but a subject":  {"issuer": k.issuer, "group": "users", "route": k.route, "address": "::ffff:127.0.0.1"},
		"subject at a route": and(subject, map[string]any{"route": k.route}),
		"subject from there": and(subject, map[string]any{"address": "127.0.0.1"}),
		"group at a route":   {"group": "users", "route": k.route},
		"address at a route": {"address": "127.0.0.0/8", "route": k.route},
	}
	other := map[string]map[string]any{
		"another subject":        {"issuer": k.issuer, "subject": "nobody"},
		"another issuer":         {"issuer": "https://nobody.test"},
		"a namesake":             {"issuer": "https://nobody.test", "subject": k.subject},
		"another group":          {"group": "user"},
		"another address":        {"address": "127.0.0.2"},
		"another route":          {"route": "public"},
		"subject, another route": and(subject, map[string]any{"route": "public"}),
		"group, another route":   {"group": "users", "route": "public"},
		"group, another issuer":  {"group": "users", "issuer": "https://nobody.test"},
		"subject, other network": and(subject, map[string]any{"address": "10.0.0.0/8"}),
		"a provider session":     {"issuer": k.issuer, "provider_session": "nobody's"},
	}
	if k.sid != "" {
		sid := map[string]any{"issuer": k.issuer, "provider_session": k.sid}
		matching["provider session"] = sid
		matching["provider session and all else"] = and(and(sid, subject), map[string]any{"group": "users", "route": k.route, "address": "127.0.0.1"})
		other["provider session, another route"] = and(sid, map[string]any{"route": "public"})
		other["the session of another provider"] = map[string]any{"issuer": "https://nobody.test", "provider_session": k.sid}
	}
	s.passed(t, k.get())
	for name, on := range matching {
		lift := s.lock(t, on)
		s.isLocked(t, name, k.get())
		if _, one := on["subject"]; one && k.other != nil {
			s.passed(t, k.other())
		}
		lift()
		s.passed(t, k.get())
	}
	for name, on := range other {
		lift := s.lock(t, on)
		if a := k.get(); a.StatusCode != http.StatusOK {
			t.Errorf("a lock on %s refuses him: %d %s", name, a.StatusCode, a.text)
		}
		s.upstream.take()
		lift()
	}
}

// TestALockRefusesEveryKindOfCredential, by each criterion, and nobody else.
func TestALockRefusesEveryKindOfCredential(t *testing.T) {
	t.Parallel()
	s := newKindsSite(t)
	key, _ := s.apiKey(t, nil)
	session := func(user string) string { return "Cookie: " + s.signIn(t, user) }
	bearer := func(subject string) string {
		return "Authorization: Bearer " + s.token(t, map[string]any{"sub": subject, "groups": []string{"users"}, "sid": "sid-of-" + subject})
	}
	for _, kind := range []struct {
		name, issuer, subject, sid, line, route, path, other string
	}{
		{"session", "urn:sallyport:dev", "alice", "", session("alice"), "all", "/all/", session("mallory")},
		{"bearer", tokenIssuer, "caller", "sid-of-caller", bearer("caller"), "all", "/all/", bearer("another")},
		{"opaque token", "introspection corp", "opaque-user", "sid-of-opaque", "Authorization: Bearer good", "opaque", "/opaque/", ""},
		{"basic", "urn:sallyport:local", "paula", "", basicLine("paula:" + peoplesPassword), "basic", "/basic/", ""},
		{"API key", "api_key", "robot", "", "X-API-Key: " + key, "keys", "/keys/", ""},
		{"API key as a password", "api_key", "robot", "", basicLine("x:" + key), "basic", "/basic/", basicLine("paula:" + peoplesPassword)},
	} {
		t.Run(kind.name, func(t *testing.T) {
			with := func(line string) func() answer {
				return func() answer { return s.raw(t, s.request("GET", kind.path, line, "Connection: close")) }
			}
			k := lockedKind{issuer: kind.issuer, subject: kind.subject, sid: kind.sid, route: kind.route, get: with(kind.line)}
			if kind.other != "" {
				k.other = with(kind.other)
			}
			k.refused(t, s.site)
		})
	}
	if got := s.metrics(t); !strings.Contains(got, `sallyport_requests_total{outcome="forbid",reason="locked",route="all"}`) || !strings.Contains(got, `sallyport_locks_active{on="subject"} 0`) {
		t.Errorf("the metrics do not tell of locks:\n%s", got)
	}
}

// TestALockRefusesTheSessionOfAnOpenIDProvider, also by the provider's own session.
func TestALockRefusesTheSessionOfAnOpenIDProvider(t *testing.T) {
	t.Parallel()
	s, corp := newCorpSite(t, plan{adminToken: operatorsTokenFile(t)})
	with := func(cookie string) func() answer {
		return func() answer { return s.as(t, "", "/rw/x", "Cookie: "+cookie) }
	}
	k := lockedKind{
		issuer: corp.Issuer, subject: "carol", sid: "sid-1", route: "read",
		get: with(s.corpSession(t, corp, "carol", "sid-1")), other: with(s.corpSession(t, corp, "dave", "sid-2")),
	}
	k.refused(t, s)
	// Of one user, only the session in question.
	second := with(s.corpSession(t, corp, "carol", "sid-3"))
	lift := s.lock(t, map[string]any{"issuer": corp.Issuer, "provider_session": "sid-1"})
	s.isLocked(t, "the session", k.get())
	s.passed(t, second())
	lift()
}

// TestALockRefusesAClientCertificate: on a connection that was made before the lock,
// on a new one, and on a stream that is open.
func TestALockRefusesAClientCertificate(t *testing.T) {
	t.Parallel()
	certFile, keyFile, pool := certificate(t, "localhost")
	clients, app := tlstest.New(t), newStreamingApp(t)
	s := newSite(t, plan{
		adminToken: operatorsTokenFile(t), publicURL: "https://localhost:8443",
		server: fmt.Sprintf("tls: {cert_file: %s, key_file: %s, client_ca_file: %s, client_subject: cn}", certFile, keyFile, clients.CertFile),
		routes: `
  - {name: machines, paths: [/machines/], upstream: "$UP", auth: [client_cert], policy: users}
  - {name: talk, paths: [/ws/echo], upstream: "` + app.URL + `", auth: [client_cert], policy: users}`,
	})
	// client has a certificate, and one connection while its answers are read.
	client := func(name string) *http.Client {
		cert := clientCert(clients, pkix.Name{CommonName: name, OrganizationalUnit: []string{"users"}}, "", -time.Hour, time.Hour)
		transport := &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*cert}},
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, "tcp", s.addr)
			},
		}
		t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: transport}
	}
	get := func(c *http.Client) answer {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://localhost:8443/machines/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		res, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer{res, string(body)}
	}
	billing, audit := client("billing"), client("audit")
	for name, fresh := range map[string]bool{"a connection from before": false, "a new connection": true} {
		t.Run(name, func(t *testing.T) {
			k := lockedKind{
				issuer: "client_cert", subject: "billing", route: "machines",
				get: func() answer {
					if fresh {
						billing.CloseIdleConnections()
					}
					return get(billing)
				},
				other: func() answer { return get(audit) },
			}
			k.refused(t, s)
		})
	}
	t.Run("open streams", func(t *testing.T) {
		for name, on := range map[string]map[string]any{
			"subject": {"issuer": "client_cert", "subject": "billing"}, "issuer": {"issuer": "client_cert"},
			"group": {"group": "users"}, "address": {"address": "127.0.0.1"}, "route": {"route": "talk"},
		} {
			c, _, err := websocket.Dial(t.Context(), "wss://localhost:8443/ws/echo", &websocket.DialOptions{
				HTTPClient: billing, HTTPHeader: http.Header{"Origin": {"https://localhost:8443"}},
			})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			defer func() { _ = c.CloseNow() }()
			say(t, c)
			over := listen(t, c)
			lift := s.lock(t, on)
			endsWith(t, over, websocket.StatusPolicyViolation)
			lift()
		}
	})
}
