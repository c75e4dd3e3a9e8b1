package gateway

import (
	"fmt"

	"github.com/sallyport/sallyport/gateway/admin"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/forwardauth"
	"github.com/sallyport/sallyport/gateway/guard"
	"github.com/sallyport/sallyport/gateway/pages"
	"github.com/sallyport/sallyport/gateway/route"
	"github.com/sallyport/sallyport/policy"
)

// policies are the compiled policies by name, and the files that they read.
type policies struct {
	broken map[string]bool // by name: those that do not compile
	sets   map[string]*policy.Set
	files  []*followedFile
	lies   func(name string) string // where a file is found
}

// newEngine makes what compiles policies, with the path language of routes. A deny
// rule can't give a reason that the gateway gives as well: it would be counted as
// the other, and the page would explain what has not happened.
func newEngine() (*policy.Engine, error) {
	explained, err := pages.Reasons()
	if err != nil {
		return nil, err
	}
	return policy.NewEngine(policy.Options{Paths: route.ParsePath, Reasons: append(explained, neverOnAPage()...)})
}

// neverOnAPage are the reasons that no page has a text for.
func neverOnAPage() []string {
	return []string{
		guard.ReasonPublic, guard.ReasonPreflight, "client_gone", forwardauth.ReasonQuery,
		"unconfirmed_lock", "unknown_lock", "not_development", "keys_in_files", "too_many_keys", ReasonKeyNeeded, ReasonKeyInUse, ReasonNoSuchKey, "admin_api_off", "bad_admin_token", "no_client_certificate", "too_many_admin_tokens", "admin_needs_tls", "bad_form_token", "too_many_requests", admin.ReasonUnknownDecision, reasonNoFile, // the API of operators
	}
}

// buildPolicies compiles the policies, and reads the files of values. With Faults it
// returns those that have none, for who looks for further faults.
func buildPolicies(cfg *config.Config, authorizers authorizerMaker) (*policies, error) {
	return compilePolicies(cfg, authorizers, func(string) bool { return false })
}

// compilePolicies is buildPolicies, but for the policies at the paths that are to be
// left out.
func compilePolicies(cfg *config.Config, authorizers authorizerMaker, without func(path string) bool) (*policies, error) {
	engine, err := newEngine()
	if err != nil {
		return nil, err
	}
	out := &policies{broken: map[string]bool{}, sets: map[string]*policy.Set{config.PolicyAuthenticated: policy.Authenticated()}, lies: cfg.FileName}
	var faults config.Faults
	for i := range cfg.Policies {
		c, at := &cfg.Policies[i], policyPath(i)
		if without(at) {
			continue
		}
		described := out.describe(at, c)
		if described.Authorizer, err = authorizers(c); err != nil {
			faults = append(faults, faultsAt(cfg, at+".authorizer", err)...)
			out.broken[c.Name] = true
			continue
		}
		set, err := engine.Compile(described)
		if err != nil {
			faults = append(faults, faultsAt(cfg, at, err)...)
			out.broken[c.Name] = true
			continue
		}
		out.sets[c.Name] = set
	}
	if faults = append(faults, out.load(cfg)...); len(faults) > 0 {
		return out, faults
	}
	return out, nil
}

// policyPath is where a policy stands in the configuration.
func policyPath(i int) string { return fmt.Sprintf("policies[%d]", i) }

// describe puts a policy into the words of package policy, but for its authorizer.
func (p *policies) describe(at string, c *config.Policy) policy.Policy {
	return policy.Policy{Name: c.Name, Mode: policyMode(c.Mode), Message: c.Message, Rules: p.rules(at, c.Rules)}
}

// load reads the files of values that the policies described so far name.
func (p *policies) load(cfg *config.Config) config.Faults {
	var faults config.Faults
	for _, f := range p.files {
		if err := f.load(); err != nil {
			faults = append(faults, cfg.Fault(f.path, err.Error(), "write one value a line, and nothing else but lines that begin with #"))
		}
	}
	return faults
}

func policyMode(mode string) policy.Mode {
	if mode == config.ModeShadow {
		return policy.Shadow
	}
	return policy.Enforce
}

func (p *policies) rules(at string, rules []config.Rule) []policy.Rule {
	out := make([]policy.Rule, len(rules))
	for i := range rules {
		r, at := &rules[i], fmt.Sprintf("%s.rules[%d]", at, i)
		out[i] = policy.Rule{
			Name: r.Name, Mode: policyMode(r.Mode), When: r.When, Unless: r.Unless,
			Allow: p.match(at+".allow", r.Allow), Deny: p.match(at+".deny", r.Deny),
			Require: policyStepUp(r.Require), Reason: r.Reason, Message: r.Message,
		}
	}
	return out
}

func (p *policies) match(at string, m *config.Match) *policy.Match {
	if m == nil {
		return nil
	}
	out := &policy.Match{
		Groups: m.Groups, Emails: m.Emails, EmailDomains: m.EmailDomains, Subjects: m.Subjects, Issuers: m.Issuers, Scopes: m.Scopes,
		ACR: m.ACR, AMR: m.AMR, MaxAge: m.MaxAge,
		Methods: m.Methods, Paths: m.Paths, CIDR: m.CIDR, Hours: m.Hours,
		When: m.When, Unless: m.Unless,
	}
	for _, c := range m.Claims {
		out.Claims = append(out.Claims, policy.Claim{Name: c.Name, Values: c.Values})
	}
	for field, name := range m.ValueFiles() {
		values := policy.NewValues(field)
		p.files = append(p.files, &followedFile{
			path: at + "." + field + "_file", name: name, lies: p.lies(name),
			take: func(text []byte) (int, error) { err := values.SetText(string(text)); return values.Len(), err },
		})
		if out.From == nil {
			out.From = map[string]*policy.Values{}
		}
		out.From[field] = values
	}
	return out
}
