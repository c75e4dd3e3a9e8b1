package gateway

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/route"
	"github.com/sallyport/sallyport/policy"
	"github.com/sallyport/sallyport/policy/policytest"
)

// LintFinding is one thing about the policies of a configuration that whoever reviews
// them should look at, with its place in the file.
type LintFinding struct {
	File     string `json:"file"`
	Line     int    `json:"line,omitempty"`
	Path     string `json:"path"`
	Policy   string `json:"policy"`
	Rule     string `json:"rule,omitempty"`
	Code     string `json:"code"`
	Severity string `json:"severity"` // error, warning, note
	Problem  string `json:"problem"`
	Why      string `json:"why"`
	Fix      string `json:"fix"`
}

// The kinds of findings that routes have. The last one no policy has.
const (
	lintAnyone = "anyone_signed_in"
	lintNoPage = "step_up_without_page"
	lintUnused = "unused_policy"
)

// LintCodes are all kinds of findings, with their usual severity, the worst first.
func LintCodes() []policy.LintCode {
	codes := append(policy.LintCodes(), policy.LintCode{Code: lintUnused, Severity: policy.LintWarning})
	slices.SortStableFunc(codes, func(a, b policy.LintCode) int { return cmp.Compare(b.Severity, a.Severity) })
	return codes
}

// LintPolicies says what is weak or wrong in the policies of a configuration that was
// loaded, where they are used and by the time of now: see policy.Engine.Lint. Nothing
// is opened but the files of values. A configuration without routes has its policies
// judged by themselves.
//
// The error is config.Faults where the policies don't compile.
func LintPolicies(cfg *config.Config, now time.Time) ([]LintFinding, error) {
	l := &policyLint{cfg: cfg, now: now}
	var err error
	if l.engine, err = newEngine(); err != nil {
		return nil, err
	}
	if err := l.routes(); err != nil {
		return nil, err
	}
	if err := l.policies(); err != nil {
		return nil, err
	}
	l.atRoutes()
	slices.SortStableFunc(l.findings, func(a, b LintFinding) int { return cmp.Compare(a.Line, b.Line) })
	return l.findings, nil
}

// policyLint collects the findings of a configuration.
type policyLint struct {
	cfg      *config.Config
	engine   *policy.Engine
	now      time.Time
	table    *route.Table
	built    map[string]*route.Route // by name
	findings []LintFinding
}

// routes makes a table that knows which paths come to which route, and nothing else.
func (l *policyLint) routes() error {
	l.built = map[string]*route.Route{}
	entries := make([]route.Entry, 0, len(l.cfg.Routes))
	for i := range l.cfg.Routes {
		c := &l.cfg.Routes[i]
		rt := &route.Route{Name: c.Name}
		l.built[c.Name] = rt
		entries = append(entries, route.Entry{Route: rt, Hosts: c.Hosts, Paths: c.Paths, Methods: c.Methods})
	}
	var err error
	if l.table, err = route.NewTable(entries, l.cfg.Server.PublicHosts()); err != nil {
		return faultsAt(l.cfg, "routes", err)
	}
	return nil
}

// policies judges every policy at the routes that it is used on.
func (l *policyLint) policies() error {
	described := &policies{lies: l.cfg.FileName}
	all := make([]policy.Policy, len(l.cfg.Policies))
	for i := range l.cfg.Policies {
		c := &l.cfg.Policies[i]
		all[i] = described.describe(policyPath(i), c)
		if c.Authorizer != nil {
			all[i].Authorizer = policytest.StandIn()
		}
	}
	faults := described.load(l.cfg)
	for i, p := range all {
		uses := l.uses(p.Name)
		// Envoy names policies, too, in a configuration that nobody sees here.
		if len(uses) == 0 && len(l.cfg.Routes) > 0 && !l.atListener(p.Name) && l.cfg.ExtAuthz.Listen == "" {
			l.found(policyPath(i)+".name", policy.Finding{
				Policy: p.Name, Code: lintUnused, Severity: policy.LintWarning, Problem: "no route and no listener uses it",
				Why: "It decides nothing.", Fix: "write policy: " + p.Name + " at a route, or delete it",
			})
		}
		found, err := l.engine.Lint(p, policy.LintOptions{Uses: uses, Now: l.now})
		faults = append(faults, faultsAt(l.cfg, policyPath(i), err)...)
		for _, f := range found {
			l.found(policyPath(i)+"."+f.Path, f)
		}
	}
	if len(faults) > 0 {
		return faults
	}
	return nil
}

