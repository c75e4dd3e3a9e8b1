//go:build e2e

package ingress_test

import (
	"errors"
	"io"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// traefikStatic and traefikDynamic are what Traefik's reference documents, as far as
// the files of deploy/traefik go. A key that is not here is a fault.
type (
	traefikStatic struct {
		EntryPoints map[string]struct {
			Address string `yaml:"address"`
		} `yaml:"entryPoints"`
		Providers struct {
			File struct {
				Filename string `yaml:"filename"`
				Watch    bool   `yaml:"watch"`
			} `yaml:"file"`
		} `yaml:"providers"`
		Log struct {
			Level string `yaml:"level"`
		} `yaml:"log"`
	}

	traefikDynamic struct {
		HTTP struct {
			Routers     map[string]traefikRouter     `yaml:"routers"`
			Middlewares map[string]traefikMiddleware `yaml:"middlewares"`
			Services    map[string]traefikService    `yaml:"services"`
		} `yaml:"http"`
	}

	traefikRouter struct {
		Rule        string   `yaml:"rule"`
		Middlewares []string `yaml:"middlewares"`
		Service     string   `yaml:"service"`
	}

	// traefikMiddleware is one of its kinds.
	traefikMiddleware struct {
		ForwardAuth *traefikForwardAuth `yaml:"forwardAuth"`
		Headers     *traefikHeaders     `yaml:"headers"`
		IPAllowList *traefikIPAllowList `yaml:"ipAllowList"`
	}

	traefikForwardAuth struct {
		Address                string   `yaml:"address"`
		TrustForwardHeader     bool     `yaml:"trustForwardHeader"`
		AuthResponseHeaders    []string `yaml:"authResponseHeaders"`
		PreserveLocationHeader bool     `yaml:"preserveLocationHeader"`
		MaxResponseBodySize    int64    `yaml:"maxResponseBodySize"`
	}

	traefikHeaders struct {
		CustomRequestHeaders map[string]string `yaml:"customRequestHeaders"` // "" takes one out
	}

	traefikIPAllowList struct {
		SourceRange      []string `yaml:"sourceRange"`
		RejectStatusCode int      `yaml:"rejectStatusCode"`
	}

	traefikService struct {
		LoadBalancer struct {
			Servers []struct {
				URL string `yaml:"url"`
			} `yaml:"servers"`
		} `yaml:"loadBalancer"`
	}
)

func strictly(t *testing.T, text string, into any) {
	t.Helper()
	d := yaml.NewDecoder(strings.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil {
		t.Fatal(err)
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		t.Fatalf("more than one document: %v", err)
	}
}

// prefix is that of a rule, the one matcher that the file has.
func (r *traefikRouter) prefix() (string, bool) {
	rest, ok := strings.CutPrefix(r.Rule, "PathPrefix(`")
	path, closed := strings.CutSuffix(rest, "`)")
	return path, ok && closed && strings.HasPrefix(path, "/")
}

// TestTraefikFilesSayWhatTheyReferTo: names lead somewhere, a middleware is of one
// kind, and what Traefik would only find out at run time is well formed.
func TestTraefikFilesSayWhatTheyReferTo(t *testing.T) {
	var static traefikStatic
	strictly(t, deployed(t, "traefik", "traefik.yml"), &static)
	if len(static.EntryPoints) == 0 || static.Providers.File.Filename != "/etc/traefik/dynamic.yml" {
		t.Errorf("%+v", static)
	}
	var d traefikDynamic
	strictly(t, deployed(t, "traefik", "dynamic.yml"), &d)
	for name, r := range d.HTTP.Routers {
		if _, ok := r.prefix(); !ok {
			t.Errorf("router %s: %q", name, r.Rule)
		}
		if s, ok := d.HTTP.Services[r.Service]; !ok || len(s.LoadBalancer.Servers) == 0 {
			t.Errorf("router %s: no service %s", name, r.Service)
		}
		for _, m := range r.Middlewares {
			if _, ok := d.HTTP.Middlewares[m]; !ok {
				t.Errorf("router %s: no middleware %s", name, m)
			}
		}
	}
	for name, s := range d.HTTP.Services {
		for _, server := range s.LoadBalancer.Servers {
			if u, err := url.Parse(server.URL); err != nil || u.Scheme != "http" || u.Path != "" {
				t.Errorf("service %s: %q, %v", name, server.URL, err)
			}
		}
	}
	for name, m := range d.HTTP.Middlewares {
		kinds := 0
		if m.ForwardAuth != nil {
			kinds++
			if m.ForwardAuth.TrustForwardHeader || m.ForwardAuth.MaxResponseBodySize == 0 || !slices.Contains(m.ForwardAuth.AuthResponseHeaders, "Cookie") {
				t.Errorf("middleware %s: %+v", name, *m.ForwardAuth)
			}
		}
		if m.Headers != nil {
			kinds++
		}
		if m.IPAllowList != nil {
			kinds++
			for _, source := range m.IPAllowList.SourceRange {
				if _, err := netip.ParsePrefix(source); err != nil {
					t.Errorf("middleware %s: %v", name, err)
				}
			}
		}
		if kinds != 1 {
			t.Errorf("middleware %s is of %d kinds", name, kinds)
		}
	}
}

// TestTraefikConfigurationOfTheGatewayBuilds: it is the only one that the others do
// not run as it stands.
func TestTraefikConfigurationOfTheGatewayBuilds(t *testing.T) {
	secret := env.WriteFile(t, t.TempDir(), "oidc", "the secret of a client")
	cfg, err := config.Parse("config.yaml", []byte(replaced(t, deployed(t, "traefik", "config.yaml"), "/run/secrets/oidc", secret)), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := gateway.Check(t.Context(), cfg); err != nil {
		t.Error(err)
	}
}
