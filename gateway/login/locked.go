package login

import (
	"errors"
	"net/http"

	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/session"
)

// ReasonLocked says that an operator has locked the user, or where he comes from.
const ReasonLocked = "locked"

// Locked says whether operators have locked somebody, or where he comes from; nil
// stands for nobody in particular yet. message is for him to read, and may be
// empty. An error is an outage.
type Locked func(r *http.Request, id *identity.Identity) (locked bool, message string, err error)

// lockedError is a sign-in of somebody who is locked.
type lockedError struct {
	answer *httperr.Error
	who    *identity.Identity // nil where it is his address alone
}

// Error returns the answer's words.
func (e *lockedError) Error() string { return e.answer.Error() }

// Unwrap returns the answer.
func (e *lockedError) Unwrap() error { return e.answer }

// checkLocked refuses whom a lock is on. The error is the answer.
func (s *Service) checkLocked(r *http.Request, id *identity.Identity) error {
	if s.locked == nil {
		return nil
	}
	locked, message, err := s.locked(r, id)
	switch {
	case err != nil:
		return outage(ReasonUnavailable, "The gateway can't check right now whether you may come in.", err)
	case !locked:
		return nil
	}
	answer := refuse(http.StatusForbidden, ReasonLocked, "Access is locked for now. The people who run this site know why.", nil)
	answer.Message = message
	return &lockedError{answer, id}
}

// checkLockedAddress refuses a sign-in from a locked address before it begins.
func (s *Service) checkLockedAddress(r *http.Request, provider string) error {
	if err := s.checkLocked(r, nil); err != nil {
		return s.failLogin(r, provider, err)
	}
	return nil
}

// isLocked reports whether a lock is on the user of a session, as far as is known.
func (s *Service) isLocked(r *http.Request, live *session.Session) bool {
	_, is := errors.AsType[*lockedError](s.checkLocked(r, live.Identity))
	return is
}
