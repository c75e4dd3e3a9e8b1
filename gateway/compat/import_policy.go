package compat

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/gateway/config"
)

// policyName is what the outcome calls its policy.
const policyName = "members"

// alternative is one way to fit a rule: some fields of a match.
type alternative struct {
	name string
	set  func(match *section)
}

// policies carries over who may come in: an address that fits, and a membership that
// does, where any is asked for.
func (m *importer) policies() {
	addresses, memberships := m.addresses(), m.memberships()
	if len(addresses) == 1 && addresses[0].set == nil && len(memberships) == 1 && memberships[0].set == nil {
		return // anybody whom the provider knows: the policy that is built in
	}
	var rules []*section
	for _, a := range addresses {
		for _, b := range memberships {
			match := newSection().flow()
			for _, one := range []alternative{a, b} {
				if one.set != nil {
					one.set(match)
				}
			}
			rule := newSection()
			rule.set("name", strings.Trim(a.name+", "+b.name, ", "))
			rule.set("allow", match)
			rules = append(rules, rule)
		}
	}
	p := newSection()
	p.set("name", policyName)
	p.set("rules", rules)
	m.out.set("policies", []*section{p})
}

// policy is the name of the policy of protected routes.
func (m *importer) policy() string {
	for i := 0; i+1 < len(m.out.node.Content); i += 2 {
		if m.out.node.Content[i].Value == "policies" {
			return policyName
		}
	}
	return "authenticated"
}

// addresses are email_domains and authenticated_emails_file; either is enough. The
// one without a condition stands for any address.
func (m *importer) addresses() []alternative {
	var whole []string
	var all []alternative
	domains := m.in.list("email_domains")
	file := m.in.text("authenticated_emails_file")
	if slices.Contains(domains, "*") {
		if file != "" {
			m.moot("authenticated_emails_file", "email_domains has *, which covers every address")
		}
		return []alternative{{}}
	}
	for _, d := range domains {
		d = strings.ToLower(strings.TrimPrefix(strings.TrimSpace(d), "*"))
		below, dotted := strings.CutPrefix(d, ".")
		if !dotted {
			whole = append(whole, strings.TrimPrefix(d, "@"))
			continue
		}
		expr := "identity.email.matches(" + strconv.Quote(`^[^@]+@[^@]+\.`+regexp.QuoteMeta(below)+`$`) + ")"
		all = append(all, alternative{"below " + below, func(match *section) { match.set("when", expr) }})
	}
	if len(whole) > 0 {
		all = append(all, alternative{"domains", func(match *section) { match.set("email_domains", whole) }})
	}
	if file != "" {
		all = append(all, alternative{"addresses", func(match *section) { match.set("emails_file", file) }})
		m.todo("authenticated_emails_file", "the file is read as it is, again when it changes", "see that it has one address a line")
	}
	if m.provider.kind == config.ProviderMicrosoft && !m.in.flag("insecure_oidc_allow_unverified_email", false) {
		m.lost("email_domains", "Entra ID verifies no addresses, so that none fits a rule", "write trust_email: true on the provider, if you alone run the tenant")
	}
	if len(all) == 0 {
		m.lost("email_domains", "neither that nor authenticated_emails_file is there, so that nobody is let in", "write the domains into the policy, or policy: authenticated on the route for anybody whom the provider knows")
		return []alternative{{"nobody yet", func(match *section) { match.set("email_domains", []string{"example.invalid"}) }}}
	}
	return all
}

// memberships are the groups and roles, one of which is enough.
func (m *importer) memberships() []alternative {
	p := m.provider
	if len(p.closed) > 0 {
		return []alternative{{"not carried over", func(match *section) { match.set("groups", p.closed) }}}
	}
	groups := slices.Concat(m.in.list("allowed_groups"), m.in.list("keycloak_groups"), m.in.list("gitlab_groups"), p.instead)
	var all []alternative
	if len(groups) > 0 {
		all = append(all, alternative{"groups", func(match *section) { match.set("groups", groups) }})
	}
	var realm []string
	for _, role := range m.in.list("allowed_roles") {
		client, name, ok := strings.Cut(role, ":")
		if !ok {
			realm = append(realm, role)
			continue
		}
		all = append(all, alternative{"role of " + client, func(match *section) { match.set("claims", claim("resource_access."+client+".roles", name)) }})
	}
	if len(realm) > 0 {
		all = append(all, alternative{"roles", func(match *section) { match.set("claims", claim(orText(p.roles, "roles"), realm...)) }})
	}
	if m.in.has("allowed_roles") {
		m.todo("allowed_roles", "roles are read from the ID token or userinfo, and not from the access token", "in Keycloak, switch on `Add to ID token` of the mappers for roles")
	}
	if len(all) == 0 {
		return []alternative{{}}
	}
	return all
}

func claim(name string, values ...string) []*section {
	c := newSection().flow()
	c.set("name", name)
	c.set("values", values)
	return []*section{c}
}

// tokens carries over which bearer tokens are accepted.
func (m *importer) tokens() {
	if !m.in.flag("skip_jwt_bearer_tokens", false) {
		for _, key := range []string{"extra_jwt_issuers", "oidc_extra_audiences"} {
			if m.in.has(key) {
				m.in.used[key] = true
				m.moot(key, "it does nothing without skip_jwt_bearer_tokens")
			}
		}
		return
	}
	issuers := map[string][]string{}
	var order []string
	add := func(issuer string, audiences ...string) {
		if _, known := issuers[issuer]; !known {
			order = append(order, issuer)
		}
		issuers[issuer] = append(issuers[issuer], audiences...)
	}
	if m.provider.issuer != "" {
		add(m.provider.issuer, append([]string{orText(m.in.text("client_id"), "CLIENT-ID")}, m.in.list("oidc_extra_audiences")...)...)
	}
	for _, pair := range m.in.list("extra_jwt_issuers") {
		issuer, audience, ok := strings.Cut(pair, "=")
		if !ok {
			m.lost("extra_jwt_issuers", "holds an entry that is not issuer=audience", "write it into tokens.issuers")
			continue
		}
		add(issuer, audience)
	}
	var list []*section
	for _, issuer := range order {
		s := newSection()
		s.set("issuer", issuer)
		s.set("audiences", slices.Compact(issuers[issuer]))
		if groups := m.in.text("oidc_groups_claim"); groups != "" {
			s.set("groups_claim", groups)
		}
		list = append(list, s)
	}
	if len(list) == 0 {
		m.lost("skip_jwt_bearer_tokens", "no issuer of tokens is known", "write it into tokens.issuers, and auth: [session, bearer] on the route")
		return
	}
	tokens := newSection()
	tokens.set("issuers", list)
	m.out.set("tokens", tokens)
	m.lost("skip_jwt_bearer_tokens", "access tokens are accepted, and ID tokens are not", "have clients send access tokens with one of the audiences")
}

// bearer reports whether routes take tokens, and from how many issuers people come.
func (m *importer) bearer() (takes bool, issuers int) {
	if !m.in.flag("skip_jwt_bearer_tokens", false) {
		return false, 1
	}
	for i := 0; i+1 < len(m.out.node.Content); i += 2 {
		if m.out.node.Content[i].Value == "tokens" {
			takes = true
		}
	}
	issuers = len(m.in.list("extra_jwt_issuers"))
	return takes, issuers + 1
}
