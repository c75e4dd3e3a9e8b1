package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// devIdentity is somebody to pick, as --identities and the configuration have it.
type devIdentity struct {
	Subject string   `yaml:"subject"`
	Email   string   `yaml:"email,omitempty"`
	Name    string   `yaml:"name,omitempty"`
	Groups  []string `yaml:"groups,omitempty"`
}

// people are whom the sign-in page offers.
func (o *devFlags) people() ([]devIdentity, error) {
	if o.identities != "" {
		return readIdentities(o.identities)
	}
	if len(o.as) == 0 {
		return []devIdentity{
			{Subject: "alice", Email: "alice@example.com", Name: "Alice", Groups: []string{"staff", "admin"}},
			{Subject: "bob", Email: "bob@example.com", Name: "Bob", Groups: []string{"staff"}},
		}, nil
	}
	var all []devIdentity
	for _, as := range o.as {
		who, err := parseIdentity(as)
		if err != nil {
			return nil, err
		}
		all = append(all, who)
	}
	return unique("--as", all)
}

// parseIdentity reads name:group,group, where the name may be an e-mail address.
func parseIdentity(text string) (devIdentity, error) {
	name, groups, _ := strings.Cut(text, ":")
	who := devIdentity{Subject: name, Email: name + "@example.com"}
	if local, _, isAddress := strings.Cut(name, "@"); isAddress {
		who.Subject, who.Email = local, name
	}
	if who.Subject == "" {
		return devIdentity{}, fmt.Errorf("--as %q: write name:group,group, such as alice:staff,admin or alice@corp.example:staff", text)
	}
	first, size := utf8.DecodeRuneInString(who.Subject)
	who.Name = string(unicode.ToUpper(first)) + who.Subject[size:]
	for group := range strings.SplitSeq(groups, ",") {
		if group = strings.TrimSpace(group); group != "" {
			who.Groups = append(who.Groups, group)
		}
	}
	return who, nil
}

const identitiesExample = "write - {subject: alice, email: alice@example.com, name: Alice, groups: [staff]}"

// readIdentities reads a list of them. A key that is misspelt is an error.
func readIdentities(file string) ([]devIdentity, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--identities: %w", err)
	}
	var all []devIdentity
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&all); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("--identities %s: %w: %s", file, err, identitiesExample)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("--identities %s: holds nobody: %s", file, identitiesExample)
	}
	return unique("--identities "+file, all)
}

func unique(where string, all []devIdentity) ([]devIdentity, error) {
	seen := map[string]bool{}
	for i, who := range all {
		switch {
		case who.Subject == "":
			return nil, fmt.Errorf("%s: the %s identity has no subject: %s", where, ordinal(i+1), identitiesExample)
		case seen[who.Subject]:
			return nil, fmt.Errorf("%s: %s is there twice", where, who.Subject)
		}
		seen[who.Subject] = true
	}
	return all, nil
}

func ordinal(n int) string {
	if n <= 3 {
		return []string{"first", "second", "third"}[n-1]
	}
	return fmt.Sprintf("%dth", n)
}
