package kubernetes_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/config"
	networking "k8s.io/api/networking/v1"
)

// checkAsks wants an ingress to ask at an endpoint that the configuration serves, to
// send browsers to where it signs them in, and to refuse when it gets no answer.
func (all objects) checkAsks(t *testing.T, c *config.Config) {
	t.Helper()
	served := func(what, path string) {
		dialect, below := strings.CutPrefix(path, c.Server.AuthPrefix+"/check/")
		if !below || !slices.Contains(c.ForwardAuth.Enabled, dialect) {
			t.Errorf("%s asks at %s, and %v are served", what, path, c.ForwardAuth.Enabled)
		}
	}
	at := func(what, address string) {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		served(what, u.Path)
	}
	for _, i := range of[*networking.Ingress](all) {
		if asked := i.Annotations["nginx.ingress.kubernetes.io/auth-url"]; asked != "" {
			at("ingress-nginx", asked)
			if to := i.Annotations["nginx.ingress.kubernetes.io/auth-signin"]; to != c.Server.PublicURL+c.Server.AuthPrefix+"/login" {
				t.Errorf("ingress-nginx sends browsers to %s", to)
			}
		}
	}
	for _, kind := range []string{"Middleware", "SecurityPolicy", "HTTPRoute"} {
		for _, o := range all.kind(kind) {
			walk(o.Object["spec"], func(member map[string]any) {
				if address, ok := member["address"].(string); ok {
					at(kind, address)
				}
				for _, asks := range []string{"extAuth", "externalAuth"} {
					asked, _ := member[asks].(map[string]any)
					if by, ok := asked["http"].(map[string]any); ok {
						served(kind, by["path"].(string))
					}
				}
				if open, ok := member["failOpen"]; ok && open != false {
					t.Errorf("%s lets everybody in when Sallyport does not answer", kind)
				}
			})
		}
	}
}
