package config_test

import (
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
	tests := map[string]config.ListenAddress{
		"127.0.0.1:8080":               {Network: "tcp", Address: "127.0.0.1:8080"},
		":0":                           {Network: "tcp", Address: ":0"},
		"[::1]:443":                    {Network: "tcp", Address: "[::1]:443"},
		"localhost:80":                 {Network: "tcp", Address: "localhost:80"},
		"unix:///run/a.sock":           {Network: "unix", Address: "/run/a.sock", Mode: 0o660},
		"unix:///run/a.sock?mode=0600": {Network: "unix", Address: "/run/a.sock", Mode: 0o600},
		"unix:///run/a.sock?group=www": {Network: "unix", Address: "/run/a.sock", Mode: 0o660, Group: "www"},
		"unix:///run/a.sock?group=www-data&mode=0666": {Network: "unix", Address: "/run/a.sock", Mode: 0o666, Group: "www-data"},

		"systemd":             {Network: "systemd"},
		"systemd:public.http": {Network: "systemd", Address: "public.http"},
		"systemd:80":          {Network: "tcp", Address: "systemd:80"}, // a host of this name

		"unix:///run/a.sock?mode=4755":           {},
		"unix:///run/a.sock?mode=0":              {},
		"unix:///run/a.sock?m=0600":              {},
		"unix:///run/a.sock?group=":              {},
		"unix:///run/a.sock?group=a:b":           {},
		"unix:///run/a.sock?mode=0600&mode=0660": {},
		"unix:///run/a.sock?":                    {},
		"unix://run/a.sock":                      {},
		"unix:/run/a.sock":                       {},
		"unix:///run/../a.sock":                  {},
		"unix:///":                               {},
		"systemd:":                               {},
		"systemd:a b":                            {},
		"systemd:a:b":                            {},
		"127.0.0.1":                              {},
		"127.0.0.1:http":                         {},
		"127.0.0.1:+80":                          {},
		"127.0.0.1:080":                          {},
		"127.0.0.256:80":                         {},
		"http://127.0.0.1:80":                    {},
		"[fe80::1%eth0]:80":                      {},
		"unix:///run/a.sock?mode=0660&x=":        {},
	}
	for listen, want := range tests {
		got, err := config.ParseListen(listen)
		if got != want || (err == nil) != (want != config.ListenAddress{}) {
			t.Errorf("%s: got %+v, %v", listen, got, err)
		}
	}
}
