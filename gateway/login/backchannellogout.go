package login

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/jose"
	"github.com/sallyport/sallyport/gateway/session"
)

// Reasons of a logout token that has no effect.
const (
	ReasonInvalidLogoutToken  = "invalid_logout_token"  //nolint:gosec // a word of the reference
	ReasonReplayedLogoutToken = "replayed_logout_token" //nolint:gosec // likewise
)

// logoutKind is the kind of the records of logout tokens that were used.
const logoutKind = "logout_jti"

// logoutMemory is how long a used token is remembered, from when it was made: for
// longer than it is accepted, on clocks that differ.
const logoutMemory = 5 * time.Minute

// logoutJudge is a provider that can say that a user has signed out there.
type logoutJudge interface {
	provider
	// judgeLogout proves a logout token. A definite no is an *httperr.Error below
	// 500; an outage one with 503.
	judgeLogout(ctx context.Context, raw string) (*jose.Logout, error)
	// pageOrigins are the origins at which the provider shows its own pages.
	pageOrigins() []string
}

// logoutJudge is the provider that a request to an endpoint names, which takes one
// method.
func (s *Service) logoutJudge(r *http.Request, endpoint, method string) (logoutJudge, error) {
	p, ok := s.provider(strings.TrimPrefix(r.URL.Path, s.prefix+endpoint)).(logoutJudge)
	if !ok {
		return nil, unknownProvider()
	}
	if r.Method != method {
		return nil, notAllowed(method)
	}
	return p, nil
}

// BackChannelLogout is POST Prefix/backchannel-logout/{provider}, which the
// provider itself calls: OpenID Connect Back-Channel Logout 1.0. The token is all
// the proof there is, so there is no check against other sites' pages and no
// cookie counts. Whatever keeps it from being judged or from taking effect is 503,
// so that the provider tries again.
func (s *Service) BackChannelLogout(w http.ResponseWriter, r *http.Request) error {
	noStore(w)
	p, err := s.logoutJudge(r, "/backchannel-logout/", http.MethodPost)
	if err != nil {
		return err
	}
	said, err := s.takeLogout(w, r, p)
	a := Audit{Event: EventProviderLogout, Outcome: OutcomeOK, Provider: p.name(), Request: r}
	if said != nil {
		a.Issuer, a.Subject = said.Issuer, said.Subject
	}
	if err == nil {
		s.audit(a)
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusOK)
		return nil
	}
	refused := httperr.As(err)
	a.Outcome, a.Reason = OutcomeFailed, refused.Reason
	s.audit(a)
	if refused.Code >= http.StatusInternalServerError {
		return err
	}
	s.log.Warn("a logout token had no effect: "+refused.Error(), providerField(p))
	return writeJSON(w, r, http.StatusBadRequest, struct { // section 2.8
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}{"invalid_request", refused.Reason})
}

// takeLogout judges the request, and ends what it names. A token that was proven
// is returned with any error.
func (s *Service) takeLogout(w http.ResponseWriter, r *http.Request, p logoutJudge) (*jose.Logout, error) {
	// 1. Read the form.
	form, err := readForm(w, r)
	if err != nil {
		return nil, err
	}
	raw := form.Get("logout_token")
	if raw == "" {
		return nil, badRequest(ReasonInvalidLogoutToken, "", errors.New("there is no logout_token"))
	}
	// 2. Prove the token.
	said, err := p.judgeLogout(r.Context(), raw)
	if err != nil {
		return nil, err
	}
	// 3. It was not used before. It is remembered at the end only: when something
	// fails on the way, the provider sends it again, and then it must count.
	if s.records == nil {
		return said, storeOutage(errors.New("nothing remembers logout tokens"))
	}
	name := logoutName(said)
	switch _, err := s.records.LoadRecord(r.Context(), logoutKind, name); {
	case err == nil:
		return said, badRequest(ReasonReplayedLogoutToken, "", nil)
	case !errors.Is(err, session.ErrNotFound):
		return said, storeOutage(err)
	}
	// 4. End one session of the provider with all that began from it, or all
	// sessions of the user (section 2.6, steps 7 to 9). No such session is no error.
	if said.SessionID != "" {
		_, err = s.sessions.EndProviderSession(r.Context(), said.Issuer, said.SessionID)
	} else {
		_, err = s.sessions.EndSubject(r.Context(), said.Issuer, said.Subject)
	}
	if err != nil {
		return said, storeOutage(err)
	}
	// 5. Remember it. Where another request was quicker with the same token, both
	// have ended the same.
	_, err = s.records.SaveRecord(r.Context(), logoutKind, name, 0, []byte{1}, said.IssuedAt.Add(logoutMemory))
	if err != nil && !errors.Is(err, session.ErrConflict) {
		return said, storeOutage(err)
	}
	return said, nil
}

// logoutName is a token's jti at its issuer, of a length that a store can take.
func logoutName(l *jose.Logout) string {
	sum := sha256.Sum256([]byte(l.Issuer + "\x00" + l.ID))
	return hex.EncodeToString(sum[:])
}

var _ logoutJudge = (*oidc)(nil)

// judgeLogout implements logoutJudge (Back-Channel Logout 1.0, section 2.6).
func (o *oidc) judgeLogout(ctx context.Context, raw string) (*jose.Logout, error) {
	found := o.current.Load()
	if found == nil {
		return nil, providerOutage(o.ready())
	}
	token, err := jose.Parse(raw)
	if err != nil {
		return nil, badLogoutToken(err)
	}
	claims, rules, err := o.verify(ctx, found, token, badLogoutToken)
	if err != nil {
		return nil, err
	}
	said, err := rules.JudgeLogout(token, claims, time.Now(), false)
	if err != nil {
		return nil, badLogoutToken(err)
	}
	// Sessions know the user by the claim that was mapped to the subject.
	if claim := o.cfg.SubjectClaim; claim != "" && claim != "sub" {
		v, _ := claims.Lookup(claim)
		if said.Subject = subjectText(v); said.Subject == "" && said.SessionID == "" {
			return nil, badLogoutToken(fmt.Errorf("it has neither sid nor %s, by which sessions know the user", claim))
		}
	}
	return said, nil
}

func badLogoutToken(err error) error {
	return badRequest(ReasonInvalidLogoutToken, "", fmt.Errorf("logout token: %w", err))
}
