package kubernetes_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/frontend"
	"github.com/sallyport/sallyport/gateway/headers"
	networking "k8s.io/api/networking/v1"
)

// answered are the names of all headers by which an answer to a check changes the
// request, the token included that a route may send.
func answered(t *testing.T, c *config.Config) []string {
	t.Helper()
	names := []string{"X-Auth-Request-User", "X-Auth-Request-Email", "X-Auth-Request-Groups", "X-Auth-Request-Preferred-Username", headers.AssertionHeader}
	for _, r := range c.Routes {
		set, err := headers.Compile(r.Headers, headers.Options{})
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, set.Names()...)
	}
	names = append(names, frontend.NewPasses(names).Names()...)
	slices.Sort(names)
	return slices.Compact(names)
}

// checkHeaders wants an ingress to take over every header of an answer: one that it
// does not know reaches the application as the client sent it.
func (all objects) checkHeaders(t *testing.T, c *config.Config) {
	t.Helper()
	want := answered(t, c)
	compare := func(what string, names []string, without ...string) {
		var got []string
		for _, name := range names {
			got = append(got, http.CanonicalHeaderKey(name))
		}
		slices.Sort(got)
		wanted := slices.DeleteFunc(slices.Clone(want), func(name string) bool { return slices.Contains(without, name) })
		if !slices.Equal(got, wanted) {
			t.Errorf("%s takes over\n%v, want\n%v", what, got, wanted)
		}
	}
	for _, m := range all.kind("Middleware") {
		if _, asks := m.Object["spec"].(map[string]any)["forwardAuth"]; !asks {
			continue
		}
		compare("Traefik", texts(at[[]any](t, m, "spec", "forwardAuth", "authResponseHeaders")))
	}
	for _, i := range of[*networking.Ingress](all) {
		if names, ok := i.Annotations["nginx.ingress.kubernetes.io/auth-response-headers"]; ok {
			compare("ingress-nginx", strings.Split(names, ","), "Cookie") // which an answer to it does not have
		}
	}
	for _, kind := range []string{"SecurityPolicy", "HTTPRoute"} {
		for _, o := range all.kind(kind) {
			walk(o.Object["spec"], func(member map[string]any) {
				for _, key := range []string{"headersToBackend", "allowedResponseHeaders"} {
					if names, ok := member[key].([]any); ok {
						compare(kind, texts(names))
					}
				}
				// Without these a browser cannot be told from a program, nor be recognised.
				for _, key := range []string{"headersToExtAuth", "allowedHeaders"} {
					if names, ok := member[key].([]any); ok {
						for _, need := range []string{"cookie", "accept", "x-forwarded-proto", "sec-fetch-mode", "sec-fetch-dest", "sec-websocket-key", "origin"} {
							if !slices.Contains(texts(names), need) {
								t.Errorf("%s does not send %s", kind, need)
							}
						}
					}
				}
			})
		}
	}
}

func texts(items []any) []string {
	var all []string
	for _, item := range items {
		all = append(all, item.(string))
	}
	return all
}
