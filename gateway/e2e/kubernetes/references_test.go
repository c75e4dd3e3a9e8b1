package kubernetes_test

import (
	"fmt"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// checkReferences wants what the objects of an ingress name, besides Services, to be
// there, and references into another namespace to be granted.
func (all objects) checkReferences(t *testing.T) {
	t.Helper()
	exists := func(from *unstructured.Unstructured, kind, name string) {
		if !slices.ContainsFunc(all.kind(kind), func(o *unstructured.Unstructured) bool {
			return o.GetName() == name && o.GetNamespace() == from.GetNamespace()
		}) {
			t.Errorf("%s %s names the %s %s, which is not there", from.GetKind(), from.GetName(), kind, name)
		}
	}
	for _, o := range all.kind("IngressRoute") {
		walk(o.Object["spec"], func(member map[string]any) {
			for _, m := range list(member["middlewares"]) {
				exists(o, "Middleware", m.(map[string]any)["name"].(string))
			}
		})
	}
	for _, o := range all.kind("SecurityPolicy") {
		for _, target := range at[[]any](t, o, "spec", "targetRefs") {
			exists(o, "HTTPRoute", target.(map[string]any)["name"].(string))
		}
	}
	granted := map[string]bool{}
	for _, o := range all.kind("ReferenceGrant") {
		for _, from := range at[[]any](t, o, "spec", "from") {
			for _, to := range at[[]any](t, o, "spec", "to") {
				from, to := from.(map[string]any), to.(map[string]any)
				granted[fmt.Sprintf("%s of %s to %s/%s", from["kind"], from["namespace"], o.GetNamespace(), to["name"])] = true
			}
		}
	}
	for _, kind := range []string{"HTTPRoute", "SecurityPolicy"} {
		for _, o := range all.kind(kind) {
			walk(o.Object["spec"], func(member map[string]any) {
				for _, key := range []string{"backendRefs", "backendRef"} {
					for _, ref := range list(member[key]) {
						b := reference(t, kind, o, ref.(map[string]any))
						need := fmt.Sprintf("%s of %s to %s/%s", kind, o.GetNamespace(), b.namespace, b.name)
						if b.namespace != o.GetNamespace() && !granted[need] {
							t.Errorf("no ReferenceGrant: %s", need)
						}
					}
				}
			})
		}
	}
}