// uses are the routes that ask a policy.
func (l *policyLint) uses(name string) []policy.Use {
	var uses []policy.Use
	for i := range l.cfg.Routes {
		if r := &l.cfg.Routes[i]; !r.Public && r.Policy == name {
			uses = append(uses, l.use(r))
		}
	}
	return uses
}

func (l *policyLint) atListener(name string) bool {
	return slices.ContainsFunc(l.cfg.Server.AllListeners(), func(at config.Listener) bool { return at.Policy == name })
}

// atRoutes looks at what routes themselves say of who may come in: the built-in
// policy, and what they require.
func (l *policyLint) atRoutes() {
	for i := range l.cfg.Routes {
		r := &l.cfg.Routes[i]
		asks := policyStepUp(r.Require)
		if !r.Public && !asks.Empty() && !slices.Contains(r.Auth, config.AuthSession) {
			l.found(fmt.Sprintf("routes[%d].require", i), policy.Finding{
				Policy: r.Policy, Code: lintNoPage, Severity: policy.LintNote, Problem: "asks for a sign-in where no sessions are taken",
				Why: "The client gets 401 and has to come with a token of another sign-in; nobody is sent to a page.",
				Fix: "make sure that tokens carry acr, amr and auth_time, or add session to auth",
			})
		}
		if r.Public || r.Policy != config.PolicyAuthenticated {
			continue
		}
		var public []string
		for _, p := range l.public(r) {
			public = append(public, p.Title)
		}
		if len(public) > 0 {
			l.found(fmt.Sprintf("routes[%d].policy", i), policy.Finding{
				Policy: r.Policy, Code: lintAnyone, Severity: policy.LintWarning, Problem: "lets in any proven user",
				Why: fmt.Sprintf("It lets in whoever has an account at %s, which anybody can open.", strings.Join(public, ", ")),
				Fix: "use a policy with groups, email_domains or emails, or limit the provider to an organization, unless just that is meant",
			})
		}
	}
}

func (l *policyLint) found(path string, f policy.Finding) {
	at := l.cfg.Fault(path, f.Problem, f.Fix)
	l.findings = append(l.findings, LintFinding{
		File: at.File, Line: at.Line, Path: at.Path, Policy: f.Policy, Rule: f.Rule,
		Code: f.Code, Severity: f.Severity.String(), Problem: f.Problem, Why: f.Why, Fix: f.Fix,
	})
}

// use is what is known of every request to a route.
func (l *policyLint) use(r *config.Route) policy.Use {
	takes := func(kinds ...string) bool {
		return slices.ContainsFunc(kinds, func(kind string) bool { return slices.Contains(r.Auth, kind) })
	}
	rt := l.built[r.Name]
	return policy.Use{
		Route: r.Name, Methods: r.Methods, Hosts: l.hosts(r), Credentials: r.Auth,
		Issuers: l.issuers(r), Providers: l.providers(r), Sources: l.cfg.IssuersOf(r), Public: l.public(r), Require: policyStepUp(r.Require),
		NoScopes:  !takes(config.AuthBearer, config.AuthIntrospection, config.AuthAPIKey, config.AuthBasic),
		NoSignIns: !takes(config.AuthSession, config.AuthBearer, config.AuthIntrospection, config.AuthBasic),
		NoPage:    !takes(config.AuthSession),
		Reaches:   func(p policy.Path) bool { return l.table.Reaches(rt, p) },
	}
}

