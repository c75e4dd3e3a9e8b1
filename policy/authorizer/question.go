package authorizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/sallyport/sallyport/policy"
)

// question is the body of a request: the vocabulary of policies but for the time,
// since the service has a clock of its own. Members stand in the order of their
// names, so that the same question is the same bytes.
type question struct {
	Input input `json:"input"`
}

type input struct {
	Client   client   `json:"client"`
	Identity identity `json:"identity"`
	Policy   string   `json:"policy"`
	Request  request  `json:"request"`
	Route    route    `json:"route"`
	Version  int      `json:"version"`
}

type client struct {
	Address string `json:"address"`
}

type identity struct {
	ACR               string         `json:"acr"`
	AMR               []string       `json:"amr"`
	AuthTime          string         `json:"auth_time,omitempty"` // RFC 3339
	Claims            map[string]any `json:"claims"`
	Credential        string         `json:"credential"`
	Email             string         `json:"email"`
	Groups            []string       `json:"groups"`
	Issuer            string         `json:"issuer"`
	Name              string         `json:"name"`
	PreferredUsername string         `json:"preferred_username"`
	Provider          string         `json:"provider"`
	Scopes            []string       `json:"scopes"`
	Subject           string         `json:"subject"`
}

type request struct {
	Headers map[string]string   `json:"headers"`
	Host    string              `json:"host"`
	Method  string              `json:"method"`
	Path    string              `json:"path"`
	Query   map[string][]string `json:"query"`
}

type route struct {
	Name string `json:"name"`
}

var errText = errors.New("text is not valid UTF-8, which JSON would change")

// question puts in as it is sent. It refuses a query that programs read in different
// ways, and text that would arrive as another.
func (c *Client) question(in *policy.Input) ([]byte, error) {
	query, err := policy.QueryValues(in.Request.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("the query: %w", err)
	}
	id := &in.Identity
	q := question{input{
		Client: client{in.Client.String()},
		Identity: identity{
			Issuer: id.Issuer, Subject: id.Subject, Email: id.VerifiedEmail(), Name: id.Name, PreferredUsername: id.PreferredUsername,
			Groups: list(id.Groups), Scopes: list(id.Scopes()), ACR: id.ACR, AMR: list(id.AMR),
			Provider: id.Provider, Credential: id.Credential, Claims: map[string]any{},
		},
		Policy: c.o.Policy,
		Request: request{
			Method: in.Request.Method, Host: in.Request.Host, Path: in.Request.Path,
			Query: query, Headers: c.headersOf(&in.Request),
		},
		Route:   route{in.Route},
		Version: policy.Version,
	}}
	if id.Claims != nil {
		if all := id.Claims.All(); all != nil {
			q.Input.Identity.Claims = all
		}
	}
	if !id.AuthTime.IsZero() {
		q.Input.Identity.AuthTime = id.AuthTime.UTC().Format(time.RFC3339)
	}
	if !q.Input.sound() {
		return nil, errText
	}
	body := bytes.NewBuffer(make([]byte, 0, 1<<10)) // most fit
	encoder := json.NewEncoder(body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(q); err != nil {
		return nil, fmt.Errorf("the identity: %w", err)
	}
	return bytes.TrimSuffix(body.Bytes(), []byte("\n")), nil
}

// list keeps an empty list from being null.
func list(l []string) []string {
	if l == nil {
		return []string{}
	}
	return l
}

// headersOf picks the fields that are sent.
func (c *Client) headersOf(r *policy.Request) map[string]string {
	picked := map[string]string{}
	if len(c.headers) == 0 {
		return picked
	}
	all := r.Headers()
	for _, name := range c.headers {
		if value, ok := all[name]; ok {
			picked[name] = value
		}
	}
	return picked
}

// sound reports whether all text is valid UTF-8. Encoding would replace what is not,
// and two requests could look like one.
func (i *input) sound() bool {
	id, r := &i.Identity, &i.Request
	for _, s := range []string{
		r.Method, r.Host, r.Path, i.Route.Name, i.Policy, i.Client.Address, id.Issuer, id.Subject, id.Email, id.Name, id.PreferredUsername,
		id.ACR, id.Provider, id.Credential,
	} {
		if !utf8.ValidString(s) {
			return false
		}
	}
	for _, l := range [][]string{id.Groups, id.Scopes, id.AMR} {
		if !soundList(l) {
			return false
		}
	}
	for name, values := range r.Query {
		if !utf8.ValidString(name) || !soundList(values) {
			return false
		}
	}
	for _, value := range r.Headers {
		if !utf8.ValidString(value) {
			return false
		}
	}
	return soundValue(id.Claims)
}

func soundList(l []string) bool {
	return !slices.ContainsFunc(l, func(s string) bool { return !utf8.ValidString(s) })
}

// soundValue judges a claim, as JSON decodes one.
func soundValue(v any) bool {
	switch v := v.(type) {
	case string:
		return utf8.ValidString(v)
	case []string:
		return soundList(v)
	case []any:
		return !slices.ContainsFunc(v, func(one any) bool { return !soundValue(one) })
	case map[string]any:
		for name, one := range v {
			if !utf8.ValidString(name) || !soundValue(one) {
				return false
			}
		}
	}
	return true
}
