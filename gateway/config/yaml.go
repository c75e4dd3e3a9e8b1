package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxDepth is far beyond what the schema can nest.
const maxDepth = 32

// parseYAML reads the one document of data. It answers nothing but a fault for
// what is empty, oversized, too deep, or several documents.
func parseYAML(name string, data []byte) (*yaml.Node, *Fault) {
	if len(data) > maxFile {
		return nil, &Fault{File: name, Problem: "the file is larger than 1 MiB", Fix: "name the right file: a configuration is small"}
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return nil, emptyFile(name)
	}
	if err != nil {
		return nil, syntaxFault(name, data, err)
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, emptyFile(name)
	}
	root := doc.Content[0]

	var next yaml.Node
	switch err := dec.Decode(&next); {
	case errors.Is(err, io.EOF):
	case err != nil:
		return nil, syntaxFault(name, data, err)
	default:
		return nil, &Fault{File: name, Line: next.Line, Problem: `a second document begins here`, Fix: `remove the "---" line: one file is one document`}
	}
	if isNull(root) {
		return nil, emptyFile(name)
	}
	if at := tooDeep(root, maxDepth); at != nil {
		return nil, &Fault{File: name, Line: at.Line, Problem: "the nesting is too deep", Fix: "no setting needs more than a few levels"}
	}
	return root, nil
}

func emptyFile(name string) *Fault {
	return &Fault{File: name, Problem: "the file is empty", Fix: "write at least a route; the short form is four lines: " + shortFormExample}
}

// syntaxFault takes the line out of the parser's message. An alias names part
// of the value, which may be a secret, so that message is replaced.
func syntaxFault(name string, data []byte, err error) *Fault {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	f := &Fault{File: name, Problem: text, Fix: "check the indentation, the quotes and the space after each colon, around this line"}
	if m := regexp.MustCompile(`(?s)^line (\d+): (.*)$`).FindStringSubmatch(text); m != nil {
		f.Line, _ = strconv.Atoi(m[1])
		f.Problem = m[2]
	}
	if strings.Contains(text, "unknown anchor") || strings.Contains(text, "alphabetic or numeric character") {
		f.Problem = "a value begins with * or &, which YAML reads as an alias"
		f.Fix = `put the value in quotes, as in "*.example.com"`
	}
	// The parser names the line with the tab, or the one before.
	lines := bytes.Split(data, []byte("\n"))
	for at := max(f.Line, 1); at <= min(f.Line+1, len(lines)); at++ {
		if indentedByTab.Match(lines[at-1]) {
			f.Line, f.Problem, f.Fix = at, "the line is indented with a tab", "indent it with spaces"
			break
		}
	}
	f.Problem = "this is not YAML: " + f.Problem
	return f
}

var indentedByTab = regexp.MustCompile(`^ *\t`)

func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}

// tooDeep returns the first node that lies more than levels deep, or nil.
func tooDeep(n *yaml.Node, levels int) *yaml.Node {
	if levels == 0 {
		return n
	}
	for _, child := range n.Content {
		if at := tooDeep(child, levels-1); at != nil {
			return at
		}
	}
	return nil
}

// describe names the kind of a value for people.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a section of keys"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		switch tag := n.ShortTag(); tag {
		case "!!str":
			return "text"
		case "!!int", "!!float":
			return "a number"
		case "!!bool":
			return "true or false"
		case "!!null":
			return "nothing"
		case "!!timestamp":
			return "a date"
		default:
			return fmt.Sprintf("a value with the tag %.40q", tag)
		}
	case yaml.AliasNode, yaml.DocumentNode:
	}
	return "an alias"
}
