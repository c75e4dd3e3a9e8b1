package config

import (
	"fmt"
	"strings"
)

func (k *checker) policies() {
	names := map[string]int{}
	for i, p := range k.Policies {
		at := item("policies", i)
		switch first, twice := names[p.Name]; {
		case strings.TrimSpace(p.Name) == "":
			k.missing(at+".name", "is missing", "give the policy a name that routes can refer to")
		case p.Name == PolicyAuthenticated:
			k.fault(at+".name", "authenticated is built in: any proven user", "choose another name")
		case !isPlainText(p.Name) || p.Name != strings.TrimSpace(p.Name):
			k.fault(at+".name", fmt.Sprintf("%q is not a name", shorten(p.Name)), "write one line without spaces around it")
		case twice:
			k.fault(at+".name", fmt.Sprintf("%q is the name of policies[%d] already", shorten(p.Name), first), "give each policy a name of its own")
		default:
			names[p.Name] = i
		}
		if len(p.Rules) == 0 {
			k.missing(at+".rules", "is missing or empty, so that nobody could ever come in", "write rules: [{allow: {groups: [staff]}}]")
		}
		for j, r := range p.Rules {
			k.rule(item(at+".rules", j), r)
		}
	}
}

func (k *checker) rule(at string, r Rule) {
	switch {
	case r.Allow != nil && r.Deny != nil:
		k.fault(at, "has both allow and deny", "make two rules of it")
	case r.Allow != nil:
		k.match(at+".allow", *r.Allow)
	case r.Deny != nil:
		k.match(at+".deny", *r.Deny)
	default:
		k.missing(at, "has neither allow nor deny", "write allow: {groups: [staff]}")
	}
}

// match refuses whatever is empty: an empty list never means everyone.
func (k *checker) match(at string, m Match) {
	lists := []struct {
		key    string
		values []string
	}{
		{"groups", m.Groups},
		{"emails", m.Emails},
		{"email_domains", m.EmailDomains},
		{"subjects", m.Subjects},
		{"scopes", m.Scopes},
	}
	empty := len(m.Claims) == 0 && !k.given(at+".claims")
	for _, l := range lists {
		empty = empty && len(l.values) == 0 && !k.given(at+"."+l.key)
	}
	if empty {
		k.missing(at, "is empty, and an empty match never means everyone", "name at least one of groups, emails, email_domains, subjects, scopes and claims; for every proven user use the policy authenticated")
		return
	}
	for _, l := range lists {
		if k.given(at + "." + l.key) {
			k.values(at+"."+l.key, l.values)
		}
	}
	if k.given(at+".claims") && len(m.Claims) == 0 {
		k.missing(at+".claims", "is empty, and an empty list never means everyone", "name whom it matches, or remove it")
	}
	for i, c := range m.Claims {
		path := item(at+".claims", i)
		if strings.TrimSpace(c.Name) == "" {
			k.missing(path+".name", "is missing", "write the name of a claim, such as department")
		}
		k.values(path+".values", c.Values)
	}
}

func (k *checker) values(at string, values []string) {
	if len(values) == 0 {
		problem := "is empty, and an empty list never means everyone"
		if !k.given(at) {
			problem = "is missing"
		}
		k.missing(at, problem, "name whom it matches, or remove it")
	}
	for i, v := range values {
		if strings.TrimSpace(v) == "" {
			k.fault(item(at, i), "is empty", "write a value, or remove the entry")
		}
	}
}
