package shield_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSecurityHeadersAreAddedWhereTheyMatter(t *testing.T) {
	const hsts, nosniff, policy, referrer = "Strict-Transport-Security", "X-Content-Type-Options", "Content-Security-Policy", "Referrer-Policy"
	for name, c := range map[string]struct {
		status int
		kind   string
		want   []string
	}{
		"a page":                 {200, "text/html; charset=utf-8", []string{policy, referrer, hsts, nosniff}},
		"a page of an error":     {500, "TEXT/HTML", []string{policy, referrer, hsts, nosniff}},
		"a picture with scripts": {200, "image/svg+xml", []string{policy, referrer, hsts, nosniff}},
		"nothing is said":        {200, "", []string{policy, referrer, hsts, nosniff}},
		"a script":               {200, "text/javascript", []string{hsts, nosniff}},
		"data":                   {200, "application/json", []string{hsts, nosniff}},
		"gRPC":                   {200, "application/grpc+proto", []string{hsts}},
		"a redirect":             {302, "text/html", []string{hsts}},
		"no content":             {204, "", []string{hsts}},
		"not modified":           {304, "text/html", nil},
		"switching protocols":    {101, "", nil},
		"early hints":            {103, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			h := http.Header{}
			if c.kind != "" {
				h.Set("Content-Type", c.kind)
			}
			raise(t, site, "mode: enforce").Response(c.status, h, gatewayCookies{})
			delete(h, "Content-Type")
			if got := names(h); !slices.Equal(got, c.want) {
				t.Errorf("added %q, want %q", got, c.want)
			}
		})
	}
}

func TestWhatTheApplicationSaysStays(t *testing.T) {
	const policy = "Content-Security-Policy"
	for name, c := range map[string]struct {
		settings string
		in       http.Header
		want     []string // of Content-Security-Policy
	}{
		"nothing":                  {"", http.Header{}, []string{"frame-ancestors 'self'"}},
		"a policy about scripts":   {"", http.Header{policy: {"default-src 'self'"}}, []string{"default-src 'self'", "frame-ancestors 'self'"}},
		"its own frame-ancestors":  {"", http.Header{policy: {"default-src 'self'; Frame-Ancestors https://a.example"}}, []string{"default-src 'self'; Frame-Ancestors https://a.example"}},
		"in a second policy":       {"", http.Header{policy: {"default-src 'self', frame-ancestors *"}}, []string{"default-src 'self', frame-ancestors *"}},
		"in a second line":         {"", http.Header{policy: {"default-src 'self'", "frame-ancestors *"}}, []string{"default-src 'self'", "frame-ancestors *"}},
		"an older header":          {"", http.Header{"X-Frame-Options": {"DENY"}}, nil},
		"a policy that is a trial": {"", http.Header{"Content-Security-Policy-Report-Only": {"frame-ancestors 'none'"}}, []string{"frame-ancestors 'self'"}},
		"another default":          {`, frame_ancestors: "https://portal.example.com"`, http.Header{}, []string{"frame-ancestors https://portal.example.com"}},
		"none at all":              {`, frame_ancestors: "", referrer_policy: "", hsts: 0s`, http.Header{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			h := c.in.Clone()
			h.Set("Referrer-Policy", "no-referrer")
			h.Set("Strict-Transport-Security", "max-age=1")
			h.Set("X-Content-Type-Options", "nosniff")
			want := h.Clone()
			delete(want, policy)
			raise(t, site, "mode: enforce"+c.settings).Response(http.StatusOK, h, gatewayCookies{})
			if diff := cmp.Diff(c.want, h[policy]); diff != "" {
				t.Error(diff)
			}
			delete(h, policy)
			if diff := cmp.Diff(want, h); diff != "" {
				t.Errorf("the other headers: %s", diff)
			}
		})
	}
}

// TestTransportSecurityIsForRealHosts: on localhost it would bind everything else
// that is developed there, and over plain http browsers ignore it.
func TestTransportSecurityIsForRealHosts(t *testing.T) {
	for url, want := range map[string]string{
		site: "max-age=31536000", "https://localhost": "", "https://app.localhost:8443": "", "http://localhost:8080": "", "https://127.0.0.1": "",
	} {
		h := http.Header{}
		s := raise(t, url, "mode: enforce")
		s.Response(http.StatusOK, h, gatewayCookies{})
		if got := h.Get("Strict-Transport-Security"); got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
		if found := slices.ContainsFunc(s.found(), func(f string) bool { return f == "missing_hsts of : 1" }); found != (want != "") {
			t.Errorf("%s: found %q", url, s.found())
		}
	}
}

func TestListedHeadersAreRemoved(t *testing.T) {
	s := raise(t, site, "mode: enforce, remove_headers: [server, X-POWERED-BY]")
	h := http.Header{"Server": {"Apache/2.2"}, "X-Powered-By": {"PHP/5.2"}, "X-Other": {"stays"}}
	s.Response(http.StatusNotModified, h, gatewayCookies{})
	if diff := cmp.Diff(http.Header{"X-Other": {"stays"}}, h); diff != "" {
		t.Error(diff)
	}
	if want := []string{"leaked_header of Server: 1", "leaked_header of X-Powered-By: 1"}; !slices.Equal(s.found(), want) {
		t.Errorf("found %q", s.found())
	}
}
