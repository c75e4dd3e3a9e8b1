package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	celast "cel.dev/cel-go/common/ast"
)

// fact is one thing that has to be true for a rule to fit: a condition of its match,
// or a part of an expression. A rule fits when all of its facts are true, so that
// what follows of them follows of the rule.
type fact struct {
	kind  factKind
	not   bool   // it has to be false
	about string // what it looks at, by the name that expressions have for it

	values []string // factIs, factHas
	open   bool     // a file may hold more values
	prefix string   // factBegins
	nets   []netip.Prefix
	paths  []Path
	hours  []hours
	age    time.Duration
	expr   celast.Expr // factOther

	at    string // where it is written
	wants string // as people would say it
}

type factKind uint8

const (
	factIs     factKind = iota // a text is one of values
	factHas                    // a list has one of values
	factBegins                 // a text begins with prefix
	factNets
	factPaths
	factHours
	factRecent
	factOther // an expression that is taken as it is
	factConst // not says which: true for never, false for always
)

// What facts look at that expressions have another name for, or none. A fact that is
// compared in another way has another name, so that one never stands for the other.
const (
	aboutMethod     = "request.method"
	aboutHost       = "request.host"
	aboutPath       = "request.path"
	aboutSubject    = "identity.subject"
	aboutGroups     = "identity.groups"
	aboutEmail      = "identity.email"
	aboutIssuer     = "identity.issuer"
	aboutACR        = "identity.acr"
	aboutAMR        = "identity.amr"
	aboutProvider   = "identity.provider"
	aboutCredential = "identity.credential"
	aboutRoute      = "route.name"

	aboutDomain     = "the domain of the e-mail address"
	aboutScopes     = "scopes"
	aboutExactEmail = "the claim email"
	aboutVerified   = "the claim email_verified"
	aboutClaim      = "the claim "
)

// matchFacts are the facts of a match without its expressions.
func matchFacts(e *Engine, at string, m *Match) []fact {
	var out []fact
	for _, l := range []struct {
		kind  factKind
		about string
		field string
		list  []string
	}{
		{factIs, aboutMethod, "methods", m.Methods},
		{factIs, aboutSubject, "subjects", m.Subjects},
		{factHas, aboutGroups, "groups", m.Groups},
		{factIs, aboutIssuer, "issuers", m.Issuers},
		{factIs, aboutACR, "acr", m.ACR},
		{factIs, aboutEmail, "emails", foldedList(m.Emails)},
		{factIs, aboutDomain, "email_domains", foldedList(m.EmailDomains)},
		{factHas, aboutScopes, "scopes", m.Scopes},
	} {
		from := m.From[l.field]
		if l.list == nil && from == nil {
			continue
		}
		out = append(out, fact{kind: l.kind, about: l.about, values: l.list, open: from != nil, at: at + "." + l.field, wants: l.field})
	}
	out = append(out, amrFacts(at, m.AMR)...)
	if m.MaxAge != 0 {
		out = append(out, fact{kind: factRecent, about: "identity.auth_time", age: m.MaxAge, at: at + ".max_age", wants: "max_age"})
	}
	for i, c := range m.Claims {
		one := claimFact(c)
		one.at, one.wants = fmt.Sprintf("%s.claims[%d]", at, i), "claims"
		out = append(out, one)
	}
	return append(out, placeFacts(e, at, m)...)
}

// amrFacts takes the list apart: a sign-in has to have used each of the methods.
func amrFacts(at string, amr []string) []fact {
	var out []fact
	for _, method := range amr {
		out = append(out, fact{kind: factHas, about: aboutAMR, values: []string{method}, at: at + ".amr", wants: "amr"})
	}
	return out
}

// claimFact knows, as claimFits does, the names that mean a field of the identity.
func claimFact(c Claim) fact {
	switch c.Name {
	case "iss":
		return fact{kind: factIs, about: aboutIssuer, values: c.Values}
	case "sub":
		return fact{kind: factIs, about: aboutSubject, values: c.Values}
	case "email":
		return fact{kind: factIs, about: aboutExactEmail, values: c.Values}
	case "email_verified":
		return fact{kind: factIs, about: aboutVerified, values: c.Values}
	case "groups":
		return fact{kind: factHas, about: aboutGroups, values: c.Values}
	}
	return fact{kind: factHas, about: aboutClaim + c.Name, values: c.Values}
}

