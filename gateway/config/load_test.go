package config_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.yaml.in/yaml/v3"

	"github.com/sallyport/sallyport/gateway/config"
)

var update = flag.Bool("update", false, "write the golden files of testdata/bad anew")

// environ takes the lines "# env NAME=VALUE" out of a test file.
func environ(t *testing.T, file string) []string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var env []string
	for line := range strings.Lines(string(data)) {
		if entry, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "# env "); ok {
			env = append(env, entry)
		}
	}
	return env
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no files match %s (%v)", pattern, err)
	}
	return files
}

func TestFaultyFilesAreRefusedWithEveryFaultAtOnce(t *testing.T) {
	for _, file := range glob(t, "testdata/bad/*.yaml") {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			c, err := config.Load(file, environ(t, file))
			if c != nil || err == nil {
				t.Fatalf("loaded, with error %v", err)
			}
			faults, ok := errors.AsType[config.Faults](err)
			if !ok || len(faults) == 0 {
				t.Fatalf("error is %T, not Faults", err)
			}
			for _, f := range faults {
				if f.Problem == "" || f.Fix == "" {
					t.Errorf("says not what to write: %s", f.Error())
				}
			}
			got := err.Error() + "\n"
			for _, secret := range []string{"do-not-print-me", "hunter2", "67890", "12345678"} {
				if strings.Contains(got, secret) {
					t.Errorf("prints the secret %s:\n%s", secret, got)
				}
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSoundFilesLoad(t *testing.T) {
	for _, file := range glob(t, "testdata/good/*.yaml") {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			if _, err := config.Load(file, environ(t, file)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func load(t *testing.T, file string) *config.Config {
	t.Helper()
	c, err := config.Load(file, environ(t, file))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestShortFormIsOneProviderAndOneRoute(t *testing.T) {
	c := load(t, "testdata/good/short-form.yaml")
	wantProviders := []config.Provider{{
		Name: "oidc", Type: "oidc", Title: "oidc", Issuer: "https://id.example.com", ClientID: "app",
		ClientSecretFile: "testdata/files/secret", Scopes: []string{"openid", "email", "profile"}, ClaimMapping: config.ClaimMapping{
			SubjectClaim: "sub", EmailClaim: "email", NameClaim: "name", UsernameClaim: "preferred_username", GroupsClaim: "groups",
		},
	}}
	wantRoutes := []config.Route{carried(config.Route{
		Name: "app", Paths: []string{"/"}, Upstream: config.Upstreams{"http://127.0.0.1:3000/"},
		Auth: []string{"session"}, Policy: "authenticated",
	})}
	if diff := cmp.Diff(wantProviders, c.Login.Providers); diff != "" {
		t.Errorf("providers (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(wantRoutes, c.Routes); diff != "" {
		t.Errorf("routes (-want +got):\n%s", diff)
	}
}

func TestShortFormSaysWhomItLetsIn(t *testing.T) {
	c := load(t, "testdata/good/short-form-allow.yaml")
	want := []config.Policy{{Name: "app", Rules: []config.Rule{{Name: "allow", Allow: &config.Match{Groups: []string{"staff"}}}}}}
	if diff := cmp.Diff(want, c.Policies); diff != "" {
		t.Errorf("policies (-want +got):\n%s", diff)
	}
	if got := c.Routes[0].Policy; got != "app" {
		t.Errorf("the route asks the policy %s", got)
	}
}

// carried is a route with the defaults of how it carries requests.
func carried(r config.Route) config.Route {
	r.Timeouts = config.Timeouts{Connect: 5 * time.Second, ResponseHeader: 5 * time.Minute}
	r.Balance = config.Balance{Method: config.BalanceRoundRobin, Resolve: 30 * time.Second}
	r.Shield = config.Shield{
		Mode: config.ModeOff, SameSite: "lax", HSTS: 365 * 24 * time.Hour, FrameAncestors: "'self'", ReferrerPolicy: "strict-origin-when-cross-origin",
	}
	r.CrossSite = config.CrossSite{Mode: config.ModeOff, WebSocket: config.ModeEnforce}
	return r
}

func TestFileIsReadAsWritten(t *testing.T) {
	c := load(t, "testdata/good/oidc-and-users.yaml")
	r := c.Routes[0]
	want := carried(config.Route{
		Name:  "app",
		Hosts: []string{"app.example.com", "*.example.com", "10.0.0.1", "::1"},
		Paths: []string{"/", "=/exact", "~^/v[0-9]+/"}, Methods: []string{"GET", "POST"},
		Upstream: config.Upstreams{"h2c://app.internal:8080"}, Host: "app.internal:8443",
		Auth: []string{"session"}, Policy: "staff",
		Headers: []config.Header{
			{Name: "X-Forwarded-Issuer", Claim: "iss", Join: ",", Encoding: "percent"},
			{Name: "X-Roles", Claim: "realm_access.roles", Join: " ", Default: "none", Encoding: "base64", Required: true},
		},
	})
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("route (-want +got):\n%s", diff)
	}
	if l := c.Server.Limits; l.MaxHeaderBytes != 64<<10 || l.MaxBodyBytes != 1<<30 || l.ReadHeaderTimeout != 0 || l.IdleTimeout != 2*time.Minute {
		t.Errorf("limits are %+v", l)
	}
	if a := c.Routes[1].Auth; a != nil {
		t.Errorf("the public route asks for %v", a)
	}
	if got := c.Login.Providers[0].ClientSecret.Reveal(); got != "printing this is a bug" {
		t.Errorf("client secret is %q", got)
	}
}

func TestEntriesOfListsHaveDefaults(t *testing.T) {
	got := load(t, "testdata/good/tokens.yaml").Tokens.Issuers
	mapping := config.ClaimMapping{
		SubjectClaim: "sub", EmailClaim: "email", NameClaim: "name", UsernameClaim: "preferred_username", GroupsClaim: "groups",
	}
	want := []config.TokenIssuer{
		{Issuer: "https://id.example.com", Audiences: []string{"api"}, Algorithms: []string{"RS256", "ES256", "EdDSA"}, Leeway: time.Minute, MaxStale: 24 * time.Hour, ClaimMapping: mapping},
		{Issuer: "not a URL", Audiences: []string{"api"}, Algorithms: []string{"EdDSA"}, JWKSURL: "https://keys.example.com/keys?app=1", MaxStale: 24 * time.Hour, ClaimMapping: mapping},
		{Issuer: "file", Audiences: []string{"api"}, Algorithms: []string{"RS256", "PS512"}, JWKSFile: "testdata/files/jwks.json", Leeway: time.Minute, MaxStale: 24 * time.Hour, ClaimMapping: mapping},
		{Issuer: "shared", Audiences: []string{"api", "web"}, Algorithms: []string{"HS256"}, SecretFile: "testdata/files/secret", Leeway: time.Minute, MaxStale: 24 * time.Hour, ClaimMapping: mapping},
		{Issuer: "http://127.0.0.1:5556", Audiences: []string{"api"}, Algorithms: []string{"RS256", "ES256", "EdDSA"}, Leeway: time.Minute, MaxStale: 24 * time.Hour, ClaimMapping: mapping},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("issuers (-want +got):\n%s", diff)
	}
}

func TestSessionStoreIsReadAsWritten(t *testing.T) {
	got := load(t, "testdata/good/valkey-tls-client-certificate.yaml").Session
	want := config.Default().Session
	want.Store = "valkey"
	want.KeysFiles = []string{"testdata/files/session-key"}
	want.Valkey.URLs = []string{"valkeys://valkey.internal"}
	want.Valkey.Password = "a secret inline"
	want.Valkey.TLS = config.ClientTLS{
		CAFile: "testdata/files/cert.pem", CertFile: "testdata/files/cert.pem", KeyFile: "testdata/files/key.pem", ServerName: "sessions.internal",
	}
	want.Valkey.Timeout = 10 * time.Second
	want.Cache.MaxBytes = 0
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if text := fmt.Sprintf("%+v", got); strings.Contains(text, "inline") {
		t.Errorf("prints the password: %s", text)
	}
}

func TestDefaultsHoldWhereNothingIsWritten(t *testing.T) {
	c := load(t, "testdata/good/dev-beside-one-issuer.yaml")
	opts := []cmp.Option{
		cmpopts.IgnoreUnexported(config.Config{}),
		cmpopts.IgnoreFields(config.Config{}, "Login", "Tokens", "Routes"),
	}
	if diff := cmp.Diff(config.Default(), c, opts...); diff != "" {
		t.Errorf("(-default +loaded):\n%s", diff)
	}
}

func TestMissingFileNamesTheFile(t *testing.T) {
	_, err := config.Load("testdata/nowhere.yaml", nil)
	const want = "testdata/nowhere.yaml: the file cannot be read (no such file or directory): name the configuration file with -c FILE"
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func TestHugeFileIsRefused(t *testing.T) {
	data := []byte("#" + strings.Repeat("x", 1<<20))
	c, err := config.Parse("config.yaml", data, nil)
	if c != nil || err == nil || !strings.Contains(err.Error(), "larger than 1 MiB") {
		t.Errorf("got %v", err)
	}
}

func TestEnvironmentAloneDoesNotReplaceAnEmptyFile(t *testing.T) {
	env := []string{"SALLYPORT_ROUTES=[{name: app, upstream: builtin:echo, public: true}]"}
	if c, err := config.Parse("config.yaml", nil, env); c != nil || err == nil {
		t.Errorf("got %v, %v", c, err)
	}
	if _, err := config.Parse("config.yaml", []byte("{}"), env); err != nil {
		t.Errorf("an explicit {} is a file: %v", err)
	}
}

func TestFaultFoundLaterHasTheLineOfItsKey(t *testing.T) {
	c, err := config.Parse("config.yaml", []byte(`
routes:
  - name: app
    paths: [/]
    upstream: builtin:echo
    public: true
log: {level: info}
`), []string{"SALLYPORT_LOG__FORMAT=console"})
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]string{
		"routes[0].paths[0]":   "config.yaml:4: routes[0].paths[0]: x: y",
		"routes[0].policy":     "config.yaml:3: routes[0].policy: x: y",
		"log.level":            "config.yaml:7: log.level: x: y",
		"log.format":           "environment SALLYPORT_LOG__FORMAT: log.format: x: y",
		"session.idle_timeout": "config.yaml: session.idle_timeout: x: y",
	}
	for path, want := range tests {
		if got := c.Fault(path, "x", "y").Error(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	short := load(t, "testdata/good/short-form.yaml")
	const want = "testdata/good/short-form.yaml:4: upstream: x: y"
	if got := short.Fault("routes[0].upstream", "x", "y").Error(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestNoSecretIsPrinted(t *testing.T) {
	const secret = "printing this is a bug"
	c := load(t, "testdata/good/oidc-and-users.yaml")
	c.Tokens.Issuers = []config.TokenIssuer{{Secret: secret}}
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{string(asJSON), string(asYAML)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		texts = append(texts, fmt.Sprintf(verb, c), fmt.Sprintf(verb, c.Login.Providers[0].ClientSecret))
	}
	for _, text := range texts {
		if strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)) {
			t.Errorf("prints the secret:\n%s", text)
		}
	}
	if !slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(s, "[redacted]") }) {
		t.Error("no text shows that there is a secret")
	}
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/bad/*.yaml", "testdata/good/*.yaml", "../../config.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data, "SALLYPORT_SERVER__TRUSTED_PROXIES", "[10.0.0.0/8]")
		}
	}
	f.Add([]byte("{}"), "SALLYPORT_ROUTES", "[{name: a, upstream: builtin:echo, public: true}]")
	f.Fuzz(func(t *testing.T, data []byte, name, value string) {
		c, err := config.Parse("f.yaml", data, []string{name + "=" + value})
		if (c == nil) == (err == nil) {
			t.Fatalf("config %v with error %v", c, err)
		}
		if err == nil {
			return
		}
		faults, ok := errors.AsType[config.Faults](err)
		if !ok || len(faults) == 0 {
			t.Fatalf("error %T without faults", err)
		}
		for _, fault := range faults {
			if text := fault.Error(); strings.ContainsAny(text, "\n\r\x1b\x00") {
				t.Fatalf("a message breaks its line: %q", text)
			}
			if fault.Problem == "the configuration cannot be decoded" {
				t.Fatal("what the schema accepts is not decoded")
			}
		}
	})
}
