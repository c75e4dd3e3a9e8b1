package gateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/guard"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/route"
	"github.com/sallyport/sallyport/policy"
)

// Explanation is what a gateway decides on a request, with everything that led to it.
type Explanation = guard.Explanation

// The parts of an Explanation.
type (
	// RouteCandidate is what a route has to do with the request.
	RouteCandidate = route.Candidate
	// RuleExplanation is what a rule says of it.
	RuleExplanation = policy.RuleExplanation
	// ConditionExplanation is what a condition of a rule says of it.
	ConditionExplanation = policy.ConditionExplanation
)

// Question is a request that somebody asks about.
type Question struct {
	Method string
	URL    string // absolute, or a path at the host of public_url
	Header http.Header
	Client netip.Addr // the zero Addr: not known
	At     time.Time  // the zero Time: now

	Listener string // that it comes in by; "" for one without a policy

	// Identity is taken for proven, by a credential of the kind Credential or, where
	// that is empty, of the kind that the route prefers. Where it is nil, nobody has
	// signed in.
	Identity   *policy.Identity
	Credential string
}

// Explain tells what a gateway with this configuration decides, and why. It needs no
// running gateway and opens no store; external authorizers are asked. An error is
// a fault of the configuration, or a question that can't be one.
func Explain(ctx context.Context, cfg *config.Config, q *Question) (*Explanation, error) {
	ask, err := q.ask(cfg)
	if err != nil {
		return nil, err
	}
	ask.Unproven = true
	if q.Identity != nil {
		ask.Identity = provenIdentity(q.Identity)
	}
	p, err := build(ctx, cfg, zap.NewNop(), "explain", false)
	if err != nil {
		return nil, err
	}
	if ask.Entrance, err = q.entrance(cfg, p.entrances); err != nil {
		return nil, errors.Join(err, p.core.close())
	}
	x := explainIn(ctx, cfg, p.guard, p.entrances, ask)
	x.Notes = append(x.Notes, lockNote)
	return x, p.core.close()
}

// lockNote is added to what is explained without the store.
const lockNote = "Locks are in the store, which was not asked: one may be in the way. A running gateway knows them (explain --session)."

// entrance finds the listener of the question.
func (q *Question) entrance(cfg *config.Config, entrances map[string]*guard.Entrance) (*guard.Entrance, error) {
	var names []string
	for _, l := range cfg.Server.AllListeners() {
		if names = append(names, l.Name); l.Name == q.Listener {
			return entrances[l.Name], nil
		}
	}
	if q.Listener == "" {
		return nil, nil //nolint:nilnil // one without a policy
	}
	return nil, fmt.Errorf("there is no listener %q: name one of %s", q.Listener, strings.Join(names, ", "))
}

// ask makes the request that the question is about.
func (q *Question) ask(cfg *config.Config) (guard.Question, error) {
	target, _, _ := strings.Cut(q.URL, "#") // the rest, browsers keep to themselves
	host := cfg.Server.URL().Host
	if scheme, rest, absolute := strings.Cut(target, "://"); absolute && !strings.ContainsAny(scheme, "/?") {
		end := strings.IndexAny(rest+"/", "/?")
		if host, target = rest[:end], rest[end:]; !strings.HasPrefix(target, "/") {
			target = "/" + target
		}
	}
	u, err := url.ParseRequestURI(target)
	if err != nil || !strings.HasPrefix(target, "/") {
		return guard.Question{}, fmt.Errorf("%q is neither a URL nor a path: write one such as https://app.example.com/reports, or /reports", q.URL)
	}
	r := &http.Request{Method: q.Method, URL: u, RequestURI: target, Host: host, Header: q.Header}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	ask := guard.Question{Request: r, Client: q.Client, Now: q.At, Kind: authn.Kind(q.Credential)}
	if ask.Now.IsZero() {
		ask.Now = time.Now()
	}
	return ask, nil
}

// explainIn knows that what is under the prefix never comes to the guard.
func explainIn(ctx context.Context, cfg *config.Config, g *guard.Guard, entrances map[string]*guard.Entrance, q guard.Question) *Explanation {
	path, prefix := q.Request.URL.Path, cfg.Server.AuthPrefix
	if _, own := belowPrefix(path, prefix); own {
		return &Explanation{
			Time: q.Now, Method: q.Request.Method, Host: q.Request.Host, Path: path,
			Verdict: guard.VerdictExplanation{Outcome: "answered"},
			Notes:   []string{"What is below " + prefix + " is the gateway's own, and no route is looked for."},
		}
	}
	x := g.Explain(ctx, q)
	if q.Entrance == nil && x.Policy != nil {
		for _, name := range slices.Sorted(maps.Keys(entrances)) {
			x.Notes = append(x.Notes, "What comes in by the listener "+name+" is asked of its own policy as well: see --listener.")
		}
	}
	return x
}

func provenIdentity(id *policy.Identity) *identity.Identity {
	return &identity.Identity{
		Issuer: id.Issuer, Subject: id.Subject, Email: id.Email, EmailVerified: id.EmailVerified,
		Name: id.Name, PreferredUsername: id.PreferredUsername, Groups: id.Groups,
		AMR: id.AMR, ACR: id.ACR, AuthTime: id.AuthTime, Method: id.Provider,
		Claims: id.Claims,
	}
}
