//go:build e2e

package packaging_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"

	"go.yaml.in/yaml/v3"
	"golang.org/x/crypto/bcrypt"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/porttest"
)

// TestDexKnowsSallyportAsItComes fills the configuration of Dex in, as its image
// does, and compares it with Sallyport's.
func TestDexKnowsSallyportAsItComes(t *testing.T) {
	dir := composedDir(t, nil)
	dex := dexConfig(t, dir)
	cfg, err := config.Load(filepath.Join(dir, "config.yaml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	provider := cfg.Login.Providers[0]
	secret, err := config.ReadSecret(provider.ClientSecret, provider.ClientSecretFile)
	if err != nil {
		t.Fatal(err)
	}
	if dex.Issuer != provider.Issuer {
		t.Errorf("Dex is %s, Sallyport trusts %s", dex.Issuer, provider.Issuer)
	}
	if len(dex.StaticClients) != 1 {
		t.Fatalf("clients: %+v", dex.StaticClients)
	}
	client := dex.StaticClients[0]
	if client.ID != provider.ClientID || client.Secret != secret.Reveal() {
		t.Errorf("Dex knows %s, Sallyport is %s, or the secrets differ", client.ID, provider.ClientID)
	}
	if want := cfg.Server.PublicURL + cfg.Server.AuthPrefix + "/callback/" + provider.Name; !slices.Equal(client.RedirectURIs, []string{want}) {
		t.Errorf("redirect URIs are %v, want %s", client.RedirectURIs, want)
	}
	for _, p := range dex.StaticPasswords {
		if err := bcrypt.CompareHashAndPassword([]byte(p.Hash), []byte("password")); err != nil {
			t.Errorf("%s can't sign in with the password of the README: %v", p.Email, err)
		}
	}
	// The addresses of the health check and of the back channel.
	p := loadCompose(t).Services["dex"]
	if check := p.HealthCheck.Test[len(p.HealthCheck.Test)-1]; check != "http://"+dex.Telemetry.HTTP+"/healthz/ready" {
		t.Errorf("the health check asks %s, Dex answers at %s", check, dex.Telemetry.HTTP)
	}
	if u, err := url.Parse(provider.BackChannelURL); err != nil || dex.Web.HTTP != "0.0.0.0:"+u.Port() {
		t.Errorf("Sallyport asks %s, Dex listens on %s", provider.BackChannelURL, dex.Web.HTTP)
	}
	if file := p.Command[len(p.Command)-1]; p.Volumes[0].Target != file || filepath.Ext(file) != ".yaml" {
		t.Errorf("Dex reads %s, mounted is %s; it fills in .yaml alone", file, p.Volumes[0].Target)
	}
}

type dexFile struct {
	Issuer         string `yaml:"issuer"`
	Web, Telemetry struct {
		HTTP string `yaml:"http"`
	}
	StaticClients []struct {
		ID           string   `yaml:"id"`
		Secret       string   `yaml:"secret"`
		RedirectURIs []string `yaml:"redirectURIs"`
	} `yaml:"staticClients"`
	StaticPasswords []struct {
		Email string `yaml:"email"`
		Hash  string `yaml:"hash"`
	} `yaml:"staticPasswords"`
}

type gomplateFile struct{ t *testing.T }

func (g gomplateFile) Read(name string) string { return read(g.t, name) }

type gomplateStrings struct{}

func (gomplateStrings) TrimSpace(s string) string { return strings.TrimSpace(s) }

// dexConfig knows the two functions of gomplate that the file uses.
func dexConfig(t *testing.T, dir string) dexFile {
	t.Helper()
	functions := template.FuncMap{
		"file":    func() gomplateFile { return gomplateFile{t} },
		"strings": func() gomplateStrings { return gomplateStrings{} },
	}
	parsed, err := template.New("dex").Funcs(functions).Parse(read(t, filepath.Join(dir, "dex.yaml")))
	if err != nil {
		t.Fatal(err)
	}
	var filled strings.Builder
	if err := parsed.Execute(&filled, nil); err != nil {
		t.Fatal(err)
	}
	var dex dexFile
	if err := yaml.Unmarshal([]byte(filled.String()), &dex); err != nil {
		t.Fatal(err)
	}
	return dex
}

// TestComposition runs what the composition runs, as programs of this machine:
// Valkey by its own command, another provider in the place of Dex, and Sallyport
// with its configuration. Only addresses are moved.
func TestComposition(t *testing.T) {
	at := env.Reserve(t)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "received: %q, session cookies %d", r.Header.Get("X-Forwarded-Email"), len(r.CookiesNamed("sp")))
	}))
	t.Cleanup(app.Close)

	valkey, provider := porttest.Free(t), porttest.Free(t)
	issuer := fmt.Sprintf("http://127.0.0.1:%d", provider)
	dir := composedDir(t, map[string]string{
		"valkey://valkey:6379":      fmt.Sprintf("valkey://127.0.0.1:%d", valkey),
		"http://localhost:5556/dex": issuer,
		"http://dex:5556":           fmt.Sprintf("http://localhost:%d", provider),
		"http://localhost:8080":     at.URL(),
		"http://app:3000":           app.URL,
	})
	dex := dexConfig(t, dir)
	client := dex.StaticClients[0]
	env.StartOIDCProvider(t, env.OIDCProviderOptions{Port: provider, Clients: []env.OIDCClient{{ID: client.ID, Secret: client.Secret, RedirectURIs: client.RedirectURIs}}})
	startComposedValkey(t, dir, valkey)
	gateway := env.StartGateway(t, sallyport, dir, at)

	health := loadCompose(t).Services["sallyport"].HealthCheck.Test[2:]
	env.WaitUntil(t, "the health check of the composition succeeds", func() bool {
		_, err := try(t, sallyport, append(slices.Clone(health), "--url", gateway.AdminURL)...)
		return err == nil
	})

	browser := env.StartBrowser(t)
	page := gateway.URL + "/reports?year=2026"
	browser.Open(page)
	browser.Click(`button[value="alice"]`)
	browser.WaitText(`received: "alice@example.com", session cookies 0`)
	if got := browser.URL(); got != page {
		t.Errorf("after the sign-in at %s", got)
	}
}

