package applogin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sallyport/sallyport/gateway/config"
)

// entry is one user of a file.
type entry struct {
	issuer, subject, email, username string
	password, token                  config.Secret
}

// readUsers reads a file of credentials by user:
//
//	users:
//	  - {subject: alice, username: alice, password: "..."}
//	  - {email: bob@example.com, token: "..."}
//
// It goes through the nodes itself, because the decoder quotes values in errors.
func readUsers(text []byte, severalIssuers bool) (*credentials, error) {
	list, err := usersList(text)
	if err != nil {
		return nil, err
	}
	all := &credentials{bySubject: map[subject]config.Secret{}, byEmail: map[string]config.Secret{}}
	var faults []error
	for _, n := range list {
		e, problems := readEntry(n)
		if len(problems) == 0 {
			problems = all.add(e, severalIssuers)
		}
		for _, problem := range problems {
			faults = append(faults, fmt.Errorf("line %d: %w", n.Line, problem))
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return all, nil
}

// usersList returns the entries of the list that the file is.
func usersList(text []byte) ([]*yaml.Node, error) {
	const form = "write users: and a list of {subject: NAME, username: NAME, password: \"...\"}"
	var doc yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(text))
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("it holds nothing: " + form)
		}
		return nil, errors.New("it is no YAML" + lineOf(err))
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("it holds more than one document: keep one")
	}
	if len(doc.Content) == 0 {
		return nil, errors.New("it holds nothing: " + form)
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode || len(root.Content) != 2 || root.Content[0].Value != "users" || root.Content[1].Kind != yaml.SequenceNode {
		return nil, errors.New("it is not a list of users: " + form)
	}
	list := root.Content[1].Content
	if len(list) == 0 {
		return nil, errors.New("it lists no users: nobody could be signed in")
	}
	return list, nil
}

// lineOf is all that is said of what the parser found: it quotes the text.
func lineOf(err error) string {
	if line := regexp.MustCompile(`line [0-9]+`).FindString(err.Error()); line != "" {
		return " (" + line + ")"
	}
	return ""
}

func readEntry(n *yaml.Node) (e entry, problems []error) {
	if n.Kind != yaml.MappingNode {
		return e, []error{errors.New("the entry is not a user: write {subject: NAME, username: NAME, password: \"...\"}")}
	}
	fields := map[string]*string{
		"issuer": &e.issuer, "subject": &e.subject, "email": &e.email, "username": &e.username,
		"password": (*string)(&e.password), "token": (*string)(&e.token),
	}
	fault := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	var seen []string
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		field, known := fields[key.Value]
		switch {
		case !known || key.Kind != yaml.ScalarNode:
			fault("one of its keys is not known: known are issuer, subject, email, username, password, token")
		case slices.Contains(seen, key.Value):
			fault("%s is given twice: keep one", key.Value)
		case value.Kind != yaml.ScalarNode || value.ShortTag() != "!!str":
			fault("%s is not text: put it in quotes", key.Value)
		case value.Value == "":
			fault("%s is empty: write it, or remove the key", key.Value)
		default:
			*field = value.Value
		}
		seen = append(seen, key.Value)
	}
	return e, problems
}

// add makes the credential of an entry.
func (c *credentials) add(e entry, severalIssuers bool) (problems []error) {
	fault := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	switch {
	case (e.subject == "") == (e.email == ""):
		fault("it needs a subject or an email, and not both")
	case e.issuer != "" && e.subject == "":
		fault("issuer is for a subject, and it has none")
	case e.subject != "" && e.issuer == "" && severalIssuers:
		fault("more than one issuer can name the subject %.60q on this route: add issuer", e.subject)
	}
	value, err := e.authorization()
	if err != nil {
		problems = append(problems, err)
	}
	if len(problems) > 0 {
		return problems
	}
	if e.email != "" {
		e.email = strings.ToLower(e.email)
		if _, twice := c.byEmail[e.email]; twice {
			fault("%.60q has an entry already", e.email)
		}
		c.byEmail[e.email] = value
		return problems
	}
	key := subject{e.issuer, e.subject}
	if _, twice := c.bySubject[key]; twice {
		fault("%.60q has an entry already", e.subject)
	}
	c.bySubject[key] = value
	return problems
}

func (e *entry) authorization() (config.Secret, error) {
	hasBasic := e.username != "" || e.password != ""
	switch {
	case e.token != "" && !hasBasic:
		return bearer(e.token.Reveal())
	case e.token == "" && e.username != "" && e.password != "":
		return basic(e.username, e.password.Reveal())
	}
	return "", errors.New("it needs username and password, or a token, and not both")
}
