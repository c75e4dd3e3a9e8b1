package gateway

import (
	"context"
	"errors"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/admin"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/devpanel"
	"github.com/sallyport/sallyport/gateway/guard"
	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/login"
	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// panelPath is where the panel is, below the prefix.
const panelPath = "/dev"

// rehearsedTimeout is how long a sign-in waits for a provider that is to give no
// answer in time.
const rehearsedTimeout = 5 * time.Second

// development is what a gateway has besides that NewDevelopment has made.
type development struct {
	rehearsal login.Rehearsal
	store     breakableStore
}

// NewDevelopment is New with a panel at Prefix/dev, by which whoever can reach the
// gateway can be anybody and break everything. No configuration turns it on. It
// refuses a gateway that others than this machine could reach.
func NewDevelopment(ctx context.Context, cfg *config.Config, log *zap.Logger, version string) (*Gateway, error) {
	c := newCore(log, version, true)
	c.dev = &development{rehearsal: login.Rehearsal{Patience: rehearsedTimeout}}
	p, err := c.first(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return newGateway(p), nil
}

// errReachable says that a panel would be open to others.
var errReachable = errors.New("the development panel lets anybody be anybody, so server.listen and server.public_url must be loopback")

// mayHavePanel refuses a configuration by which others could reach the panel.
func (d *development) mayHavePanel(cfg *config.Config) error {
	if d != nil && (!cfg.Server.Loopback() || !cfg.Server.ListensLocally()) {
		return faultsAt(cfg, "server.listen", errReachable)
	}
	return nil
}

// signIns returns what sign-ins run into; nil in production.
func (d *development) signIns() *login.Rehearsal {
	if d == nil {
		return nil
	}
	return &d.rehearsal
}

// mount adds the panel to the gateway's own endpoints, in development.
func (d *development) mount(endpoints map[string]httperr.HandlerFunc, p *parts, signIn *login.Service, signing *signing) {
	if d == nil {
		return
	}
	server := p.cfg.Server
	o := devpanel.Options{
		Prefix: server.AuthPrefix, Origin: server.PublicURL,
		Idle: p.cfg.Session.IdleTimeout, Absolute: p.cfg.Session.AbsoluteTimeout,
		State: func(r *http.Request) devpanel.State { return d.state(p, r) },
		Ask:   p.askFor, FormToken: signIn.FormToken, Form: signIn.Form,
		Acts: d.acts(p, signIn),
		Mint: func(r *http.Request, m *devpanel.Mint) (string, time.Time, error) {
			got, err := signing.mint(&admin.MintRequest{Subject: m.Subject, Email: m.Email, Groups: m.Groups, Claims: m.Claims}, m.Lifetime)
			p.recordPanel(r, &telemetry.Audit{Event: actMintToken, Subject: m.Subject}, err)
			return got.AccessToken, got.ExpiresAt, err
		},
	}
	for _, provider := range p.cfg.Login.Providers {
		if provider.Type != config.ProviderDev {
			continue
		}
		o.Provider = provider.Name
		for _, who := range provider.Identities {
			o.Identities = append(o.Identities, devpanel.Identity{Subject: who.Subject, Name: who.Name, Email: who.Email, Groups: who.Groups})
		}
		break
	}
	panel := devpanel.New(o)
	endpoints[panelPath], endpoints[panelPath+"/explain"] = panel.Serve, panel.Explain
}

// state is what the panel shows of a browser.
func (d *development) state(p *parts, r *http.Request) devpanel.State {
	s := devpanel.State{NextTrouble: string(d.rehearsal.Waiting()), StoreDown: d.store.downUntil()}
	candidates := p.sessions.Cookies().Read(r.Header)
	if candidates.Len() == 0 {
		return s
	}
	live, err := p.sessions.Authenticate(r.Context(), &candidates, false)
	switch {
	case errors.Is(err, session.ErrIdle):
		s.Over = "it was idle for too long"
	case errors.Is(err, session.ErrNotFound):
		s.Over = "it has reached its end, or was revoked"
	case err == nil:
		id := live.Identity
		s.Who = &devpanel.Who{
			Subject: id.Subject, Name: id.Name, Email: id.Email, Issuer: id.Issuer, Groups: id.Groups,
			Provider: live.Provider, Began: live.CreatedAt(), Absolute: live.ExpiresAt(),
		}
		s.Who.Idle, _, _ = p.sessions.Expiry(r.Context(), live) // an outage is shown elsewhere
	}
	return s
}

// askFor tells what a GET of a path by the same browser would come to.
func (p *parts) askFor(r *http.Request, path string) (devpanel.Answer, any, error) {
	q := Question{Method: http.MethodGet, URL: path, Client: p.trust.addr(r), Header: http.Header{}}
	for _, name := range []string{"Accept", "Accept-Language", "Cookie", "User-Agent"} {
		if values := r.Header[name]; values != nil {
			q.Header[name] = values
		}
	}
	ask, err := q.ask(p.cfg)
	if err != nil {
		return devpanel.Answer{}, nil, &httperr.Error{
			Code: http.StatusBadRequest, Reason: "malformed_request", Public: "That is no address of this gateway.", Err: err,
		}
	}
	x := explainIn(r.Context(), p.cfg, p.guard, p.entrances, ask)
	return shownAnswer(x), x, nil
}

func shownAnswer(x *guard.Explanation) devpanel.Answer {
	a := devpanel.Answer{Outcome: x.Verdict.Outcome, Reason: x.Verdict.Reason, Rule: x.Verdict.Rule, Route: x.Route, Removed: x.Removed}
	for _, h := range x.Headers {
		a.Headers = append(a.Headers, devpanel.Header{Name: h.Name, Value: h.Value, Set: h.Set})
	}
	return a
}

func malformed(public string) error {
	return &httperr.Error{Code: http.StatusBadRequest, Reason: "malformed_request", Public: public}
}

func storeTrouble(err error) error {
	if err == nil || errors.Is(err, session.ErrNotFound) {
		return nil
	}
	return &httperr.Error{Code: http.StatusServiceUnavailable, Reason: login.ReasonStoreUnavailable, Public: "Sessions cannot be read or written right now.", Err: err}
}