func placeFacts(e *Engine, at string, m *Match) []fact {
	var out []fact
	if m.Paths != nil {
		one := fact{kind: factPaths, about: aboutPath, at: at + ".paths", wants: "paths"}
		for _, s := range m.Paths {
			p, _ := e.paths(s) // Compile has taken it
			one.paths = append(one.paths, p)
		}
		out = append(out, one)
	}
	if m.CIDR != nil || m.From["cidr"] != nil {
		one := fact{kind: factNets, about: "client.address", open: m.From["cidr"] != nil, at: at + ".cidr", wants: "cidr"}
		for _, s := range m.CIDR {
			network, _ := parseNetwork(s)
			one.nets = append(one.nets, network)
		}
		out = append(out, one)
	}
	if m.Hours != nil {
		one := fact{kind: factHours, about: "now", at: at + ".hours", wants: "hours"}
		for _, s := range m.Hours {
			h, _ := parseHours(s)
			one.hours = append(one.hours, h)
		}
		out = append(out, one)
	}
	return out
}

// requireFacts are what is true of a sign-in that meets a requirement.
func requireFacts(at string, r StepUp) []fact {
	var out []fact
	if len(r.ACR) > 0 {
		out = append(out, fact{kind: factIs, about: aboutACR, values: r.ACR, at: at + ".acr", wants: "acr"})
	}
	out = append(out, amrFacts(at, r.AMR)...)
	if r.MaxAge > 0 {
		out = append(out, fact{kind: factRecent, about: "identity.auth_time", age: r.MaxAge, at: at + ".max_age", wants: "max_age"})
	}
	return out
}

// useFacts are what is true of every request to a route.
func (u *Use) facts() []fact {
	var out []fact
	for _, l := range []struct {
		about string
		list  []string
	}{
		{aboutRoute, []string{u.Route}},
		{aboutMethod, u.Methods},
		{aboutHost, u.Hosts},
		{aboutCredential, u.Credentials},
		{aboutIssuer, u.Issuers},
		{aboutProvider, u.Providers},
	} {
		if len(l.list) > 0 {
			out = append(out, fact{kind: factIs, about: l.about, values: l.list})
		}
	}
	return out
}

// texts are the values that a text can have where all facts are true. known is
// false where it can have any but those of never.
func texts(facts []fact, about string) (can []string, known bool, never []string) {
	for i := range facts {
		f := &facts[i]
		if f.kind != factIs || f.about != about || f.open {
			continue
		}
		switch {
		case f.not:
			never = append(never, f.values...)
		case !known:
			can, known = slices.Clone(f.values), true
		default:
			can = slices.DeleteFunc(can, func(s string) bool { return !slices.Contains(f.values, s) })
		}
	}
	for i := range facts {
		f := &facts[i]
		if f.kind == factBegins && f.about == about {
			can = slices.DeleteFunc(can, func(s string) bool { return strings.HasPrefix(s, f.prefix) == f.not })
		}
		if f.kind == factPaths && about == aboutPath {
			can = slices.DeleteFunc(can, func(s string) bool { return !f.fitsPath(s) })
		}
	}
	return slices.DeleteFunc(can, func(s string) bool { return slices.Contains(never, s) }), known, never
}

func (f *fact) fitsPath(path string) bool {
	return slices.ContainsFunc(f.paths, func(p Path) bool { return p.Fits(path) })
}

// verified tells whether the facts are true of verified addresses alone.
func verified(facts []fact) bool {
	return slices.ContainsFunc(facts, func(f fact) bool {
		return f.kind == factIs && !f.not &&
			(f.about == aboutDomain || f.about == aboutExactEmail || f.about == aboutEmail && !slices.Contains(f.values, ""))
	})
}

// domainOf is what hasDomain compares.
func domainOf(address string) string {
	local, domain, _ := strings.Cut(address, "@")
	if local == "" || strings.Contains(domain, "@") {
		return ""
	}
	return domain
}
