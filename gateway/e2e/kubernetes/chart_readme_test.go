package kubernetes_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// The README of the chart has a table of all values, with the defaults and the
// comments of values.yaml. Run the test with -update after those have changed.
func TestChartReadmeTellsOfEveryValue(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(chartDir, "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(data, &root); err != nil {
		t.Fatal(err)
	}
	rows := valueRows(t, root.Content[0], "")
	if len(rows) < 70 {
		t.Fatalf("there are only %d values", len(rows))
	}
	table := "| value | default | is |\n|---|---|---|\n" + strings.Join(rows, "")

	file := filepath.Join(chartDir, "README.md")
	readme, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, _, found := strings.Cut(string(readme), "| value | default | is |\n")
	if !found {
		t.Fatal("the README has no table of values")
	}
	if *update {
		if err := os.WriteFile(file, []byte(before+table), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(readme) != before+table {
		t.Error("the table in README.md is not that of values.yaml: run the test with -update")
	}
}

// valueRows are the rows of the values below a path, each with its comment.
func valueRows(t *testing.T, section *yaml.Node, path string) []string {
	t.Helper()
	var rows []string
	for i := 0; i < len(section.Content); i += 2 {
		key, value := section.Content[i], section.Content[i+1]
		at := path + key.Value
		comment := words(key.HeadComment)
		if value.Kind == yaml.MappingNode && len(value.Content) > 0 && value.Style != yaml.FlowStyle {
			if comment != "" {
				rows = append(rows, fmt.Sprintf("| **`%s`** | | %s |\n", at, comment))
			}
			rows = append(rows, valueRows(t, value, at+".")...)
			continue
		}
		if comment == "" {
			t.Errorf("%s has no comment", at)
		}
		rows = append(rows, fmt.Sprintf("| `%s` | `%s` | %s |\n", at, flow(t, value), comment))
	}
	return rows
}

// words is a comment as one line of Markdown.
func words(comment string) string {
	paragraphs := strings.Split(comment, "\n\n") // the last one is about the key
	line := strings.ReplaceAll(strings.TrimPrefix(paragraphs[len(paragraphs)-1], "# "), "\n# ", " ")
	return strings.NewReplacer("|", "\\|", "<", "&lt;").Replace(line)
}

// flow writes a value on one line.
func flow(t *testing.T, value *yaml.Node) string {
	t.Helper()
	one := *value
	if one.Kind != yaml.ScalarNode {
		one.Style = yaml.FlowStyle
	} else if one.Value == "" {
		return `""`
	}
	out, err := yaml.Marshal(&one)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(string(out)), " ")
}
