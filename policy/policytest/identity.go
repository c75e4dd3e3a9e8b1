package policytest

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sallyport/sallyport/policy"
)

// ParseIdentity reads an identity as test files have it, in YAML or JSON. An
// auth_time that is a duration lies so long before at.
//
// The error is Faults, without a file name.
func ParseIdentity(text []byte, at time.Time) (policy.Identity, error) {
	var r reader
	var d identityDraft
	var id policy.Identity
	if root := r.document(text); root != nil {
		r.identity(&d, root, "")
		id = r.finish(&d, root, "", at)
	}
	if err := r.err(); err != nil {
		return policy.Identity{}, err
	}
	return id, nil
}

// identityDraft is an identity that is being read.
type identityDraft struct {
	id       policy.Identity
	named    bool // a subject is written, or was meant to be
	verified *bool
	ago      *time.Duration // auth_time, before the decision
}

func (r *reader) identity(d *identityDraft, n *yaml.Node, at string) {
	if seen := r.section(n, at, r.identityKeys(d)); seen == nil || seen["subject"] {
		d.named = true
	}
}

func (r *reader) identityKeys(d *identityDraft) []key {
	return []key{
		{"issuer", r.word(&d.id.Issuer)},
		{"subject", func(n *yaml.Node, at string) {
			if s, ok := r.text(n, at); ok {
				d.id.Subject = s
			}
		}},
		{"email", r.word(&d.id.Email)},
		{"email_verified", func(n *yaml.Node, at string) {
			if v, ok := r.boolean(n, at); ok {
				d.verified = &v
			}
		}},
		{"name", r.word(&d.id.Name)},
		{"preferred_username", r.word(&d.id.PreferredUsername)},
		{"groups", r.words(&d.id.Groups)},
		{"acr", r.word(&d.id.ACR)},
		{"amr", r.words(&d.id.AMR)},
		{"auth_time", func(n *yaml.Node, at string) { r.authTime(d, n, at) }},
		{"provider", r.word(&d.id.Provider)},
		{"credential", func(n *yaml.Node, at string) {
			if s, ok := r.oneOf(n, at, credentialKinds()...); ok {
				d.id.Credential = s
			}
		}},
		{"claims", func(n *yaml.Node, at string) {
			if all, ok := r.claims(n, at); ok {
				d.id.Claims = all
			}
		}},
	}
}

// credentialKinds are those that the vocabulary of policies knows.
func credentialKinds() []string {
	return []string{"session", "bearer", "introspection", "api_key", "basic", "client_cert"}
}

func (r *reader) words(to *[]string) func(n *yaml.Node, at string) {
	return func(n *yaml.Node, at string) {
		if list, ok := r.texts(n, at); ok {
			*to = list
		}
	}
}

func (r *reader) authTime(d *identityDraft, n *yaml.Node, at string) {
	if n.Kind == yaml.ScalarNode {
		if t, err := time.Parse(time.RFC3339, n.Value); err == nil {
			d.id.AuthTime, d.ago = t, nil
			return
		}
		if ago, err := time.ParseDuration(n.Value); err == nil && ago >= 0 {
			d.id.AuthTime, d.ago = time.Time{}, &ago
			return
		}
	}
	if n.Kind != yaml.AliasNode {
		r.fault(n, at, "is neither a time nor how long before the decision it was", "write 2026-03-02T10:00:00Z, or 5m")
	}
}

// finish returns the identity for a decision at now. The subject has to be written
// beside anything else: without one every policy denies, and a case that wants just
// that would pass for the wrong reason.
func (r *reader) finish(d *identityDraft, n *yaml.Node, at string, now time.Time) policy.Identity {
	if !d.named {
		r.fault(n, join(at, "subject"), "is missing", `write who asks, such as alice; "" for nobody, whom every policy denies`)
	}
	id := d.id
	if id.Credential == "" {
		id.Credential = credentialKinds()[0]
	}
	id.EmailVerified = id.Email != ""
	if d.verified != nil {
		id.EmailVerified = *d.verified
	}
	if d.ago != nil {
		id.AuthTime = now.Add(-*d.ago)
	}
	return id
}

// claims are those of an identity, as JSON decodes them.
type claims map[string]any

var _ policy.Claims = claims(nil)

// Claim implements policy.Claims.
func (c claims) Claim(name string) any { return c[name] }

// All implements policy.Claims.
func (c claims) All() map[string]any { return maps.Clone(map[string]any(c)) }

func (r *reader) claims(n *yaml.Node, at string) (claims, bool) {
	if n.Kind == yaml.AliasNode {
		return nil, false
	}
	if n.Kind != yaml.MappingNode {
		r.fault(n, at, "must be a section of claims, not "+describe(n), "write {department: finance}")
		return nil, false
	}
	before := len(r.faults)
	all, _ := r.value(n, at).(map[string]any)
	return all, len(r.faults) == before
}

// value reads what JSON can express, and as the gateway decodes it.
func (r *reader) value(n *yaml.Node, at string) any {
	switch n.Kind {
	case yaml.MappingNode:
		object, seen := map[string]any{}, map[string]bool{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if name, ok := r.keyName(n.Content[i], at, seen); ok {
				object[name] = r.value(n.Content[i+1], join(at, name))
			}
		}
		return object
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			list[i] = r.value(item, fmt.Sprintf("%s[%d]", at, i))
		}
		return list
	case yaml.ScalarNode:
		return r.scalar(n, at)
	case yaml.AliasNode, yaml.DocumentNode:
	}
	return nil // an alias is reported already
}

func (r *reader) scalar(n *yaml.Node, at string) any {
	switch n.ShortTag() {
	case "!!str":
		return n.Value
	case "!!null":
		return nil
	case "!!bool":
		v, _ := r.boolean(n, at)
		return v
	case "!!int", "!!float":
		// The spellings that JSON has too: 0x1F, .5 and 1_000 have none.
		if v, ok := number(n.Value); ok {
			return v
		}
		r.fault(n, at, excerpt(n.Value)+" is no number in JSON", "write it in decimal digits, or in quotes")
	default:
		r.fault(n, at, "must be what JSON can express, not "+describe(n), "put it in quotes: "+excerpt(n.Value))
	}
	return nil
}

// maxExact is where float64 stops to hold every whole number.
const maxExact = 1 << 53

// number is a float64 where that is exact, and else the digits.
func number(s string) (any, bool) {
	if !json.Valid([]byte(s)) {
		return nil, false
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.Abs(f) >= maxExact {
		return json.Number(s), true
	}
	return f, true
}
