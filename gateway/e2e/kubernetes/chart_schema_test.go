package kubernetes_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
)

var update = flag.Bool("update", false, "write the generated parts of the chart")

// written are the keys that the chart writes, so that values must not.
var written = []string{
	"admin", "server.listen", "server.listeners", "server.drain",
	"session.store", "session.valkey", "session.keys_files", "ext_authz.listen",
}

// schemaOf describes the keys of a section of Sallyport's configuration.
func schemaOf(section reflect.Type, path string) map[string]any {
	keys := map[string]any{}
	addKeys(keys, section, path)
	return map[string]any{"type": "object", "additionalProperties": false, "properties": keys}
}

func addKeys(keys map[string]any, section reflect.Type, path string) {
	for f := range section.Fields() {
		name, ok := f.Tag.Lookup("mapstructure")
		switch {
		case name == ",squash":
			addKeys(keys, f.Type, path)
		case !ok || f.Type == reflect.TypeFor[config.Secret](): // a secret is a file
		case slices.Contains(written, path+name):
		case f.Tag.Get("unit") == "bytes":
			keys[name] = map[string]any{"type": []any{"integer", "string"}}
		default:
			keys[name] = schemaOfValue(f.Type, path+name+".")
		}
	}
}

func schemaOfValue(value reflect.Type, path string) map[string]any {
	switch {
	case value == reflect.TypeFor[config.Upstreams]():
		return map[string]any{"type": []any{"string", "array"}, "items": map[string]any{"type": "string"}}
	case value == reflect.TypeFor[time.Duration](), value.Kind() == reflect.String:
		return map[string]any{"type": "string"}
	case value.Kind() == reflect.Pointer:
		return schemaOfValue(value.Elem(), path)
	case value.Kind() == reflect.Struct:
		return schemaOf(value, path)
	case value.Kind() == reflect.Slice:
		return map[string]any{"type": "array", "items": schemaOfValue(value.Elem(), path)}
	case value.Kind() == reflect.Bool:
		return map[string]any{"type": "boolean"}
	default:
		return map[string]any{"type": "integer"}
	}
}

// The part of the schema that is about config is made from the types that Sallyport
// reads it into. Run the test with -update after they have changed.
func TestChartSchemaKnowsEveryKeyOfTheConfiguration(t *testing.T) {
	file := filepath.Join(chartDir, "values.schema.json")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(data, &schema); err != nil {
		t.Fatal(err)
	}
	made := schemaOf(reflect.TypeFor[config.Config](), "")
	for _, key := range written {
		if hasKey(made, key) {
			t.Errorf("%s is left in", key)
		}
	}
	schema["definitions"].(map[string]any)["config"] = made
	want, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile(file, want, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(data, want) {
		t.Error("values.schema.json is not about the configuration of today: run the test with -update")
	}
}

func hasKey(schema map[string]any, path string) bool {
	for key := range strings.SplitSeq(path, ".") {
		next, ok := schema["properties"].(map[string]any)[key].(map[string]any)
		if !ok {
			return false
		}
		schema = next
	}
	return true
}

// Nothing that has keys of its own accepts others. What Kubernetes defines passes,
// for its API server to judge.
func TestChartSchemaIsClosedEverywhere(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(chartDir, "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(data, &schema); err != nil {
		t.Fatal(err)
	}
	closed := 0
	walk(schema, func(part map[string]any) {
		if part["type"] != "object" {
			return
		}
		_, named := part["properties"].(map[string]any)
		_, described := part["description"].(string)
		_, texts := part["additionalProperties"].(map[string]any)
		switch {
		case named && part["additionalProperties"] == false:
			closed++
		case !named && (described || texts):
		default:
			t.Errorf("open: %v", part)
		}
	})
	if closed < 50 {
		t.Errorf("only %d objects are closed", closed)
	}
}

func TestChartRefusesValuesThatItDoesNotKnow(t *testing.T) {
	for name, wrong := range map[string]struct{ values, names string }{
		"a misspelt value":              {`replicacount: 3`, "replicacount"},
		"a misspelt value further down": {`image: {repositry: x}`, "repositry"},
		"a section at the wrong place":  {`sentinelMaster: sessions`, "sentinelMaster"},
		"a password as a value":         {`valkey: {password: {value: hunter2}}`, "value"},
		"a password in a URL":           {`valkey: {urls: ["valkey://user:hunter2@valkey:6379"]}`, "valkey/urls/0"},
		"another scheme of URL":         {`valkey: {urls: ["redis://valkey:6379"]}`, "valkey/urls/0"},
		"a misspelt setting":            {`config: {server: {public_ulr: "https://app.example.com"}}`, "public_ulr"},
		"a misspelt setting of a list":  {`config: {routes: [{name: app, polcy: staff}]}`, "polcy"},
		"a misspelt rule":               {`config: {policies: [{name: staff, rules: [{alow: {groups: [staff]}}]}]}`, "alow"},
		"a secret as a setting":         {`config: {login: {providers: [{name: corp, client_secret: hunter2}]}}`, "client_secret"},
		"what the chart writes":         {`config: {admin: {listen: ""}}`, "admin"},
		"what the chart writes, below":  {`config: {session: {store: embedded}}`, "store"},
		"a word for a number":           {`replicaCount: "3"`, "replicaCount"},
		"a word for a switch":           {`networkPolicy: {enabled: "false"}`, "networkPolicy/enabled"},
		"an unknown kind of Service":    {`service: {type: Clusterip}`, "service/type"},
		"a file outside the folder":     {`secrets: {files: [{existingSecret: x, key: y, file: ../../etc/passwd}]}`, "secrets/files/0/file"},
		"a file of no Secret":           {`secrets: {files: [{key: y, file: z}]}`, "existingSecret"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := templated(t, with(t, ciValues(t, "traefik"), wrong.values))
			if err == nil {
				t.Fatal("it is accepted")
			}
			if !strings.Contains(err.Error(), "schema") || !strings.Contains(err.Error(), wrong.names) {
				t.Errorf("the answer does not name %s: %v", wrong.names, err)
			}
		})
	}
}
