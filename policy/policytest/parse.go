package policytest

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Parse reads a test file: YAML or, where name ends in .txtar, an archive. Cases
// that name no time of their own are decided at now.
//
// The error is Faults: everything that is wrong, at once. With an error there is no
// File.
func Parse(name string, text []byte, now time.Time) (*File, error) {
	r := &reader{file: name}
	file := &File{Name: name}
	if strings.HasSuffix(name, archiveSuffix) {
		r.archive(file, text, now)
	} else if root := r.document(text); root != nil {
		r.root(file, root, now)
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	return file, nil
}

// root reads the document of one file of cases and appends the cases to file.
func (r *reader) root(file *File, root *yaml.Node, now time.Time) {
	var cases *yaml.Node
	defaults := draft{now: now}
	keys := []key{
		{"config", func(n *yaml.Node, at string) {
			name, ok := r.text(n, at)
			switch {
			case !ok:
			case file.Archive != nil:
				r.fault(n, at, "stands in an archive, which has its own configuration", "remove it")
			case strings.TrimSpace(name) == "":
				r.fault(n, at, "is empty", "name a configuration, or remove the key")
			case filepath.IsAbs(name):
				file.Config = name
			default:
				file.Config = filepath.Join(filepath.Dir(file.Name), name)
			}
		}},
		{"defaults", func(n *yaml.Node, at string) { r.section(n, at, r.caseKeys(&defaults)) }},
		{"cases", func(n *yaml.Node, _ string) { cases = n }},
	}
	// The cases are read after the defaults, wherever those are written.
	seen := r.section(root, "", keys)
	if cases == nil {
		if seen != nil && !seen["cases"] {
			r.fault(root, "", "has no cases", "write cases: and at least one case")
		}
		return
	}
	before := len(file.Cases)
	names := map[string]int{}
	for i := range file.Cases {
		names[file.Cases[i].Name] = file.Cases[i].Line
	}
	for n, at := range r.list(cases, "cases", "begin each case with \"- name:\"") {
		if c, ok := r.testCase(n, at, defaults, names); ok {
			file.Cases = append(file.Cases, c)
		}
	}
	if cases.Kind == yaml.SequenceNode && len(cases.Content) == 0 && len(file.Cases) == before {
		r.fault(cases, "cases", "is empty", "write at least one case")
	}
}

// draft is a case that is being read. It starts as a copy of the defaults.
type draft struct {
	now           time.Time // of the decision, where at is not written
	policy, route string
	at            time.Time
	identity      identityDraft
	request       requestDraft
	answer        *Answer
}

// caseKeys are those that a case and the defaults have in common.
func (r *reader) caseKeys(d *draft) []key {
	return []key{
		{"policy", r.word(&d.policy)},
		{"route", r.word(&d.route)},
		{"at", func(n *yaml.Node, at string) {
			if t, ok := r.moment(n, at); ok {
				d.at = t
			}
		}},
		{"identity", func(n *yaml.Node, at string) { r.identity(&d.identity, n, at) }},
		{"request", func(n *yaml.Node, at string) { r.section(n, at, r.requestKeys(&d.request)) }},
		{"client", func(n *yaml.Node, at string) { r.section(n, at, r.clientKeys(&d.request)) }},
		{"authorizer", func(n *yaml.Node, at string) { d.answer = r.answer(n, at) }},
	}
}

// word returns what reads a text that must not be blank.
func (r *reader) word(to *string) func(n *yaml.Node, at string) {
	return func(n *yaml.Node, at string) {
		s, ok := r.text(n, at)
		if ok && strings.TrimSpace(s) == "" {
			r.fault(n, at, "is empty", "write a value, or remove the key")
		} else if ok {
			*to = s
		}
	}
}

// testCase reads one case over a copy of the defaults.
func (r *reader) testCase(n *yaml.Node, at string, d draft, names map[string]int) (c Case, ok bool) {
	before := len(r.faults)
	c.Line = n.Line
	// Whom a case asks is one choice, and not put together from two places.
	policy, route := d.policy, d.route
	d.policy, d.route = "", ""
	keys := append(r.caseKeys(&d),
		key{"name", func(n *yaml.Node, at string) {
			r.word(&c.Name)(n, at)
			if first, twice := names[c.Name]; twice && c.Name != "" {
				r.fault(n, at, fmt.Sprintf("%s is the name of the case on line %d already", excerpt(c.Name), first), "give each case a name of its own")
			}
		}},
		key{"expect", func(n *yaml.Node, at string) { c.Expect = r.expect(n, at) }})
	seen := r.section(n, at, keys)
	if seen == nil {
		return c, false
	}
	if c.Name != "" {
		names[c.Name] = c.Line
	}
	if !seen["name"] {
		r.fault(n, at, "has no name", "write name: and what the case shows")
	}
	if !seen["expect"] {
		r.fault(n, at, "has no expect", "write expect: allow, deny or step_up")
	}
	if !seen["policy"] && !seen["route"] {
		d.policy, d.route = policy, route
		if policy == "" && route == "" {
			r.fault(n, at, "has neither policy nor route", "write which one to ask")
		}
	}
	if d.at.IsZero() {
		d.at = d.now
	}
	c.Policy, c.Route, c.Answer = d.policy, d.route, d.answer
	c.Input = d.request.input()
	c.Input.Route, c.Input.Now = d.route, d.at
	c.Input.Identity = r.finish(&d.identity, n, at+".identity", d.at)
	return c, len(r.faults) == before
}
