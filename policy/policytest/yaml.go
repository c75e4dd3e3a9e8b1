package policytest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	// MaxFile is the largest test file that is read, in bytes.
	MaxFile = 1 << 20
	// maxDepth is far beyond what a case can nest; claims have some freedom.
	maxDepth = 64
)

// document returns the one document of text, or nil after reporting why there is
// none.
func (r *reader) document(text []byte) *yaml.Node {
	if len(text) > MaxFile {
		r.fault(nil, "", "the file is larger than 1 MiB", "split it up")
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(yamlOf(text)))
	var doc, next yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		r.fault(nil, "", "the file is empty", "write cases: and at least one case")
		return nil
	case err != nil:
		r.syntax(err)
		return nil
	}
	switch err := dec.Decode(&next); {
	case errors.Is(err, io.EOF):
	case err != nil:
		r.syntax(err)
		return nil
	default:
		r.fault(&next, "", "a second document begins here", `remove the "---" line: one file is one document`)
		return nil
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 || isNull(doc.Content[0]) {
		r.fault(nil, "", "the file is empty", "write cases: and at least one case")
		return nil
	}
	if at := tooDeep(&doc, maxDepth); at != nil {
		r.fault(at, "", "the nesting is too deep", fmt.Sprintf("nothing needs more than %d levels", maxDepth))
		return nil
	}
	r.references(&doc)
	return doc.Content[0]
}

var lineOfError = regexp.MustCompile(`(?s)^line (\d+): (.*)$`)

// syntax takes the line out of the parser's message.
func (r *reader) syntax(err error) {
	f := Fault{File: r.file, Problem: strings.TrimPrefix(err.Error(), "yaml: "), Fix: "check the indentation and the quotes around this line"}
	if m := lineOfError.FindStringSubmatch(f.Problem); m != nil {
		f.Line, _ = strconv.Atoi(m[1])
		f.Problem = m[2]
	}
	f.Problem = "this is not YAML: " + f.Problem
	r.add(f)
}

var jsonText = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// yamlOf writes the texts of JSON so that they mean the same in YAML, which does not
// know every escape of JSON. The lines stay.
func yamlOf(text []byte) []byte {
	if !json.Valid(text) {
		return text
	}
	return jsonText.ReplaceAllFunc(text, func(quoted []byte) []byte {
		var s string
		if json.Unmarshal(quoted, &s) != nil {
			return quoted
		}
		again, err := json.Marshal(s)
		if err != nil {
			return quoted
		}
		return again
	})
}

// references refuses anchors, aliases and merges, by which a small file can stand
// for a large one, and tags, by which a value can be something else than it seems.
func (r *reader) references(n *yaml.Node) {
	if n.Style&yaml.TaggedStyle != 0 {
		r.fault(n, "", "YAML tags (!) are not supported here", "write the value without; in quotes if it is text")
	}
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		r.fault(n, "", "YAML anchors (&) and aliases (*) are not supported here", "write the value out, or under defaults; in quotes if it begins with & or *")
	}
	for _, child := range n.Content {
		r.references(child)
	}
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

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

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

// excerpt shortens a value of the file for a message and makes it one printable
// line.
func excerpt(s string) string {
	const most = 60
	s = strings.ToValidUTF8(s, "?")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return strconv.Quote(s)
}
