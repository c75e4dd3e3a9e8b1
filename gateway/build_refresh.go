package gateway

import (
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/headers"
	"github.com/sallyport/sallyport/gateway/login"
	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// startRenewing lets the Manager renew the tokens of providers, which the service
// of sign-ins knows how to do.
func startRenewing(p *parts, signIn *login.Service) {
	p.sessions.Renewing(session.Renewing{
		Refresher: signIn, Records: p.core.records, Settings: p.cfg.Session.Refresh, Observe: p.core.metrics.Refresh,
		Barred: p.core.locks.Holds,
		Ended: func(s *session.Session, result string) {
			p.core.audit.Record(&telemetry.Audit{
				Event: "session_ended", Outcome: "ok", Reason: result,
				Provider: s.Provider, Issuer: s.Identity.Issuer, Subject: s.Identity.Subject, Session: s.Key().String(),
			})
		},
	})
}

// forward is what a route sends upstream of a session's tokens: the access token,
// and the ID token.
func (c *credentials) forward(r *config.Route) (access, id headers.Forward) {
	if r.ForwardAccessToken {
		access = c.session.AccessToken
	}
	if r.ForwardIDToken != "" {
		id = c.session.IDToken
	}
	return access, id
}
