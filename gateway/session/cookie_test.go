package session_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/session"
)

func TestCookieAttributes(t *testing.T) {
	for name, c := range map[string]struct {
		public, name, domain, sameSite string
		want                           http.Cookie
	}{
		"https": {
			public: "https://app.example.test",
			want:   http.Cookie{Name: "__Host-sp", Secure: true, SameSite: http.SameSiteLaxMode},
		},
		"https with a shared domain": {
			public: "https://app.example.test", domain: "example.test",
			want: http.Cookie{Name: "__Secure-sp", Domain: "example.test", Secure: true, SameSite: http.SameSiteLaxMode},
		},
		"plain http on loopback": {
			public: "http://localhost:8080",
			want:   http.Cookie{Name: "sp", SameSite: http.SameSiteLaxMode},
		},
		"strict, with a name": {
			public: "https://app.example.test", name: "__Host-x", sameSite: "strict",
			want: http.Cookie{Name: "__Host-x", Secure: true, SameSite: http.SameSiteStrictMode},
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv, cfg := settings()
			srv.PublicURL, cfg.Cookie.Name, cfg.Cookie.Domain = c.public, c.name, c.domain
			if c.sameSite != "" {
				cfg.Cookie.SameSite = c.sameSite
			}
			cookies := session.NewCookies(srv, cfg, newRing(t, 1))
			issued, cleared := cookies.Issue(session.ID{1}), cookies.Clear()

			c.want.HttpOnly, c.want.Path = true, "/"
			c.want.MaxAge, c.want.Value = 12*60*60, issued.Value
			if diff := cmp.Diff(&c.want, issued); diff != "" {
				t.Errorf("the cookie (-want +got):\n%s", diff)
			}
			// A deletion that differs in any attribute leaves the old cookie alone.
			if cleared.MaxAge >= 0 || cleared.Value != "" {
				t.Errorf("the deleting cookie does not delete: %v", cleared)
			}
			issued.Value, issued.MaxAge, cleared.MaxAge, cleared.Expires = "", 0, 0, issued.Expires
			if diff := cmp.Diff(issued, cleared); diff != "" {
				t.Errorf("set and deleted with other attributes:\n%s", diff)
			}
			if login := cookies.Login("x", 0); login.SameSite == http.SameSiteStrictMode {
				t.Error("a strict login cookie would be missing when the provider sends the browser back")
			}
		})
	}
}

func TestGatewayCookieNames(t *testing.T) {
	srv, cfg := settings()
	cookies := session.NewCookies(srv, cfg, newRing(t, 1))
	for name, want := range map[string]struct{ owns, reserved bool }{
		"__Host-sp":       {true, true},
		"__Host-sp_login": {true, true},
		"__Host-sp_x":     {true, false},
		"__HOST-SP":       {false, true},
		"__Secure-sp":     {false, true},
		"sp":              {false, true},
		"SP":              {false, true},
		"sp_login":        {false, true},
		"spa":             {false, false},
		"app":             {false, false},
		"":                {false, false},
	} {
		if got := cookies.Owns(name); got != want.owns {
			t.Errorf("Owns(%q) = %v", name, got)
		}
		if got := cookies.Reserved(name); got != want.reserved {
			t.Errorf("Reserved(%q) = %v", name, got)
		}
	}
}

func TestKeyRotationSignsNobodyOut(t *testing.T) {
	srv, cfg := settings()
	before := session.NewCookies(srv, cfg, newRing(t, 1))
	during := session.NewCookies(srv, cfg, newRing(t, 100, 1))
	after := session.NewCookies(srv, cfg, newRing(t, 100))
	old := http.Header{"Cookie": {line(before.Issue(session.ID{7}))}}
	fresh := http.Header{"Cookie": {line(during.Issue(session.ID{8}))}}
	read := func(c *session.Cookies, h http.Header) int {
		found := c.Read(h)
		return found.Len()
	}
	if read(during, old) != 1 || read(during, fresh) != 1 {
		t.Error("a cookie of either key must hold while both are in the ring")
	}
	if read(after, old) != 0 {
		t.Error("a cookie of a dropped key must count as absent")
	}
	if read(after, fresh) != 1 {
		t.Error("the first key of the ring must be the one that signs")
	}
}

func FuzzReadCookies(f *testing.F) {
	srv, cfg := settings()
	cookies := session.NewCookies(srv, cfg, newRing(f, 1))
	good := line(cookies.Issue(session.ID{9}))
	f.Add(good)
	f.Add("a=b; " + good + ";;=;")
	f.Add("__Host-sp=")
	f.Fuzz(func(t *testing.T, header string) {
		found := cookies.Read(http.Header{"Cookie": {header}})
		if found.Len() > 0 && !strings.Contains(header, good) {
			t.Errorf("%q was taken for a session", header)
		}
	})
}
