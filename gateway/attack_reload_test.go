package gateway_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sallyport/sallyport/gateway"
)

// TestReloadUnderAttack has a route that is for admins under one configuration and not
// there under the other, where the route below it is for everybody: what is judged by
// half of each would let alice see what is not hers. Files that can't be taken come in
// between.
func TestReloadUnderAttack(t *testing.T) {
	t.Parallel()
	values := filepath.Join(t.TempDir(), "admins.txt")
	if err := os.WriteFile(values, []byte("root@example.test\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSite(t, plan{
		followed: true, policies: "- {name: listed, rules: [{name: listed, allow: {emails_file: " + values + "}}]}",
		routes: "- {name: secret, paths: [/secret/], upstream: \"$UP\", policy: listed}",
	})
	cookie := s.signIn(t, "alice")
	with := s.yaml(func(*plan) {})
	without := s.yaml(func(p *plan) { p.routes = "" })

	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	var asked, wrong atomic.Int64
	for range 4 {
		clients.Go(func() {
			client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
			defer client.CloseIdleConnections()
			for ctx.Err() == nil {
				for target, fine := range map[string]func(int) bool{
					"/admin/":  func(code int) bool { return code == http.StatusForbidden },
					"/":        func(code int) bool { return code == http.StatusOK },
					"/secret/": func(code int) bool { return code == http.StatusForbidden || code == http.StatusOK },
				} {
					r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.addr+target, nil)
					if err != nil {
						t.Error(err)
						return
					}
					r.Host = s.host
					r.Header.Set("Cookie", cookie)
					res, err := client.Do(r)
					if err != nil {
						if !errors.Is(err, context.Canceled) {
							wrong.Add(1)
							t.Errorf("%s: %v", target, err)
						}
						continue
					}
					_ = res.Body.Close()
					if asked.Add(1); !fine(res.StatusCode) {
						wrong.Add(1)
						t.Errorf("%s: %d", target, res.StatusCode)
					}
				}
			}
		})
	}
	expect := func(code int) {
		t.Helper()
		if got := s.as(t, "alice", "/secret/"); got.StatusCode != code {
			t.Errorf("alice at /secret/: %d, want %d", got.StatusCode, code)
		}
		before := asked.Load()
		poll(t, "others to ask as well", func() bool { return asked.Load() >= before+10 })
	}
	for range 2 {
		s.write(t, without)
		if err := s.gw.Reload(t.Context(), gateway.TriggerSignal); err != nil {
			t.Fatal(err)
		}
		expect(http.StatusOK) // the route below it
		s.write(t, with)
		if err := s.gw.Reload(t.Context(), gateway.TriggerSignal); err != nil {
			t.Fatal(err)
		}
		expect(http.StatusForbidden)
		for _, bad := range []string{"", "\n", "routes: [", with[:len(with)/2] + "\n  - {", strings.Replace(with, "policy: listed", "policy: nobody", 1)} {
			_ = s.refusedReload(t, bad)
			expect(http.StatusForbidden)
		}
		// A file of values that is gone or empty is no list of nobody.
		for _, act := range []func() error{func() error { return os.Remove(values) }, func() error { return os.WriteFile(values, nil, 0o600) }} {
			if err := act(); err != nil {
				t.Fatal(err)
			}
			_ = s.refusedReload(t, with)
			expect(http.StatusForbidden)
		}
		if err := os.WriteFile(values, []byte("root@example.test\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	clients.Wait()
	t.Logf("%d requests, %d of them wrong", asked.Load(), wrong.Load())
}

// TestReloadOfTrustedProxies: whoever is no proxy any more can't name clients, on
// connections that are open too.
func TestReloadOfTrustedProxies(t *testing.T) {
	t.Parallel()
	s := newSite(t, plan{
		trusted: "127.0.0.1", followed: true, routes: `- {name: office, paths: [/office/], upstream: "$UP", policy: office}`,
		policies: "- {name: office, rules: [{name: office, allow: {cidr: [10.0.0.0/8]}}]}",
	})
	cookie := s.signIn(t, "alice")
	client := &http.Client{}
	defer client.CloseIdleConnections()
	get := func() int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.addr+"/office/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = s.host
		r.Header = http.Header{"Cookie": {cookie}, "X-Forwarded-For": {"10.1.2.3"}}
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	if got := get(); got != http.StatusOK {
		t.Fatalf("by the proxy: %d", got)
	}
	s.reload(t, func(p *plan) { p.trusted = "192.0.2.1" })
	if got := get(); got != http.StatusForbidden {
		t.Errorf("by somebody who was the proxy: %d", got)
	}
}

// TestReloadWithWeakOrMissingSecrets keeps what there was.
func TestReloadWithWeakOrMissingSecrets(t *testing.T) {
	t.Parallel()
	key := filepath.Join(t.TempDir(), "key")
	good := base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))
	if err := os.WriteFile(key, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSite(t, plan{session: "keys_files: [" + key + "]", followed: true})
	s.as(t, "alice", "/")
	yaml := s.yaml(func(*plan) {})
	for name, text := range map[string]string{"weak": "c2hvcnQ=", "empty": "", "no base64": "§§§"} {
		if err := os.WriteFile(key, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.refusedReload(t, yaml); !strings.Contains(err, "session.keys_files") || text != "" && strings.Contains(err, text) {
			t.Errorf("%s: %s", name, err)
		}
		signedIn(t, s)
	}
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	_ = s.refusedReload(t, yaml)
	signedIn(t, s)
}

// signedIn expects that alice still is.
func signedIn(t *testing.T, s *site) {
	t.Helper()
	if got := s.as(t, "alice", "/"); got.StatusCode != http.StatusOK {
		t.Errorf("alice gets %d", got.StatusCode)
	}
}
