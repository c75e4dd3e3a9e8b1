package policy

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Explain is Evaluate with its reasons: the same decision, and what every rule says,
// also those that no longer mattered. It is made for people, and allocates.
func (s *Set) Explain(ctx context.Context, in *Input) Explanation {
	d, err := s.Evaluate(ctx, in)
	return s.Explained(in, d, err)
}

// Explained is Explain for an input that has been decided on. Nobody else is asked.
func (s *Set) Explained(in *Input, d Decision, err error) Explanation {
	x := Explanation{Policy: s.Name(), Mode: Enforce.String(), Decision: d, Err: err, Rules: []RuleExplanation{}}
	if s == nil || in == nil {
		return x
	}
	x.Mode, x.Authorizer = s.mode.String(), s.authorizer != nil
	for i := range s.rules {
		x.Rules = append(x.Rules, s.rules[i].explain(in))
	}
	return x
}

// String returns the mode as it is written.
func (m Mode) String() string {
	if m == Shadow {
		return "shadow"
	}
	return "enforce"
}

func (r *compiledRule) explain(in *Input) RuleExplanation {
	x := RuleExplanation{Name: r.name, Effect: "deny", Mode: r.mode.String(), Fits: true, Met: true}
	if r.allow {
		x.Effect = "allow"
		if !r.require.Empty() {
			id := &in.Identity
			x.Requires, x.Met = r.require.String(), r.require.MetBy(id.ACR, id.AMR, id.AuthTime, in.Now)
			x.SignIn = signIn(in)
		}
	}
	refuted := false // what does not fit decides, whatever can't be evaluated beside it
	for i := range r.conditions {
		c := &r.conditions[i]
		one := ConditionExplanation{Field: c.field.String(), Wants: c.wants(), Has: c.has(in)}
		fits, err := c.fits(in)
		if err != nil {
			one.Err, x.Err = err.Error(), err.Error()
		}
		one.Fits = fits
		x.Fits, refuted = x.Fits && fits, refuted || !fits && err == nil
		x.Conditions = append(x.Conditions, one)
	}
	if refuted {
		x.Err = ""
	}
	return x
}

// signIn is what a requirement is compared with.
func signIn(in *Input) string {
	id := &in.Identity
	var parts []string
	if id.ACR != "" {
		parts = append(parts, "acr: "+id.ACR)
	}
	if len(id.AMR) > 0 {
		parts = append(parts, "amr: "+shown(id.AMR))
	}
	return strings.Join(append(parts, "age: "+age(in)), ", ")
}

// age is how long ago the user has signed in.
func age(in *Input) string {
	if in.Identity.AuthTime.IsZero() {
		return "not known"
	}
	return ShortDuration(in.Now.Sub(in.Identity.AuthTime).Round(time.Second))
}

// String returns what is asked for in the words of a policy.
func (s *StepUp) String() string {
	var parts []string
	if len(s.ACR) > 0 {
		parts = append(parts, "acr: "+strings.Join(s.ACR, " or "))
	}
	if len(s.AMR) > 0 {
		parts = append(parts, "amr: "+strings.Join(s.AMR, " and "))
	}
	if s.MaxAge > 0 {
		parts = append(parts, "max_age: "+ShortDuration(s.MaxAge))
	}
	return strings.Join(parts, ", ")
}

// maxShown is how many values are shown.
const maxShown = 20

// wants is what the condition compares with.
func (c *condition) wants() string {
	var all []string
	switch c.field {
	case fieldMaxAge:
		return ShortDuration(c.maxAge)
	case fieldPaths:
		for _, p := range c.paths {
			all = append(all, p.String())
		}
	case fieldCIDR:
		for _, n := range c.nets {
			all = append(all, n.String())
		}
	case fieldHours:
		for _, h := range c.hours {
			all = append(all, h.text)
		}
	case fieldWhen, fieldUnless:
		return c.expr.source
	case fieldClaim:
		return c.claim + ": " + shown(c.words.list)
	default:
		all = c.words.list
	}
	text := shown(all)
	if c.values != nil {
		if text != "" {
			text += ", "
		}
		text += fmt.Sprintf("%d from a file", c.values.Len())
	}
	return text
}

// has is what the request brings.
func (c *condition) has(in *Input) string {
	id := &in.Identity
	switch c.field {
	case fieldSubjects:
		return id.Subject
	case fieldGroups:
		return shown(id.Groups)
	case fieldEmails, fieldDomains:
		switch {
		case id.Email == "":
			return ""
		case !id.EmailVerified:
			return id.Email + " (not verified)"
		}
		return id.Email
	case fieldIssuers:
		return id.Issuer
	case fieldScopes:
		return shown(scopes(id.Claims))
	case fieldClaim:
		return c.claimText(id)
	case fieldACR:
		return id.ACR
	case fieldAMR:
		return shown(id.AMR)
	case fieldMaxAge:
		return age(in)
	case fieldMethods:
		return in.Request.Method
	case fieldPaths:
		return in.Request.Path
	case fieldCIDR:
		if in.Client.Address == (netip.Addr{}) {
			return "not known"
		}
		return in.Client.Address.Unmap().String()
	case fieldHours:
		return in.Now.In(c.hours[0].zone).Format("Mon 15:04 MST")
	case fieldWhen, fieldUnless:
		return c.expr.shown(in)
	}
	return ""
}

// claimText shows a claim by the names that a condition can give.
func (c *condition) claimText(id *Identity) string {
	switch c.claim {
	case "iss":
		return id.Issuer
	case "sub":
		return id.Subject
	case "email":
		return id.Email
	case "email_verified":
		return fmt.Sprint(id.EmailVerified)
	case "groups":
		return shown(id.Groups)
	}
	v := lookup(id.Claims, c.claim)
	if v == nil {
		return "no such claim"
	}
	return short(fmt.Sprint(v))
}

func shown(list []string) string {
	if len(list) > maxShown {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:maxShown], ", "), len(list)-maxShown)
	}
	return strings.Join(list, ", ")
}

func short(s string) string {
	const most = 200
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// ShortDuration leaves out the zeros at the end: 1h, and not 1h0m0s.
func ShortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
