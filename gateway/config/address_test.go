package config_test

import (
	"io/fs"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/config"
)

func TestPublicURL(t *testing.T) {
	tests := map[string]struct {
		origin           string
		loopback, secure bool
		hosts            []string
	}{
		"http://localhost:8080":       {"http://localhost:8080", true, false, []string{"localhost", "127.0.0.1", "::1"}},
		"http://App.Localhost:80":     {"http://app.localhost", true, false, []string{"app.localhost", "localhost", "127.0.0.1", "::1"}},
		"https://127.0.0.2":           {"https://127.0.0.2", true, true, []string{"127.0.0.2", "localhost", "127.0.0.1", "::1"}},
		"http://[::1]:8080":           {"http://[::1]:8080", true, false, []string{"::1", "localhost", "127.0.0.1"}},
		"https://App.Example.com:443": {"https://app.example.com", false, true, []string{"app.example.com"}},
		"https://notlocalhost:8443":   {"https://notlocalhost:8443", false, true, []string{"notlocalhost"}},
		"https://localhost.evil.com":  {"https://localhost.evil.com", false, true, []string{"localhost.evil.com"}},
	}
	for raw, want := range tests {
		s := config.Server{PublicURL: raw}
		if got := s.URL().String(); got != want.origin {
			t.Errorf("%s: URL is %s", raw, got)
		}
		if s.Loopback() != want.loopback || s.Secure() != want.secure {
			t.Errorf("%s: loopback %v, secure %v", raw, s.Loopback(), s.Secure())
		}
		if diff := cmp.Diff(want.hosts, s.PublicHosts()); diff != "" {
			t.Errorf("%s: hosts (-want +got):\n%s", raw, diff)
		}
	}
}

func TestAnUncheckedPublicURLIsNeitherLoopbackNorSecure(t *testing.T) {
	for _, raw := range []string{"", "http://[::1", "://", "localhost:8080"} {
		s := config.Server{PublicURL: raw}
		if s.URL() == nil || s.Loopback() || s.Secure() {
			t.Errorf("%q: URL %v, loopback %v, secure %v", raw, s.URL(), s.Loopback(), s.Secure())
		}
	}
}

func TestParseListen(t *testing.T) {
	type answer struct {
		Network, Address string
		Mode             fs.FileMode
		OK               bool
	}
	tests := map[string]answer{
		"127.0.0.1:8080":                  {"tcp", "127.0.0.1:8080", 0, true},
		":0":                              {"tcp", ":0", 0, true},
		"[::1]:443":                       {"tcp", "[::1]:443", 0, true},
		"localhost:80":                    {"tcp", "localhost:80", 0, true},
		"unix:///run/a.sock":              {"unix", "/run/a.sock", 0o660, true},
		"unix:///run/a.sock?mode=0600":    {"unix", "/run/a.sock", 0o600, true},
		"unix:///run/a.sock?mode=4755":    {},
		"unix:///run/a.sock?mode=0":       {},
		"unix:///run/a.sock?m=0600":       {},
		"unix://run/a.sock":               {},
		"unix:/run/a.sock":                {},
		"unix:///run/../a.sock":           {},
		"unix:///":                        {},
		"127.0.0.1":                       {},
		"127.0.0.1:http":                  {},
		"127.0.0.1:+80":                   {},
		"127.0.0.1:080":                   {},
		"127.0.0.256:80":                  {},
		"http://127.0.0.1:80":             {},
		"[fe80::1%eth0]:80":               {},
		"unix:///run/a.sock?mode=0660&x=": {},
	}
	for listen, want := range tests {
		network, address, mode, err := config.ParseListen(listen)
		got := answer{network, address, mode, err == nil}
		if got != want {
			t.Errorf("%s: got %+v, %v", listen, got, err)
		}
	}
}
