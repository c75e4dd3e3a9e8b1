package kubernetes_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"
)

// customKind is a kind that a CustomResourceDefinition defines, judged by the code of
// the API server: unknown fields, the schema, and the rules in it.
type customKind struct {
	shape  *structural.Structural
	schema validation.SchemaValidator
	rules  *cel.Validator
}

// customKinds are those that the projects whose ingresses we configure define.
func customKinds(t *testing.T) map[schema.GroupVersionKind]*customKind {
	t.Helper()
	kinds := map[schema.GroupVersionKind]*customKind{}
	for _, f := range []struct {
		from source
		name string
	}{
		{gatewayAPI, "config/crd/experimental/gateway.networking.k8s.io_httproutes.yaml"},
		{gatewayAPI, "config/crd/experimental/gateway.networking.k8s.io_referencegrants.yaml"},
		{envoyGateway, "charts/gateway-crds-helm/templates/generated/gateway.envoyproxy.io_securitypolicies.yaml"},
		{traefik, "docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml"},
	} {
		reader := utilyaml.NewYAMLReader(newReader(withoutTemplates(f.from.file(t, f.name))))
		for {
			doc, err := reader.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			var crd apiextensionsv1.CustomResourceDefinition
			if err := yaml.Unmarshal(doc, &crd); err != nil {
				t.Fatalf("%s: %v", f.name, err)
			}
			for _, v := range crd.Spec.Versions {
				kinds[schema.GroupVersionKind{Group: crd.Spec.Group, Version: v.Name, Kind: crd.Spec.Names.Kind}] = newCustomKind(t, v)
			}
		}
	}
	return kinds
}

// withoutTemplates drops the lines by which a chart makes a definition optional.
func withoutTemplates(file []byte) []byte {
	var kept []string
	for line := range strings.Lines(string(file)) {
		if !strings.HasPrefix(line, "{{") {
			kept = append(kept, line)
		}
	}
	return []byte(strings.Join(kept, ""))
}

func newCustomKind(t *testing.T, v apiextensionsv1.CustomResourceDefinitionVersion) *customKind {
	t.Helper()
	var internal apiextensions.JSONSchemaProps
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(v.Schema.OpenAPIV3Schema, &internal, nil); err != nil {
		t.Fatal(err)
	}
	shape, err := structural.NewStructural(&internal)
	if err != nil {
		t.Fatal(err)
	}
	validator, _, err := validation.NewSchemaValidator(&internal)
	if err != nil {
		t.Fatal(err)
	}
	return &customKind{shape: shape, schema: validator, rules: cel.NewValidator(shape, true, celconfig.PerCallLimit)}
}

func (k *customKind) admit(fields map[string]any) error {
	unknown := pruning.PruneWithOptions(runtime.DeepCopyJSON(fields), k.shape, true, structural.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	if len(unknown) > 0 {
		return fmt.Errorf("unknown fields: %v", unknown)
	}
	fields = runtime.DeepCopyJSON(fields)
	defaulting.Default(fields, k.shape)
	if errs := validation.ValidateCustomResource(nil, fields, k.schema); len(errs) > 0 {
		return errs.ToAggregate()
	}
	errs, _ := k.rules.Validate(context.Background(), nil, k.shape, fields, nil, math.MaxInt64)
	return errs.ToAggregate()
}
