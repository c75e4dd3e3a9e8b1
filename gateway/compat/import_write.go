package compat

import (
	"bytes"
	"strings"

	"go.yaml.in/yaml/v3"
)

// section is a mapping of the outcome, in the order in which it was written.
type section struct{ node *yaml.Node }

func newSection() *section { return &section{&yaml.Node{Kind: yaml.MappingNode}} }

// flow writes the section on one line.
func (s *section) flow() *section {
	s.node.Style = yaml.FlowStyle
	return s
}

func (s *section) empty() bool { return len(s.node.Content) == 0 }

// set adds a key. A comment stands behind a value of one line, and over any other.
func (s *section) set(key string, value any, comment ...string) {
	k, v := new(yaml.Node), nodeOf(value)
	k.SetString(key)
	if text := strings.Join(comment, " "); text != "" {
		if v.Kind == yaml.ScalarNode || v.Style == yaml.FlowStyle {
			v.LineComment = "# " + oneLine(text)
		} else {
			k.HeadComment = "# " + oneLine(text)
		}
	}
	s.node.Content = append(s.node.Content, k, v)
}

// setIf adds a key where the value is not "", or not empty.
func (s *section) setIf(key, value string) {
	if value != "" {
		s.set(key, value)
	}
}

func nodeOf(value any) *yaml.Node {
	switch v := value.(type) {
	case *section:
		return v.node
	case []*section:
		list := &yaml.Node{Kind: yaml.SequenceNode}
		for _, one := range v {
			list.Content = append(list.Content, one.node)
		}
		return list
	case []string:
		list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, one := range v {
			list.Content = append(list.Content, nodeOf(one))
		}
		return list
	}
	n := new(yaml.Node)
	if err := n.Encode(value); err != nil {
		n.SetString("") // of strings and booleans there is none
	}
	return n
}

func (s *section) text(heading string) ([]byte, error) {
	var b bytes.Buffer
	for line := range strings.SplitSeq(heading, "\n") {
		b.WriteString("# " + line + "\n")
	}
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(s.node); err != nil {
		return nil, err
	}
	err := enc.Close()
	return b.Bytes(), err
}
