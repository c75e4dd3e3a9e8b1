package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

const (
	// revokeTimeout bounds the revocation of one session's tokens.
	revokeTimeout = 10 * time.Second
	// revokeDrain bounds what is still done when the gateway ends.
	revokeDrain = 3 * time.Second
	// maxRevocations bounds those that wait; further ones are left to the end
	// of the tokens themselves.
	maxRevocations = 256
	revokers       = 4
)

// endedSession is a session at its end, and what its provider must still hear.
type endedSession struct {
	session *session.Session // nil when there was none
	tokens  providerTokens
}

// takeTokens reads the provider's tokens of a session that is about to end. They
// can't be read afterwards. A failure costs their revocation, never the sign-out.
func (s *Service) takeTokens(r *http.Request, live *session.Session) endedSession {
	e := endedSession{session: live}
	if live == nil {
		return e
	}
	kept, err := s.sessions.Tokens(r.Context(), live.Key())
	if err == nil && len(kept) > 0 {
		err = json.Unmarshal(kept, &e.tokens)
	}
	if err != nil {
		e.tokens = providerTokens{}
		s.log.Warn("the tokens of a session that ends can't be read, and so are not revoked",
			zap.String("session", live.Key().String()), zap.Error(err))
	}
	return e
}

// revocations take tokens back at the providers after a sign-out, which never
// waits for them.
type revocations struct {
	queue chan endedSession
	do    func(context.Context, endedSession)
	full  func(endedSession)
}

func newRevocations(do func(context.Context, endedSession), full func(endedSession)) *revocations {
	return &revocations{queue: make(chan endedSession, maxRevocations), do: do, full: full}
}

func (q *revocations) add(e endedSession) {
	select {
	case q.queue <- e:
	default:
		q.full(e)
	}
}

// run works until ctx ends, and then for a moment on what is left.
func (q *revocations) run(ctx context.Context) {
	var workers sync.WaitGroup
	defer workers.Wait()
	for range revokers {
		workers.Go(func() {
			for {
				select {
				case e := <-q.queue:
					q.within(context.WithoutCancel(ctx), revokeTimeout, e)
				case <-ctx.Done():
					q.drain(ctx)
					return
				}
			}
		})
	}
}

func (q *revocations) drain(ctx context.Context) {
	rest, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeDrain)
	defer cancel()
	for {
		select {
		case e := <-q.queue:
			q.within(rest, revokeTimeout, e)
		default:
			return
		}
	}
}

func (q *revocations) within(ctx context.Context, limit time.Duration, e endedSession) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	q.do(ctx, e)
}

// revokeLater asks the provider of a session that was ended to take its tokens
// back, in the background.
func (s *Service) revokeLater(e endedSession) {
	if e.session == nil || e.tokens.RefreshToken == "" && e.tokens.AccessToken == "" {
		return
	}
	if _, ok := s.provider(e.session.Provider).(authorized); ok {
		s.revocations.add(e)
	}
}

func (s *Service) revoke(ctx context.Context, e endedSession) {
	p, ok := s.provider(e.session.Provider).(authorized)
	if !ok {
		return
	}
	srv, err := p.server()
	if err == nil && srv.revocation == "" {
		return
	}
	a := Audit{
		Event: EventRevoke, Outcome: OutcomeOK, Provider: e.session.Provider,
		Issuer: e.session.Identity.Issuer, Subject: e.session.Identity.Subject, Session: e.session.Key().String(),
	}
	if err == nil {
		err = revokeTokens(ctx, srv, &e.tokens)
	}
	if err != nil {
		a.Outcome, a.Reason = OutcomeFailed, ReasonProviderUnavailable
		if errors.Is(err, errNotRevoked) {
			a.Reason = ReasonProviderError
		}
		s.log.Warn("the tokens of a session that ended were not revoked at the provider",
			zap.String("provider", a.Provider), zap.String("session", a.Session), zap.Error(err))
	}
	s.audit(a)
}

// revocationQueueFull tells operators of tokens that are left to their own end.
func (s *Service) revocationQueueFull(e endedSession) {
	s.log.Warn("too many sessions ended at once for their tokens to be revoked at the provider",
		zap.String("provider", e.session.Provider), zap.String("session", e.session.Key().String()))
}

var errNotRevoked = errors.New("the provider refused to revoke a token")

// revokeTokens is RFC 7009, section 2.1. The refresh token comes first: most
// providers take the access tokens back with it. The body of an answer may quote
// the token, so only its error code is kept.
func revokeTokens(ctx context.Context, srv *authServer, tokens *providerTokens) error {
	for _, t := range []struct{ kind, token string }{
		{"refresh_token", tokens.RefreshToken}, {"access_token", tokens.AccessToken},
	} {
		if t.token == "" {
			continue
		}
		status, body, err := srv.auth.post(telemetry.WithOperation(ctx, telemetry.OperationRevocation), srv.revocation, url.Values{"token": {t.token}, "token_type_hint": {t.kind}})
		switch {
		case err != nil:
			return fmt.Errorf("revocation endpoint: %s: %w", t.kind, err)
		case status >= http.StatusInternalServerError, status == http.StatusTooManyRequests:
			return fmt.Errorf("revocation endpoint: %s: status %d", t.kind, status)
		case status < 200 || status > 299:
			var answer struct {
				Error string `json:"error"`
			}
			_ = json.Unmarshal(body, &answer) // whatever else it is, it is no success
			if answer.Error == "unsupported_token_type" {
				continue // section 2.2.1: tokens of this kind can't be taken back there
			}
			return fmt.Errorf("%w: %s: status %d, error %.40q", errNotRevoked, t.kind, status, answer.Error)
		}
	}
	return nil
}
