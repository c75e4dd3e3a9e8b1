package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
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
		if len(p.Rules) == 0 && p.Authorizer == nil {
			k.missing(at+".rules", "is missing or empty, so that nobody could ever come in", "write rules: [{allow: {groups: [staff]}}]")
		}
		k.mode(at+".mode", p.Mode)
		k.message(at+".message", p.Message)
		if p.Authorizer != nil {
			k.authorizer(at+".authorizer", p.Authorizer)
		}
		for j, r := range p.Rules {
			k.rule(item(at+".rules", j), r)
		}
	}
}

// maxMessage keeps what a policy says to people to a few lines of the page.
const maxMessage = 500

func (k *checker) message(at, text string) {
	if len(text) > maxMessage {
		k.fault(at, fmt.Sprintf("is longer than %d bytes", maxMessage), "write a sentence or two, and a link to the rest")
	}
}

func (k *checker) mode(at, mode string) {
	if mode != "" {
		k.oneOf(at, mode, ModeEnforce, ModeShadow)
	}
}

func (k *checker) rule(at string, r Rule) {
	k.mode(at+".mode", r.Mode)
	k.message(at+".message", r.Message)
	for _, key := range []string{".when", ".unless"} {
		if text := map[string]string{".when": r.When, ".unless": r.Unless}[key]; k.given(at+key) && strings.TrimSpace(text) == "" {
			k.fault(at+key, "is empty", `write an expression such as request.method == "GET", or remove it`)
		}
	}
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

// match refuses whatever is empty: an empty list never means everyone. What the
// values mean is the policy package's to judge.
func (k *checker) match(at string, m Match) {
	lists := []struct {
		key    string
		values []string
	}{
		{"groups", m.Groups},
		{"emails", m.Emails},
		{"email_domains", m.EmailDomains},
		{"subjects", m.Subjects},
		{"issuers", m.Issuers},
		{"scopes", m.Scopes},
		{"acr", m.ACR},
		{"amr", m.AMR},
		{"methods", m.Methods},
		{"paths", m.Paths},
		{"cidr", m.CIDR},
		{"hours", m.Hours},
	}
	empty := len(m.Claims) == 0 && !k.given(at+".claims") && m.MaxAge == 0 && len(m.ValueFiles()) == 0
	for _, l := range lists {
		empty = empty && len(l.values) == 0 && !k.given(at+"."+l.key)
	}
	for _, e := range []struct{ key, text string }{{"when", m.When}, {"unless", m.Unless}} {
		empty = empty && !k.given(at+"."+e.key) && e.text == ""
		if k.given(at+"."+e.key) && strings.TrimSpace(e.text) == "" {
			k.fault(at+"."+e.key, "is empty", `write an expression such as request.method == "GET", or remove it`)
		}
	}
	if empty {
		k.missing(at, "is empty, and an empty match never means everyone", "name at least one of groups, emails, email_domains, subjects, scopes, claims, when and the others (docs/policies.md); for every proven user use the policy authenticated")
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
	if m.MaxAge < 0 || k.given(at+".max_age") && m.MaxAge == 0 {
		k.fault(at+".max_age", fmt.Sprintf("%s is no age", m.MaxAge), "write how old a sign-in may be, such as 1h")
	}
	for _, field := range slices.Sorted(maps.Keys(m.ValueFiles())) {
		k.file(at+"."+field+"_file", m.ValueFiles()[field])
	}
}

const maxAuthorizerTime = 10 * time.Second

func (k *checker) authorizer(at string, a *Authorizer) {
	if a.URL == "" {
		k.missing(at+".url", "is missing", "write the URL that decides, such as http://127.0.0.1:8181/v1/data/sallyport/allow")
	} else {
		k.outgoingURL(at+".url", a.URL, urlShape{path: true, query: true}, a.InsecureHTTP)
	}
	if a.Timeout < 0 || a.Timeout > maxAuthorizerTime {
		k.fault(at+".timeout", fmt.Sprintf("%s is not up to %s", a.Timeout, maxAuthorizerTime), "write how long the authorizer may take, such as 250ms")
	}
	if a.Cache < 0 || a.Cache > time.Minute {
		k.fault(at+".cache", fmt.Sprintf("%s is not between 0s and 1m", a.Cache), "write how long an answer counts, such as 5s, or 0s to ask each time")
	}
	k.secret(at, "token", a.Token, a.TokenFile)
	k.file(at+".ca_file", a.CAFile)
	k.sentHeaders(at+".headers", a.Headers)
}

// sentHeaders keeps credentials to the gateway, also under names that some programs
// take for those of credentials.
func (k *checker) sentHeaders(at string, names []string) {
	seen := map[string]bool{}
	for i, name := range names {
		in, lower := item(at, i), strings.ToLower(name)
		switch folded := foldHeader(name); {
		case !isToken(name) || folded == "":
			k.fault(in, fmt.Sprintf("%q is not a header name", shorten(name)), "write one such as X-Tenant")
		case folded == "cookie" || folded == "authorization" || folded == "proxyauthorization" || folded == "xapikey":
			k.fault(in, name+" carries a credential, which is never sent", "remove it; what is known of the user is under identity")
		case folded == "host":
			k.fault(in, "the host is sent anyway", "remove it; it is request.host")
		case seen[lower]:
			k.fault(in, name+" is there twice", "remove one of them")
		}
		seen[lower] = true
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