// hosts are those of a route, or nothing where it has wildcards.
func (l *policyLint) hosts(r *config.Route) []string {
	if len(r.Hosts) == 0 {
		return l.cfg.Server.PublicHosts()
	}
	if slices.ContainsFunc(r.Hosts, func(h string) bool { return strings.HasPrefix(h, "*.") }) {
		return nil
	}
	hosts := make([]string, len(r.Hosts))
	for i, h := range r.Hosts {
		hosts[i] = strings.ToLower(h)
	}
	return hosts
}

// issuers are all that identities of a route can have, or nothing where they can
// have any: operators choose those of API keys and of development, a Microsoft
// provider of several tenants has one for each, and an introspection server
// without one tells it.
func (l *policyLint) issuers(r *config.Route) []string {
	var all []string
	for _, kind := range r.Auth {
		switch kind {
		case config.AuthSession:
			for _, p := range l.offered(r) {
				all = append(all, p.UserIssuer())
			}
		case config.AuthBearer:
			for i := range l.cfg.Tokens.Issuers {
				all = append(all, l.cfg.Tokens.Issuers[i].Issuer)
			}
			for i := range l.cfg.Login.Providers { // whose sessions can be exchanged for tokens
				if l.cfg.Tokens.Exchange.Enabled {
					all = append(all, l.cfg.Login.Providers[i].UserIssuer())
				}
			}
		case config.AuthIntrospection:
			for i := range l.cfg.Tokens.Introspection {
				all = append(all, l.cfg.Tokens.Introspection[i].Issuer)
			}
		case config.AuthClientCert:
			all = append(all, authn.ClientCertIssuer)
		default:
			return nil
		}
	}
	several := slices.ContainsFunc(l.cfg.Login.Providers, func(p config.Provider) bool { return p.Type == config.ProviderMicrosoft })
	if several || l.cfg.Development() || slices.Contains(all, "") {
		return nil
	}
	return all
}

// providers are the values of identity.provider at a route.
func (l *policyLint) providers(r *config.Route) []string {
	var all []string
	for _, kind := range r.Auth {
		switch kind {
		case config.AuthSession:
			for _, p := range l.offered(r) {
				all = append(all, p.Name)
			}
		case config.AuthBasic:
			all = append(all, config.AuthBearer, config.AuthIntrospection, config.AuthAPIKey)
			for i := range l.cfg.Login.Providers {
				all = append(all, l.cfg.Login.Providers[i].Name)
			}
		default:
			all = append(all, kind)
		}
	}
	return all
}

// offered are the providers whose sessions count at a route.
func (l *policyLint) offered(r *config.Route) []*config.Provider {
	var all []*config.Provider
	for i := range l.cfg.Login.Providers {
		p := &l.cfg.Login.Providers[i]
		if len(r.Providers) == 0 || slices.Contains(r.Providers, p.Name) {
			all = append(all, p)
		}
	}
	return all
}

// public are the providers of a route at which anybody can open an account.
func (l *policyLint) public(r *config.Route) []policy.PublicProvider {
	var all []policy.PublicProvider
	if !slices.Contains(r.Auth, config.AuthSession) {
		return nil
	}
	for _, p := range l.offered(r) {
		if !anybodyJoins(p) {
			continue
		}
		one := policy.PublicProvider{Name: p.Name, Title: p.Title, Issuer: p.UserIssuer()}
		if p.Type == config.ProviderMicrosoft { // there is one for each tenant
			one.Issuer = ""
		}
		all = append(all, one)
	}
	return all
}

func anybodyJoins(p *config.Provider) bool {
	switch p.Type {
	case config.ProviderKakao, config.ProviderNaver:
		return true
	case config.ProviderGitHub:
		return len(p.Organizations) == 0
	case config.ProviderMicrosoft:
		several := p.Tenant == config.TenantAny || p.Tenant == config.TenantOrganizations
		return several && len(p.Organizations) == 0 || p.Tenant == config.TenantPersonal || p.Tenant == config.PersonalTenant
	}
	switch p.Issuer {
	case "https://accounts.google.com":
		return p.HostedDomain == ""
	case "https://gitlab.com":
		return true
	}
	return false
}
