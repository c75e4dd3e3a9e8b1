package kubernetes_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/yannh/kubeconform/pkg/resource"
	"github.com/yannh/kubeconform/pkg/validator"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
)

// builtin are the kinds that we have Go types for: those of Kubernetes, with the
// schemas of its API besides, and those of the Prometheus operator.
type builtin struct {
	decoder runtime.Decoder
	schemas validator.Validator
}

func newBuiltin(t *testing.T) *builtin {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		core.AddToScheme, apps.AddToScheme, networking.AddToScheme, policy.AddToScheme, autoscaling.AddToScheme, monitoring.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	writeSchemas(t, scheme)
	schemas, err := validator.New([]string{filepath.Join(scratch, "{{.ResourceKind}}{{.KindSuffix}}.json")},
		validator.Opts{Strict: true, SkipKinds: map[string]struct{}{monitoring.ServiceMonitorsKind: {}}})
	if err != nil {
		t.Fatal(err)
	}
	return &builtin{
		decoder: serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer(),
		schemas: schemas,
	}
}

func (b *builtin) admit(doc []byte) (runtime.Object, error) {
	typed, _, err := b.decoder.Decode(doc, nil, nil)
	if err != nil {
		return nil, err
	}
	r := b.schemas.ValidateResource(resource.Resource{Bytes: doc})
	if r.Status != validator.Valid && r.Status != validator.Skipped {
		return nil, errors.Join(r.Err, fmt.Errorf("%v", r.ValidationErrors))
	}
	return typed, nil
}

type definitions map[string]map[string]any

// writeSchemas writes a JSON schema for each kind of the scheme, by the names that
// kubeconform wants, made from the description of the API.
func writeSchemas(t *testing.T, scheme *runtime.Scheme) {
	t.Helper()
	var api struct{ Definitions definitions }
	if err := json.Unmarshal(kubernetes.file(t, "api/openapi-spec/swagger.json"), &api); err != nil {
		t.Fatal(err)
	}
	for _, d := range api.Definitions {
		closeObject(d)
	}
	// These are more than their type says.
	api.Definitions["io.k8s.apimachinery.pkg.util.intstr.IntOrString"] = map[string]any{"type": []string{"string", "integer"}}
	api.Definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"] = map[string]any{"type": []string{"string", "number"}}

	for name, d := range api.Definitions {
		kinds, _ := d["x-kubernetes-group-version-kind"].([]any)
		if len(kinds) != 1 {
			continue
		}
		k := kinds[0].(map[string]any)
		gvk := schema.GroupVersionKind{Group: k["group"].(string), Version: k["version"].(string), Kind: k["kind"].(string)}
		if !scheme.Recognizes(gvk) {
			continue
		}
		reached := definitions{}
		api.Definitions.reach(name, reached)
		data, err := json.Marshal(map[string]any{
			"$schema": "http://json-schema.org/draft-07/schema#", "$ref": "#/definitions/" + name, "definitions": reached,
		})
		if err != nil {
			t.Fatal(err)
		}
		file := gvk.Kind + "-" + gvk.Version + ".json"
		if gvk.Group != "" {
			group, _, _ := strings.Cut(gvk.Group, ".")
			file = gvk.Kind + "-" + group + "-" + gvk.Version + ".json"
		}
		if err := os.WriteFile(filepath.Join(scratch, strings.ToLower(file)), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// closeObject refuses members that a definition does not name.
func closeObject(d map[string]any) {
	if _, ok := d["properties"]; ok {
		d["additionalProperties"] = false
	}
}

// reach adds the definition of that name, and all that it refers to.
func (all definitions) reach(name string, reached definitions) {
	if _, done := reached[name]; done {
		return
	}
	reached[name] = all[name]
	all.references(all[name], reached)
}

func (all definitions) references(v any, reached definitions) {
	switch v := v.(type) {
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok {
			all.reach(strings.TrimPrefix(ref, "#/definitions/"), reached)
		}
		for _, member := range v {
			all.references(member, reached)
		}
	case []any:
		for _, item := range v {
			all.references(item, reached)
		}
	}
}