// startComposedValkey runs the command of the composition, on a port of ours, until
// its health check succeeds.
func startComposedValkey(t *testing.T, dir string, port int) {
	t.Helper()
	service := loadCompose(t).Services["valkey"]
	if len(service.Command) != 3 || service.Command[0] != "sh" || len(service.HealthCheck.Test) != 2 {
		t.Fatalf("the composition has another command by now: %q, %q", service.Command, service.HealthCheck.Test)
	}
	here := strings.NewReplacer(
		"/run/secrets", filepath.Join(dir, "secrets"), "/data", t.TempDir(), "$$", "$",
		"valkey-server -", fmt.Sprintf("valkey-server - --bind 127.0.0.1 --port %d", port), "valkey-cli", fmt.Sprintf("valkey-cli -p %d", port),
	)
	p := env.Start(t, dir, nil, "sh", "-c", here.Replace(service.Command[2]))
	env.WaitUntil(t, "the health check of Valkey succeeds", func() bool {
		_, err := try(t, "sh", "-c", here.Replace(service.HealthCheck.Test[1]))
		return err == nil
	})
	if name := read(t, fmt.Sprintf("/proc/%d/comm", p.PID())); name != "valkey-server\n" {
		t.Errorf("what would be told to end is %q, and Valkey would be killed", name)
	}
	if out, err := try(t, "valkey-cli", "-p", fmt.Sprint(port), "ping"); !strings.Contains(out, "NOAUTH") {
		t.Errorf("without the password it answers %q, %v", out, err)
	}
}
