package compat

import (
	"net/url"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/gateway/config"
)

// provider is the one way to sign in that oauth2-proxy has.
type provider struct {
	kind   string // of ours
	name   string
	issuer string // of its tokens; empty where it has none
	roles  string // the claim that holds roles
	// Restrictions that can't be carried over, by a name that no group has: closed are
	// those that everybody had to meet, instead those that did in place of a group.
	closed, instead []string
}

// providerOf chooses our type for a provider of oauth2-proxy.
func providerOf(theirs string) *provider {
	switch theirs {
	case "", "google":
		return &provider{kind: config.ProviderGoogle, name: "google", issuer: "https://accounts.google.com"}
	case "github":
		return &provider{kind: config.ProviderGitHub, name: "github"}
	case "gitlab":
		return &provider{kind: config.ProviderGitLab, name: "gitlab", issuer: "https://gitlab.com"}
	case "azure", "entra-id":
		return &provider{kind: config.ProviderMicrosoft, name: "microsoft"}
	case "keycloak-oidc", "keycloak":
		return &provider{kind: config.ProviderOIDC, name: "keycloak", roles: "realm_access.roles"}
	case "oidc", "adfs", "cidaas", "login.gov":
		return &provider{kind: config.ProviderOIDC, name: "oidc", roles: "roles"}
	}
	return &provider{kind: config.ProviderOAuth2, name: "oauth2"}
}

// adoptAlpha takes what the alpha configuration says of the provider. oauth2-proxy
// itself uses the first one alone.
func (m *importer) adoptAlpha() {
	a := m.in.alpha
	if a == nil || len(a.Providers) == 0 {
		return
	}
	p := a.Providers[0].legacy()
	for _, key := range p.order {
		m.in.put(key, p.values[key])
	}
	if len(a.Providers) > 1 {
		m.lost("providers", "oauth2-proxy uses the first provider alone, and so does this command", "add the others to login.providers")
	}
}

// login carries the provider over.
func (m *importer) login() {
	p, s := m.provider, newSection()
	s.set("name", p.name, "a part of the redirect URI")
	s.set("type", p.kind)
	s.setIf("title", oneLine(m.in.text("provider_display_name")))
	m.issuer(s, p, m.in.text("provider"))
	s.set("client_id", orText(m.in.text("client_id"), "CLIENT-ID"))
	if !m.in.has("client_id") {
		m.lost("client_id", "is missing", "write it into login.providers")
	}
	m.clientSecret(s)
	m.scopes(s, p)
	m.claims(s, p)
	m.providerTLS(s)
	m.params(s)
	if orgs := m.organizations(p); len(orgs) > 0 {
		s.set("organizations", orgs, "whose members may sign in")
	}
	m.closings(p)
	login := newSection()
	login.set("providers", []*section{s})
	m.out.set("login", login)
}

func (m *importer) issuer(s *section, p *provider, theirs string) {
	given := strings.TrimSpace(m.in.text("oidc_issuer_url"))
	discovery := !m.in.flag("skip_oidc_discovery", false)
	urls := [][2]string{{"login_url", "authorization_url"}, {"redeem_url", "token_url"}, {"profile_url", "userinfo_url"}}
	switch p.kind {
	case config.ProviderOAuth2, config.ProviderGitHub:
		all := true
		for _, u := range urls {
			all = all && m.in.text(u[0]) != ""
		}
		for _, u := range urls {
			if value := m.in.text(u[0]); all {
				s.set(u[1], value)
			} else if p.kind == config.ProviderOAuth2 {
				s.set(u[1], "https://id.example.com/")
			}
		}
		if p.kind == config.ProviderOAuth2 {
			m.lost("provider", "there is no preset for "+oneLine(theirs), "look at login.providers: its three URLs, and the claims beside them (docs/providers.md)")
		}
		return
	case config.ProviderMicrosoft:
		m.tenant(s, p, given)
		return
	case config.ProviderOIDC:
		if realm, _, ok := strings.Cut(m.in.text("redeem_url"), "/protocol/openid-connect/"); ok && given == "" {
			given = realm // of the former provider of Keycloak, which had no issuer
		}
		if given == "" {
			given = "https://id.example.com"
			m.lost("oidc_issuer_url", "is missing", "write the provider's URL into issuer")
		}
	}
	if given != "" {
		p.issuer = given
		s.set("issuer", given)
		if u, err := url.Parse(given); err == nil && u.Scheme == "http" && !loopback(u.Hostname()) {
			s.set("insecure_http", true, "anybody on the way can answer in its place")
			m.todo("oidc_issuer_url", "is plain http", "serve the provider by https, and remove insecure_http")
		}
	}
	for _, u := range urls {
		if m.in.has(u[0]) {
			m.moot(u[0], "found by discovery")
		}
		m.in.used[u[0]] = true
	}
	if !discovery {
		m.lost("skip_oidc_discovery", "the provider's URLs are found by discovery", "see that issuer serves /.well-known/openid-configuration")
	}
}

// tenant finds the directory of Entra ID in azure_tenant or in the issuer.
func (m *importer) tenant(s *section, p *provider, issuer string) {
	tenant := strings.ToLower(m.in.text("azure_tenant"))
	if u, err := url.Parse(issuer); err == nil && tenant == "" {
		tenant, _, _ = strings.Cut(strings.Trim(u.Path, "/"), "/")
		tenant = strings.ToLower(tenant)
	}
	tenant = orText(tenant, config.TenantAny)
	s.set("tenant", tenant)
	p.issuer = "https://login.microsoftonline.com/" + tenant + "/v2.0"
	for _, u := range []string{"login_url", "redeem_url", "profile_url"} {
		m.in.used[u] = true
	}
}

