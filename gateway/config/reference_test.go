package config_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestTheReferenceHasEveryKey: the page is made of the JSON Schema, which is made of
// the types.
func TestTheReferenceHasEveryKey(t *testing.T) {
	const file = "../../docs/configuration-reference.md"
	var root key
	if err := json.Unmarshal(generateSchema(t), &root); err != nil {
		t.Fatal(err)
	}
	page := referencePage(t, &root)
	if *update {
		if err := os.WriteFile(file, []byte(page), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != page {
		t.Errorf("%s is not of the keys of today: run go test ./gateway/config -update", file)
	}
}

// key is one key of the schema.
type key struct {
	Description string         `json:"description"`
	Default     any            `json:"default"`
	Enum        []any          `json:"enum"`
	Properties  map[string]key `json:"properties"`
	Items       *key           `json:"items"`
	AnyOf       []key          `json:"anyOf"`
	Type        any            `json:"type"`
	Pattern     string         `json:"pattern"`
}

func referencePage(t *testing.T, root *key) string {
	t.Helper()
	var page strings.Builder
	page.WriteString(`# Every key of the configuration

What stands here is made from the program, as is the [JSON Schema](config.schema.json) with which editors complete and check a file; the first
line of [config.yaml](../config.yaml) names it. What the sections mean is in the [guide](configuration.md). A key with ` + "`[]`" + ` is one of each
entry of a list. Durations are written as ` + "`90s`, `15m` or `12h`" + `, sizes in bytes or as ` + "`64MiB`" + `.
`)
	const short = "The short form"
	fmt.Fprintf(&page, "\n## %s\n\nOne application behind one OpenID provider, in place of `login.providers`, `routes` and `policies`.\n\n", short)
	page.WriteString("| key | is | default |\n|---|---|---|\n")
	for _, section := range sortedKeys(root.Properties) {
		k := root.Properties[section]
		if len(k.Properties) == 0 && k.Items == nil {
			page.WriteString(strings.Join(keyRows(t, section, &k, nil), ""))
			continue
		}
		fmt.Fprintf(&page, "\n## %s\n\n", section)
		if k.Description != "" {
			fmt.Fprintf(&page, "%s\n\n", sentence(k.Description))
		}
		rows := keyRows(t, section, &k, nil)
		page.WriteString("| key | is | default |\n|---|---|---|\n" + strings.Join(rows, ""))
	}
	return page.String()
}

// keyRows are those of everything below a key, each alternative once.
func keyRows(t *testing.T, path string, k *key, rows []string) []string {
	t.Helper()
	parts := append([]key{*k}, k.AnyOf...)
	leaf := true
	for _, part := range parts {
		for _, name := range sortedKeys(part.Properties) {
			leaf = false
			below := part.Properties[name]
			rows = keyRows(t, path+"."+name, &below, rows)
		}
		if part.Items != nil && (len(part.Items.Properties) > 0) {
			leaf = false
			rows = keyRows(t, path+"[]", part.Items, rows)
		}
	}
	if leaf {
		if k.Description == "" {
			t.Errorf("%s has no comment in the code", path)
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |\n", path, meaning(k), defaultOf(k)))
	}
	return rows
}

func meaning(k *key) string {
	words := k.Description
	values := k.Enum
	if k.Items != nil {
		values = append(values, k.Items.Enum...)
	}
	if len(values) > 0 {
		names := make([]string, len(values))
		for i, v := range values {
			names[i] = fmt.Sprintf("`%v`", v)
		}
		if words != "" {
			words += ": "
		}
		words += strings.Join(names, ", ")
	}
	return cell(words)
}

func defaultOf(k *key) string {
	switch d := k.Default.(type) {
	case nil:
		return ""
	case []any:
		data, err := json.Marshal(d)
		if err != nil || len(d) == 0 || strings.ContainsRune(string(data), '{') {
			return ""
		}
		return "`" + strings.ReplaceAll(string(data), `"`, "") + "`"
	default:
		return cell(fmt.Sprintf("`%v`", d))
	}
}

func cell(text string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(text, "|", `\|`)), " ")
}

// sentence begins with a capital letter and ends with a full stop.
func sentence(text string) string {
	text = strings.ToUpper(text[:1]) + strings.TrimSuffix(text[1:], ".") + "."
	return regexp.MustCompile(`\s+`).ReplaceAllString(text, " ")
}

// sortedKeys puts lists and sections after plain keys, as one reads them best.
func sortedKeys(keys map[string]key) []string {
	names := make([]string, 0, len(keys))
	for name := range keys {
		names = append(names, name)
	}
	nested := func(k key) int {
		if len(k.Properties) > 0 || k.Items != nil && len(k.Items.Properties) > 0 {
			return 1
		}
		return 0
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(nested(keys[a]), nested(keys[b])), cmp.Compare(a, b))
	})
	return names
}
