package guard

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/headers"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/route"
	"github.com/sallyport/sallyport/policy"
)

// Explanation is a verdict with everything that led to it, as people and programs
// read it. It holds no credential.
type Explanation struct {
	Decision string    `json:"decision,omitempty"` // its name, where it was made on a real request
	Time     time.Time `json:"time"`
	Method   string    `json:"method"`
	Host     string    `json:"host"`
	Path     string    `json:"path"` // canonical
	Client   string    `json:"client,omitempty"`

	Listener *ListenerExplanation `json:"listener,omitempty"` // where it has a policy

	Routes      []route.Candidate       `json:"routes"` // in order of precedence
	Route       string                  `json:"route,omitempty"`
	Credentials []CredentialExplanation `json:"credentials,omitempty"` // in the order in which they are looked for
	Identity    *Person                 `json:"identity,omitempty"`
	CrossSite   *CrossSiteExplanation   `json:"cross_site,omitempty"` // where a page of another site sent it
	Lock        *LockExplanation        `json:"lock,omitempty"`
	Policy      *policy.Explanation     `json:"policy,omitempty"`
	Verdict     VerdictExplanation      `json:"verdict"`
	Headers     []HeaderLine            `json:"headers,omitempty"` // that the upstream would get
	Removed     []string                `json:"removed,omitempty"` // names of those that it would not
	Notes       []string                `json:"notes,omitempty"`
}

// CredentialExplanation is what a kind of credential has to do with the request.
type CredentialExplanation struct {
	Kind    string `json:"kind"`
	Finding string `json:"finding"`
	Used    bool   `json:"used"`
}

// CrossSiteExplanation is a page of another site that had a browser send the
// request.
type CrossSiteExplanation struct {
	Kind string `json:"kind"` // request or websocket
	Mode string `json:"mode"` // report or enforce
}

// Person is an identity without its claims.
type Person struct {
	Issuer        string    `json:"issuer"`
	Subject       string    `json:"subject"`
	Email         string    `json:"email,omitempty"`
	EmailVerified bool      `json:"email_verified,omitempty"`
	Groups        []string  `json:"groups,omitempty"`
	ACR           string    `json:"acr,omitempty"`
	AMR           []string  `json:"amr,omitempty"`
	AuthTime      time.Time `json:"auth_time,omitzero"`
	Provider      string    `json:"provider,omitempty"`
	Credential    string    `json:"credential,omitempty"`
	Session       string    `json:"session,omitempty"` // the first 16 hex digits of its hash
}

// VerdictExplanation is the verdict in words of closed lists.
type VerdictExplanation struct {
	Outcome string `json:"outcome"` // allow, forbid, challenge, ...; unknown where something could not be asked
	Reason  string `json:"reason"`
	Rule    string `json:"rule,omitempty"`
	Message string `json:"message,omitempty"`
	StepUp  string `json:"step_up,omitempty"` // what is asked for
	Problem string `json:"problem,omitempty"` // what went wrong inside

	// Shadow is what would be decided if what is in the mode shadow were enforced.
	Shadow *ShadowExplanation `json:"shadow,omitempty"`
}

// ShadowExplanation is a decision that changes nothing.
type ShadowExplanation struct {
	Effect string `json:"effect"`
	Rule   string `json:"rule,omitempty"`
	Reason string `json:"reason"`
}

// HeaderLine is a header field that the upstream would get.
type HeaderLine struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Set   bool   `json:"set"` // by the gateway
}

// outcomeUnknown is the word for no answer at all.
const outcomeUnknown = "unknown"

// judged puts the verdict into words.
func (x *Explanation) judged(v *Verdict, err error) {
	out := VerdictExplanation{Outcome: v.Outcome.String(), Reason: v.Reason, Rule: v.Rule, Message: v.Message}
	if v.Outcome == StepUp {
		out.StepUp = v.StepUp.String()
	}
	if v.Err != nil {
		out.Problem = v.Err.Error()
	}
	if err != nil {
		out.Outcome, out.Reason, out.Problem = outcomeUnknown, "unavailable", err.Error()
	}
	if v.Shadow.Judged {
		out.Shadow = &ShadowExplanation{Effect: v.Shadow.Effect.String(), Rule: v.Shadow.Rule, Reason: v.Shadow.Reason}
	}
	x.Verdict = out
	if v.CrossSite.Kind != "" {
		x.CrossSite = &CrossSiteExplanation{Kind: v.CrossSite.Kind, Mode: v.CrossSite.Mode}
	}
}

func newPerson(id *identity.Identity, kind authn.Kind) *Person {
	p := &Person{
		Issuer: id.Issuer, Subject: id.Subject, Email: id.Email, EmailVerified: id.EmailVerified, Groups: id.Groups,
		ACR: id.ACR, AMR: id.AMR, AuthTime: id.AuthTime, Provider: id.Method, Credential: string(kind),
	}
	if kind == authn.KindSession && !id.Ref.IsZero() {
		p.Session = id.Ref.String()
	}
	return p
}

// Stand-ins for tokens, which nobody is shown.
const (
	assertionShown = "(a token that the gateway signs for this application)"
	forwardedShown = "(the access token of the user's provider)"
	idTokenShown   = "(the ID token of the user's provider)" //nolint:gosec // the words in its place
	signedInShown  = "(the credential that the gateway has for the application)"
	hiddenShown    = "(not shown)"
)

// upstream fills in what the upstream would get.
func (x *Explanation) upstream(v *Verdict, sent http.Header) {
	out := sent.Clone()
	if out == nil {
		out = http.Header{}
	}
	v.Rewrite(out)
	own := map[string]bool{}
	v.values.Each(func(name, _ string) { own[name] = true })
	for name, values := range out {
		for _, value := range values {
			switch {
			case own[name]:
			case mayHoldSecret(name):
				value = hiddenShown
			}
			x.Headers = append(x.Headers, HeaderLine{Name: name, Value: value, Set: own[name]})
		}
	}
	set := func(does bool, name, shown string) {
		if does {
			x.Headers = append(x.Headers, HeaderLine{Name: name, Value: shown, Set: true})
		}
	}
	set(v.Route.Assert != nil && v.Identity != nil, headers.AssertionHeader, assertionShown)
	set(v.Route.Forward != nil && v.Kind == authn.KindSession, "Authorization", forwardedShown)
	set(v.Route.ForwardID != nil && v.Kind == authn.KindSession, v.Route.Headers.IDTokenHeader(), idTokenShown)
	set(v.signedIn, "Authorization", signedInShown)
	slices.SortStableFunc(x.Headers, func(a, b HeaderLine) int { return strings.Compare(a.Name, b.Name) })
	for name := range sent {
		if _, stays := out[name]; !stays || own[name] {
			x.Removed = append(x.Removed, name)
		}
	}
	slices.Sort(x.Removed)
}