func (m *importer) clientSecret(s *section) {
	file, value := m.in.text("client_secret_file"), m.in.text("client_secret")
	switch {
	case file != "" && value == "":
		s.set("client_secret_file", file)
	case value != "":
		s.set("client_secret_file", m.secret("client_secret", "client-secret", value))
	default:
		s.set("client_secret_file", m.secret("client_secret", "client-secret", ""))
		if m.in.elsewhere["client_secret"] != "" {
			return
		}
		m.lost("client_secret", "is not in these files", "write it into the file of client_secret_file, or remove that for a public client")
	}
}

func (m *importer) scopes(s *section, p *provider) {
	scopes := strings.Fields(m.in.text("scope"))
	if len(scopes) == 0 {
		return
	}
	switch p.kind {
	case config.ProviderGitHub:
		for _, needed := range []string{"read:user", "user:email", "read:org"} {
			if !slices.Contains(scopes, needed) {
				scopes = append(scopes, needed)
			}
		}
	case config.ProviderOAuth2:
	default:
		if !slices.Contains(scopes, "openid") {
			scopes = append([]string{"openid"}, scopes...)
		}
	}
	s.set("scopes", scopes)
}

func (m *importer) claims(s *section, p *provider) {
	email := m.in.text("oidc_email_claim")
	if id := m.in.text("user_id_claim"); id != "" && id != "email" && email == "" {
		email = id // its former name
	}
	if email != "" && email != "email" {
		s.set("email_claim", email)
		if email == "sub" || email == "preferred_username" || email == "upn" {
			m.lost("oidc_email_claim", "addresses count where the provider has verified them, and "+oneLine(email)+" is not verified", "write trust_email: true, if nobody can choose that claim for himself")
		}
	}
	if groups := m.in.text("oidc_groups_claim"); groups != "" && groups != "groups" {
		s.set("groups_claim", groups)
	}
	if roles := m.in.text("oidc_roles_claim"); roles != "" {
		p.roles = roles
	}
	if m.in.flag("insecure_oidc_allow_unverified_email", false) {
		s.set("trust_email", true, "addresses count though the provider has not verified them")
	}
}

func (m *importer) providerTLS(s *section) {
	files := m.in.list("provider_ca_files")
	if len(files) > 0 {
		s.set("ca_file", files[0])
	}
	if len(files) > 1 {
		m.lost("provider_ca_files", "one file is read", "write all certificates into one file")
	}
}

// params are what the authorization request says besides.
func (m *importer) params(s *section) {
	var params []*section
	add := func(setting, name string) {
		value := m.in.text(setting)
		if value == "" {
			return
		}
		p := newSection().flow()
		p.set("name", name)
		p.set("value", value)
		params = append(params, p)
	}
	add("resource", "resource")
	switch m.in.text("prompt") {
	case "":
	case "login", "select_account":
		m.lost("prompt", "the gateway asks for another sign-in where a route wants one", "write require: {max_age: 1h} on the route (docs/step-up.md)")
	default:
		m.lost("prompt", "the gateway sets it itself", "let the provider ask for consent where it is missing")
	}
	if acr := m.in.text("acr_values"); acr != "" {
		m.lost("acr_values", "a class of sign-in is asked for by the route that needs it, and then verified", "write require: {acr: [CLASS]} on the route (docs/step-up.md)")
	}
	for _, key := range slices.Clone(m.in.order) {
		if name, ok := strings.CutPrefix(key, "login parameter "); ok {
			add(key, name)
		}
	}
	if key := "login parameters that browsers choose"; m.in.has(key) {
		m.lost("loginURLParameters", "browsers choose no parameter of the authorization request: "+oneLine(m.in.text(key)), "write a fixed one into authorization_params")
	}
	if len(params) > 0 {
		s.set("authorization_params", params)
	}
}

// organizations are those of GitHub and Entra ID whose members may sign in.
func (m *importer) organizations(p *provider) []string {
	switch p.kind {
	case config.ProviderMicrosoft:
		return m.in.list("entra_id_allowed_tenants")
	case config.ProviderGitHub:
	default:
		return nil
	}
	org, teams := strings.ToLower(m.in.text("github_org")), strings.ToLower(m.in.text("github_team"))
	if len(m.in.list("github_users")) > 0 {
		m.lost("github_users", "people are not let in beside an organization by their names", "make them members, or write a rule with subjects, which are GitHub's numeric ids")
	}
	if teams == "" {
		if org == "" {
			return nil
		}
		return []string{org}
	}
	var all []string
	for team := range strings.SplitSeq(teams, ",") {
		team = strings.TrimSpace(team)
		if named, t, ok := strings.Cut(team, ":"); ok {
			all = append(all, named+"/"+t)
		} else if org != "" {
			all = append(all, org+"/"+team)
		} else {
			m.lost("github_team", "a team without github_org could be anybody's", "write organizations: [ORG/TEAM]")
			p.closed = append(p.closed, "github_team "+team)
		}
	}
	return all
}

// closings are the restrictions that can't be carried over. Nobody passes in their
// place, since without them everybody would.
func (m *importer) closings(p *provider) {
	for _, key := range []string{"github_repo", "bitbucket_team", "bitbucket_repository"} {
		for _, value := range m.in.values[key] {
			p.closed = append(p.closed, key+" "+oneLine(value))
		}
	}
	for _, key := range []string{"google_groups", "gitlab_projects"} {
		for _, value := range m.in.values[key] {
			p.instead = append(p.instead, key+" "+oneLine(value))
		}
	}
	if m.in.has("google_groups") {
		m.in.used["google_groups"] = true
		m.lost("google_groups", "groups of Google Workspace are not read, so that nobody passes the rule that stands for them", "allow addresses or domains in its place, or put a provider that knows groups in between")
	}
}
