package kubernetes_test

import (
	"strings"
	"testing"
)

// What a cluster would refuse, or drop without a word, is refused here: the judge of
// all other tests is awake.
func TestWhatAClusterWouldRefuseIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ folder, old, new, want string }{
		"a misspelt field":                 {"base", "replicas: 2", "replcas: 2", "replcas"},
		"a misspelt field further down":    {"base", "readOnlyRootFilesystem", "readonlyRootFilesystem", "readonlyRootFilesystem"},
		"a field twice":                    {"base", "replicas: 2", "replicas: 2\n  replicas: 3", "replicas"},
		"a text for a number":              {"base", "maxSkew: 1", "maxSkew: one", "maxSkew"},
		"a field that is missing":          {"base", "    port: 8080\n", "", "port"},
		"a kind that does not exist":       {"base", "kind: PodDisruptionBudget", "kind: PodDisruptionBudged", "PodDisruptionBudged"},
		"an API of the past":               {"base", "apiVersion: policy/v1", "apiVersion: policy/v1beta1", "policy/v1beta1"},
		"a field that Traefik lacks":       {"overlays/traefik", "authResponseHeaders", "authResponseHeader", "authResponseHeader"},
		"a text that Traefik wants listed": {"overlays/traefik", "entryPoints:\n  - websecure", "entryPoints: websecure", "entryPoints"},
		"a field that a route lacks":       {"overlays/gateway-api", "externalAuth:", "externalAuthz:", "externalAuthz"},
		"a filter without its settings":    {"overlays/gateway-api", "type: ExternalAuth", "type: RequestMirror", "RequestMirror"},
		"a protocol that there is not":     {"overlays/gateway-api", "protocol: HTTP", "protocol: SPOE", "protocol"},
		"a duration that is none":          {"overlays/envoy-gateway", "timeout: 2s", "timeout: two", "timeout"},
		"a policy for nothing":             {"overlays/envoy-gateway", "kind: HTTPRoute\n    name: app", "kind: Deployment\n    name: app", "targetRefs"},
		"a policy that asks nobody":        {"overlays/envoy-gateway-grpc", "    grpc:\n      backendRefs:\n      - name: sallyport\n        namespace: sallyport\n        port: 9191\n", "", "grpc or http"},
	} {
		t.Run(name, func(t *testing.T) {
			stream := string(kustomized(t, c.folder))
			if !strings.Contains(stream, c.old) {
				t.Fatalf("there is no %q:\n%s", c.old, stream)
			}
			err := refusal(t, strings.Replace(stream, c.old, c.new, 1))
			if err == nil {
				t.Fatal("it is accepted")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("the answer does not name %s: %v", c.want, err)
			}
		})
	}
}

// refusal is why the first document that is not accepted is not.
func refusal(t *testing.T, stream string) error {
	t.Helper()
	for doc := range strings.SplitSeq(stream, "\n---\n") {
		if _, err := newServer(t).admit([]byte(doc)); err != nil {
			return err
		}
	}
	return nil
}
