package config

import (
	"maps"
	"time"
)

// Policy is a named list of rules, an external authorizer, or both. A deny rule
// that matches wins over every allow rule; where no allow rule matches, access is
// denied.
type Policy struct {
	Name string `mapstructure:"name"` // what routes call it
	// Mode is enforce, or shadow: judged, logged and counted, while every proven
	// user passes.
	Mode    string `mapstructure:"mode"`
	Message string `mapstructure:"message"` // for people whom no rule allows
	Rules   []Rule `mapstructure:"rules"`

	Authorizer *Authorizer `mapstructure:"authorizer"`
}

// Authorizer is asked about what the rules allow; without rules, about everything.
type Authorizer struct {
	URL     string        `mapstructure:"url"`     // is sent {"input": ...}, as OPA's data API expects it
	Timeout time.Duration `mapstructure:"timeout"` // then the answer is 503
	Cache   time.Duration `mapstructure:"cache"`   // how long an answer to the same question counts; 0 = never
	Token   Secret        `mapstructure:"token"`   // sent as a bearer token
	// TokenFile holds the token, and is read again when it changes.
	TokenFile string `mapstructure:"token_file"`
	CAFile    string `mapstructure:"ca_file"` // PEM, besides those of the system
	// Headers names the header fields of requests that are sent. None that carries a
	// credential can be.
	Headers []string `mapstructure:"headers"`
	// InsecureHTTP allows plain http to a host other than this one.
	InsecureHTTP bool `mapstructure:"insecure_http"`
}

// The modes of a policy and of a rule.
const (
	ModeEnforce = "enforce"
	ModeShadow  = "shadow"
)

// Rule allows or denies whom its match describes; it has exactly one of both.
type Rule struct {
	Name string `mapstructure:"name"` // in logs, decisions and findings
	Mode string `mapstructure:"mode"` // enforce, or shadow: judged, logged and counted, and nothing else

	// When and Unless are expressions (docs/policy-language.md) that say for which
	// requests the rule is there.
	When   string `mapstructure:"when"`
	Unless string `mapstructure:"unless"` // an expression: the rule is there unless it is true

	Allow *Match `mapstructure:"allow"`
	Deny  *Match `mapstructure:"deny"`
	// Require is how well, and how lately, whom this rule allows must have
	// proven himself.
	Require Require `mapstructure:"require"`

	Reason  string `mapstructure:"reason"`  // beside deny: instead of denied_by_rule
	Message string `mapstructure:"message"` // beside deny: for people, on the page
}

// Require is what a sign-in must have been like; a sign-in of another kind is
// asked for where it was not.
type Require struct {
	ACR    []string      `mapstructure:"acr"`     // one of these authentication context classes
	AMR    []string      `mapstructure:"amr"`     // all of these methods (RFC 8176)
	MaxAge time.Duration `mapstructure:"max_age"` // 0 = any
}

// Match describes people and their requests: every field that is given must fit,
// and a field fits when any of its values does. A file has one value a line, and is
// read again when it changes.
type Match struct {
	Groups       []string     `mapstructure:"groups"`        // he is in one of them
	Emails       []string     `mapstructure:"emails"`        // compared with verified addresses only
	EmailDomains []string     `mapstructure:"email_domains"` // likewise; example.com does not cover sub.example.com
	Subjects     []string     `mapstructure:"subjects"`      // his subject is one of them; it is unique together with the issuer alone
	Issuers      []string     `mapstructure:"issuers"`       // who vouches for him is one of them
	Scopes       []string     `mapstructure:"scopes"`        // of an access token (RFC 6749, section 3.3)
	Claims       []ClaimMatch `mapstructure:"claims"`

	ACR    []string      `mapstructure:"acr"`     // his sign-in is of one of these classes
	AMR    []string      `mapstructure:"amr"`     // all of them
	MaxAge time.Duration `mapstructure:"max_age"` // his sign-in is not older

	Methods []string `mapstructure:"methods"` // of the request, such as GET
	Paths   []string `mapstructure:"paths"`   // as in routes
	CIDR    []string `mapstructure:"cidr"`    // networks and addresses of clients
	Hours   []string `mapstructure:"hours"`   // "mon-fri 08:00-18:00 Europe/Berlin"

	When   string `mapstructure:"when"`   // an expression (docs/policy-language.md)
	Unless string `mapstructure:"unless"` // likewise

	GroupsFile       string `mapstructure:"groups_file"`        // more groups, one a line
	EmailsFile       string `mapstructure:"emails_file"`        // more addresses, one a line
	EmailDomainsFile string `mapstructure:"email_domains_file"` // more domains, one a line
	SubjectsFile     string `mapstructure:"subjects_file"`      // more subjects, one a line
	IssuersFile      string `mapstructure:"issuers_file"`       // more issuers, one a line
	CIDRFile         string `mapstructure:"cidr_file"`          // more networks, one a line
}

// ValueFiles are the files that hold values of the match, by the name of the field.
func (m *Match) ValueFiles() map[string]string {
	all := map[string]string{
		"groups": m.GroupsFile, "emails": m.EmailsFile, "email_domains": m.EmailDomainsFile,
		"subjects": m.SubjectsFile, "issuers": m.IssuersFile, "cidr": m.CIDRFile,
	}
	maps.DeleteFunc(all, func(_, file string) bool { return file == "" })
	return all
}

// ClaimMatch fits when the claim at Name (dots go into objects) is, or is a
// list that holds, one of Values.
type ClaimMatch struct {
	Name   string   `mapstructure:"name"`   // of the claim; dots go into objects
	Values []string `mapstructure:"values"` // one of which it is, or holds
}
