package gateway

import (
	"context"
	"errors"

	"github.com/sallyport/sallyport/gateway/admin"
	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/guard"
	"github.com/sallyport/sallyport/gateway/session"
)

// explainer answers the questions of operators about a running gateway.
type explainer struct {
	cfg       *config.Config
	guard     *guard.Guard
	entrances map[string]*guard.Entrance
	sessions  *session.Manager
	denied    *denials
}

var _ admin.Explainer = (*explainer)(nil)

// Explain implements admin.Explainer.
func (e *explainer) Explain(ctx context.Context, in *admin.ExplainRequest) (any, error) {
	q := Question{Method: in.Method, URL: in.URL, Header: in.Headers, Client: in.Client, At: in.At, Listener: in.Listener}
	ask, err := q.ask(e.cfg)
	if err != nil {
		return nil, &admin.QuestionError{Problem: err.Error()}
	}
	if ask.Entrance, err = q.entrance(e.cfg, e.entrances); err != nil {
		return nil, &admin.QuestionError{Problem: err.Error()}
	}
	if in.Session != "" {
		s, err := e.sessions.Named(ctx, in.Session)
		if errors.Is(err, session.ErrNotFound) || errors.Is(err, session.ErrIdle) {
			return nil, admin.ErrNothingSuch
		}
		if err != nil {
			return nil, err
		}
		ask.Identity, ask.Kind = s.Identity, authn.KindSession
	}
	return explainIn(ctx, e.cfg, e.guard, e.entrances, ask), nil
}

// Decision implements admin.Explainer.
func (e *explainer) Decision(name string) (any, error) {
	d := e.denied.find(name)
	if d == nil {
		return nil, admin.ErrNothingSuch
	}
	return e.guard.ExplainDenial(name, d), nil
}
