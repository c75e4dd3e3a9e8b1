//go:build e2e

package ingress_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/tlstest"
)

// TestHTTPSSitesBehindEveryProxy: with the lines that each README.md has for it, over
// HTTP/1.1 and HTTP/2.
func TestHTTPSSitesBehindEveryProxy(t *testing.T) {
	for _, name := range []string{"nginx", "caddy", "haproxy"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for line := range strings.SplitSeq(secured(name), "\n") {
				if !strings.Contains(deployed(t, name, "README.md"), "\n      "+line+"\n") {
					t.Errorf("README.md does not say %s", line)
				}
			}
			s := start(t, name, tlstest.New(t))
			a := s.send(t, "GET", "/page?x=1", "", "Accept: text/html")
			if a.status != http.StatusFound || !strings.HasPrefix(a.header.Get("Location"), s.url+"/.auth/login?return_to=") {
				t.Errorf("a navigation: %d %v", a.status, a.header)
			}
			alice := s.signIn(t, "alice")
			if !strings.HasPrefix(alice, "__Host-sp=") {
				t.Fatalf("the cookie is %.10s", alice)
			}
			got := s.send(t, "GET", "/x", "", "Cookie: a=1; "+alice+"; __Host-sp_login=x; b=2").received(t)
			if cookies := strings.Join(got.values("Cookie"), "|"); strings.ReplaceAll(cookies, " ", "") != "a=1;b=2" {
				t.Errorf("the application gets the cookies %q", cookies)
			}
			if proto := got.values("X-Forwarded-Proto"); len(proto) != 1 || proto[0] != "https" {
				t.Errorf("the application hears of %q", proto)
			}
			s.overHTTP2(t, alice)
		})
	}
}

// overHTTP2: header names are in small letters there, and cookies come one a line.
func (s *site) overHTTP2(t *testing.T, alice string) {
	t.Helper()
	for path, want := range map[string]int{"/x": http.StatusOK, "/.auth/me": http.StatusOK, "/.auth/check/" + s.name: http.StatusNotFound} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header["Cookie"] = []string{"a=1", alice}
		req.Header.Set("X-Forwarded-User", "root")
		req.Header.Set("X_forwarded_user", "root")
		res, err := s.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		text := string(body)
		if res.ProtoMajor != 2 || res.StatusCode != want || strings.Contains(text, "root") || path == "/x" && !strings.Contains(text, `["X-Forwarded-User","alice"]`) {
			t.Errorf("%s: %s %s %s", path, res.Proto, res.Status, text)
		}
	}
}
