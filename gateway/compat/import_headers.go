package compat

import (
	"net/netip"
	"slices"
	"strings"
)

// source takes the level away that some releases have between a value and its claim.
func source(v alphaValue) alphaValue {
	if v.ClaimSource != nil {
		return *v.ClaimSource
	}
	return v
}

func (m *importer) alphaHeaders() []alphaHeader {
	if m.in.alpha == nil {
		return nil
	}
	return slices.Concat(m.in.alpha.InjectRequestHeaders, m.in.alpha.InjectResponseHeaders)
}

// claimOf is what we call a claim of a session.
func claimOf(theirs string) string {
	if theirs == "user" {
		return "sub"
	}
	return theirs
}

// always are the headers that every application gets, or every proxy that asks.
func always() map[string]string {
	all := map[string]string{}
	for name, claim := range map[string]string{"User": "sub", "Email": "email", "Groups": "groups", "Preferred-Username": "preferred_username"} {
		all["x-forwarded-"+strings.ToLower(name)] = claim
		all["x-auth-request-"+strings.ToLower(name)] = claim
	}
	return all
}

// headers are those that applications get besides the usual ones. It returns nil
// where there are none, and otherwise what makes them anew for each route.
func (m *importer) headers(severalIssuers bool) func() []*section {
	type header struct{ name, claim, or string }
	var list []header
	if m.in.flag("prefer_email_to_user", false) {
		list = append(list, header{"X-Forwarded-User", "email", "sub"})
	}
	for _, h := range m.alphaHeaders() {
		claim, ok := m.alphaClaim(h)
		if !ok || always()[strings.ToLower(h.Name)] == claim {
			continue
		}
		if slices.ContainsFunc(list, func(x header) bool { return strings.EqualFold(x.name, h.Name) }) {
			continue
		}
		list = append(list, header{h.Name, claim, ""})
	}
	if severalIssuers {
		list = append(list, header{"X-Forwarded-Issuer", "iss", ""})
		m.todo("extra_jwt_issuers", "two issuers can name the same subject", "let the application read X-Forwarded-Issuer beside X-Forwarded-User")
	}
	if len(list) == 0 {
		return nil
	}
	return func() []*section {
		var all []*section
		for _, h := range list {
			s := newSection().flow()
			s.set("name", h.name)
			s.set("claim", h.claim)
			if h.or != "" {
				s.set("or", []string{h.or})
			}
			all = append(all, s)
		}
		return all
	}
}

// alphaClaim returns the claim that a header of the alpha configuration carries. Those
// with tokens are not among them.
func (m *importer) alphaClaim(h alphaHeader) (claim string, ok bool) {
	at := "injectRequestHeaders " + oneLine(h.Name)
	if h.PreserveRequestValue {
		m.lost(at, "what clients send by the name of an identity header never passes", "let the application read it by another name")
	}
	if len(h.Values) != 1 {
		m.lost(at, "a header has one value", "write a header for each into headers of the route")
		return "", false
	}
	v := source(h.Values[0])
	token := v.Claim == "access_token" || v.Claim == "id_token"
	switch {
	case v.BasicAuthPassword != nil:
		m.lost(at, fates()["basic_auth_password"].why, fates()["basic_auth_password"].fix)
	case v.Claim == "":
		m.lost(at, "a fixed value is not sent", "use upstream_credential on the route for a secret of the application's")
	case v.Prefix != "" && !token:
		m.lost(at, "a value has no prefix", "let the application read the claim alone, or write a header with another name")
	case !token:
		return claimOf(v.Claim), true
	}
	return "", false
}

// hosts are those whose routes these are, where other proxies ask about several
// applications. nil stands for the host of public_url alone.
func (m *importer) hosts() []string {
	allowed := m.in.list("whitelist_domains")
	if !m.checks {
		if slices.ContainsFunc(allowed, func(domain string) bool { return !strings.EqualFold(domain, m.host) }) {
			m.lost("whitelist_domains", "a sign-in leads to hosts that are served here, and a sign-out to those and login.logout_targets", "write routes with hosts for those that are behind this gateway, and whole URLs into login.logout_targets")
		}
		return nil
	}
	hosts := []string{m.host}
	add := func(host string) {
		if !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	for _, domain := range allowed {
		host, port, _ := strings.Cut(strings.ToLower(strings.TrimSpace(domain)), ":")
		bare, below := strings.CutPrefix(strings.TrimPrefix(host, "*"), ".")
		switch {
		case port != "":
			m.lost("whitelist_domains", "a host is served at the port of public_url: "+oneLine(domain), "give it a gateway, or a public_url, of its own")
			continue
		case isAddress(bare) && below:
			continue
		case below:
			add(bare)
			add("*." + bare)
		default:
			add(host)
		}
	}
	if len(allowed) == 0 {
		if m.domain != "" {
			add("*." + m.domain)
		}
	}
	if len(hosts) > 1 && m.domain == "" {
		m.todo("cookie_domains", "without a domain for the cookie, people sign in at each host", "register the redirect URI of each host at the provider, or write session.cookie.domain")
	}
	if len(allowed) > 0 {
		m.todo("whitelist_domains", "these hosts are served, and * stands for one label", "look through hosts of the routes; URLs that only a sign-out leads to belong into login.logout_targets")
	} else if len(hosts) == 1 {
		m.todo("whitelist_domains", "oauth2-proxy answered about any host", "write those of your applications into hosts of the routes: others are refused with unknown_host")
	}
	return hosts
}

func isAddress(s string) bool { _, err := netip.ParseAddr(s); return err == nil }
