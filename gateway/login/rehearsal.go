package login

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
)

// Trouble is what a developer has the next sign-in run into.
type Trouble string

// The troubles of a sign-in.
const (
	TroubleNone    Trouble = ""
	TroubleError   Trouble = "error"   // the provider refuses the request
	TroubleTimeout Trouble = "timeout" // the provider does not answer in time
	TroubleDenied  Trouble = "denied"  // the user, or the provider, says no
)

// Rehearsal makes sign-ins fail, so that a developer sees what his users would. It
// is for development alone, and safe for concurrent use.
type Rehearsal struct {
	next atomic.Value // of Trouble
	// Patience is how long a timeout lasts.
	Patience time.Duration
}

// Next says what the next sign-in runs into; TroubleNone takes that back.
func (h *Rehearsal) Next(t Trouble) { h.next.Store(t) }

// Waiting returns what was said by Next and has not happened yet.
func (h *Rehearsal) Waiting() Trouble {
	t, _ := h.next.Load().(Trouble)
	return t
}

var errRehearsed = errors.New("a developer has asked for it")

// meet returns what the sign-in runs into, once.
func (h *Rehearsal) meet(ctx context.Context) error {
	if h == nil {
		return nil
	}
	t, _ := h.next.Swap(TroubleNone).(Trouble)
	switch t {
	case TroubleError:
		return badRequest(ReasonProviderError, "The sign-in service refused the request. Start again.", errRehearsed)
	case TroubleDenied:
		return refuse(http.StatusForbidden, ReasonAccessDenied, "The sign-in was refused or cancelled.", errRehearsed)
	case TroubleTimeout:
		timer := time.NewTimer(h.Patience)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		return providerOutage(errRehearsed)
	case TroubleNone:
	}
	return nil
}

// Session returns the live session of a request, nil without one. Asking is no
// activity. The error is an outage.
func (s *Service) Session(r *http.Request) (*session.Session, error) {
	live, _, err := s.live(r)
	return live, err
}

// Form reads a form that one of the gateway's own pages posts with a token of
// FormToken in csrf. The error is the answer where another site's page sent it.
func (s *Service) Form(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if r.Method != http.MethodPost {
		return nil, notAllowed(http.MethodPost)
	}
	form, err := readForm(w, r)
	if err != nil {
		return nil, err
	}
	return form, s.checkLogoutForm(r, form.Get("csrf"))
}
