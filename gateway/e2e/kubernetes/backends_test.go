package kubernetes_test

import (
	"net/url"
	"strconv"
	"strings"
	"testing"

	networking "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// backend is a Service that something names.
type backend struct {
	from, namespace, name string
	port                  intstr.IntOrString
}

// backends are all that are named: as a backend of a route, or as who is asked.
func (all objects) backends(t *testing.T) []backend {
	t.Helper()
	var found []backend
	for _, i := range of[*networking.Ingress](all) {
		for _, rule := range i.Spec.Rules {
			for _, path := range rule.HTTP.Paths {
				port := intstr.FromString(path.Backend.Service.Port.Name)
				if port.StrVal == "" {
					port = intstr.FromInt32(path.Backend.Service.Port.Number)
				}
				found = append(found, backend{"Ingress " + i.Name, i.Namespace, path.Backend.Service.Name, port})
			}
		}
		if asked := i.Annotations["nginx.ingress.kubernetes.io/auth-url"]; asked != "" {
			found = append(found, byAddress(t, "Ingress "+i.Name, asked))
		}
	}
	for _, kind := range []string{"HTTPRoute", "SecurityPolicy", "IngressRoute"} {
		for _, o := range all.kind(kind) {
			from := kind + " " + o.GetName()
			walk(o.Object["spec"], func(member map[string]any) {
				for _, key := range []string{"backendRefs", "backendRef", "services"} {
					for _, ref := range list(member[key]) {
						found = append(found, reference(t, from, o, ref.(map[string]any)))
					}
				}
			})
		}
	}
	for _, o := range all.kind("Middleware") {
		walk(o.Object["spec"], func(member map[string]any) {
			if address, ok := member["address"].(string); ok {
				found = append(found, byAddress(t, "Middleware "+o.GetName(), address))
			}
		})
	}
	return found
}

func reference(t *testing.T, from string, o *unstructured.Unstructured, ref map[string]any) backend {
	t.Helper()
	b := backend{from: from, namespace: o.GetNamespace(), name: ref["name"].(string)}
	if namespace, ok := ref["namespace"].(string); ok {
		b.namespace = namespace
	}
	switch port := ref["port"].(type) {
	case string:
		b.port = intstr.FromString(port)
	case int64:
		b.port = intstr.FromInt32(int32(port))
	default:
		t.Errorf("%s names no port: %v", from, ref)
	}
	return b
}

// byAddress reads http://NAME.NAMESPACE.svc.cluster.local:PORT.
func byAddress(t *testing.T, from, address string) backend {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	host := strings.SplitN(u.Hostname(), ".", 3)
	port, err := strconv.Atoi(u.Port())
	if err != nil || len(host) != 3 || host[2] != "svc.cluster.local" {
		t.Fatalf("%s asks at %s", from, address)
	}
	return backend{from, host[1], host[0], intstr.FromInt32(int32(port))}
}

// walk visits every object in a value.
func walk(v any, visit func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		visit(v)
		for _, member := range v {
			walk(member, visit)
		}
	case []any:
		for _, item := range v {
			walk(item, visit)
		}
	}
}

// list is a value as the items of a list: what is alone is the only one.
func list(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	default:
		return []any{v}
	}
}
