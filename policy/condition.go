package policy

import (
	"net/netip"
	"slices"
	"time"
)

// field says what a condition looks at.
type field uint8

const (
	fieldSubjects field = iota
	fieldGroups
	fieldEmails
	fieldDomains
	fieldIssuers
	fieldScopes
	fieldClaim
	fieldACR
	fieldAMR
	fieldMaxAge
	fieldMethods
	fieldPaths
	fieldCIDR
	fieldHours
	fieldWhen
	fieldUnless
)

// String returns the key of the configuration.
func (f field) String() string {
	return [...]string{
		fieldSubjects: "subjects", fieldGroups: "groups", fieldEmails: "emails", fieldDomains: "email_domains", fieldIssuers: "issuers",
		fieldScopes: "scopes", fieldClaim: "claims", fieldACR: "acr", fieldAMR: "amr", fieldMaxAge: "max_age", fieldMethods: "methods",
		fieldPaths: "paths", fieldCIDR: "cidr", fieldHours: "hours", fieldWhen: "when", fieldUnless: "unless",
	}[f]
}

// condition is one compiled condition. It is a struct with a switch rather than an
// interface, so that the Input stays on the stack of whoever asks.
type condition struct {
	field  field
	words  words   // and values: one of both has to hold it
	values *Values // from a file; nil = none
	claim  string  // its name
	nets   []netip.Prefix
	paths  []Path
	hours  []hours
	maxAge time.Duration
	expr   *expression
}

// cost is how late a condition is asked.
func (c *condition) cost() int {
	switch c.field {
	case fieldWhen, fieldUnless:
		return 2
	case fieldClaim, fieldScopes: // which may have to be decoded
		return 1
	default:
		return 0
	}
}

// fits reports whether the condition holds. Only expressions can fail.
func (c *condition) fits(in *Input) (bool, error) {
	id, from := &in.Identity, c.values.words()
	switch c.field {
	case fieldSubjects:
		return c.words.has(id.Subject) || from.has(id.Subject), nil
	case fieldGroups:
		return c.words.hasAny(id.Groups) || from.hasAny(id.Groups), nil
	case fieldEmails:
		return c.words.hasAddress(id.Email, id.EmailVerified) || from.hasAddress(id.Email, id.EmailVerified), nil
	case fieldDomains:
		return c.words.hasDomain(id.Email, id.EmailVerified) || from.hasDomain(id.Email, id.EmailVerified), nil
	case fieldIssuers:
		return c.words.has(id.Issuer) || from.has(id.Issuer), nil
	case fieldScopes:
		return c.words.hasScope(id.Claims), nil
	case fieldClaim:
		return c.claimFits(id), nil
	case fieldACR:
		return c.words.has(id.ACR), nil
	case fieldAMR:
		return !slices.ContainsFunc(c.words.list, func(method string) bool { return !slices.Contains(id.AMR, method) }), nil
	case fieldMaxAge:
		recent := StepUp{MaxAge: c.maxAge}
		return recent.MetBy("", nil, id.AuthTime, in.Now), nil
	case fieldMethods:
		return c.words.has(in.Request.Method), nil
	case fieldPaths:
		return slices.ContainsFunc(c.paths, func(p Path) bool { return p.Fits(in.Request.Path) }), nil
	case fieldCIDR:
		return inNetworks(c.nets, in.Client.Address) || inNetworks(c.values.networks(), in.Client.Address), nil
	case fieldHours:
		return slices.ContainsFunc(c.hours, func(h hours) bool { return h.covers(in.Now) }), nil
	case fieldWhen:
		return c.expr.holds(in)
	case fieldUnless:
		holds, err := c.expr.holds(in)
		return !holds && err == nil, err
	}
	return false, nil
}

// allFit reports whether every condition holds. A condition that does not hold
// decides, whatever became of the others.
func allFit(conditions []condition, in *Input) (bool, error) {
	var failed error
	for i := range conditions {
		ok, err := conditions[i].fits(in)
		switch {
		case err != nil:
			failed = err
		case !ok:
			return false, nil
		}
	}
	return failed == nil, failed
}

// inNetworks takes an IPv4 address that is mapped to IPv6 for what it is. An
// address of a zone belongs to no network.
func inNetworks(nets []netip.Prefix, address netip.Addr) bool {
	address = address.Unmap()
	return slices.ContainsFunc(nets, func(n netip.Prefix) bool { return n.Contains(address) })
}
