package admin

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// LockCriteria say what a lock matches: what has all of those that are given.
type LockCriteria struct {
	Subject         string `json:"subject,omitempty"` // at Issuer, which can be left out where there is one alone
	Issuer          string `json:"issuer,omitempty"`
	Group           string `json:"group,omitempty"`
	ProviderSession string `json:"provider_session,omitempty"` // the sid of a session at Issuer
	Address         string `json:"address,omitempty"`          // an IP address or a network
	Route           string `json:"route,omitempty"`            // its name
}

// LockWish is the body of POST /locks.
type LockWish struct {
	LockCriteria
	Until   time.Time `json:"until,omitzero"`    // absent: until it is lifted
	Reason  string    `json:"reason"`            // for operators
	Message string    `json:"message,omitempty"` // for those whom it refuses
	Confirm bool      `json:"confirm,omitempty"` // the lock is meant, though it may be on everybody or on the operator
}

// Lock is a lock as the API tells of it.
type Lock struct {
	ID    string `json:"id"`
	State string `json:"state"` // active, lifted, expired
	On    string `json:"on"`    // the criteria in words
	LockCriteria
	Reason    string    `json:"reason"`
	Message   string    `json:"message,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	Until     time.Time `json:"until,omitzero"`
	LiftedAt  time.Time `json:"lifted_at,omitzero"`
	// Warnings, of a lock that was just made, say why it may match nothing.
	Warnings []string `json:"warnings,omitempty"`
}

// LockList is the answer of GET /locks.
type LockList struct {
	Locks []Lock `json:"locks"`
}

// Locker keeps locks. Errors are ErrNothingSuch for an id that no lock has, a
// *LockFaultError, or an outage.
type Locker interface {
	// Locks returns those that are active, the newest first, then those that ceased to
	// be within the last day.
	Locks(ctx context.Context) ([]Lock, error)
	// Lock returns when every gateway is sure to learn of it. from is where the
	// operator is.
	Lock(ctx context.Context, w LockWish, from netip.Addr) (Lock, error)
	// Unlock lifts a lock. One that is not active any more is returned as it is.
	Unlock(ctx context.Context, id string) (Lock, error)
}

// LockFaultError says why a lock is not made.
type LockFaultError struct {
	// Unconfirmed: it could be on everybody, or on the operator himself, and the wish
	// does not say that this is meant.
	Unconfirmed bool
	Problems    []string
}

// Error returns all problems.
func (f *LockFaultError) Error() string { return strings.Join(f.Problems, "; ") }

// LockEndpoints are the endpoints of locks. audit gets a record of every act.
func LockEndpoints(l Locker, audit *telemetry.Trail) []Endpoint {
	e := &lockEndpoints{l, audit}
	return []Endpoint{
		{
			Method: http.MethodGet, Path: "/locks", Serve: e.list, Gives: LockList{},
			Summary: "The locks that are in force, and those that ceased to be within the last day.",
		},
		{
			Method: http.MethodPost, Path: "/locks", Serve: e.lock, Takes: LockWish{}, Gives: Lock{}, Status: http.StatusCreated,
			Summary: "Lock a user, a group, an issuer, a session at a provider, an address or a route, at every gateway; of several, all must match.",
		},
		{
			Method: http.MethodDelete, Path: "/locks/{id}", Serve: e.unlock, Gives: Lock{},
			Summary: "Lift a lock, at every gateway.",
		},
	}
}

type lockEndpoints struct {
	locker Locker
	audit  *telemetry.Trail
}

func (e *lockEndpoints) list(w http.ResponseWriter, r *http.Request) error {
	list, err := e.locker.Locks(r.Context())
	if err != nil {
		return locksOutage("The locks are not known right now.", err)
	}
	if list == nil {
		list = []Lock{}
	}
	return writeJSON(w, http.StatusOK, LockList{list})
}

func (e *lockEndpoints) lock(w http.ResponseWriter, r *http.Request) error {
	var wish LockWish
	if err := readJSON(r, &wish); err != nil {
		return err
	}
	made, err := makeLock(r, e.locker, e.audit, wish)
	if fault, ok := errors.AsType[*LockFaultError](err); ok {
		if fault.Unconfirmed {
			return &httperr.Error{Code: http.StatusConflict, Reason: "unconfirmed_lock", Public: fault.Error()}
		}
		return badRequest(fault.Error())
	}
	if err != nil {
		return locksOutage("The store does not answer, so it is not sure that the lock is in force. Try again.", err)
	}
	return writeJSON(w, http.StatusCreated, made)
}

func (e *lockEndpoints) unlock(w http.ResponseWriter, r *http.Request) error {
	lifted, err := liftLock(r, e.locker, e.audit, r.PathValue("id"))
	if errors.Is(err, ErrNothingSuch) {
		return &httperr.Error{Code: http.StatusNotFound, Reason: "unknown_lock", Public: "There is no lock of this id."}
	}
	if err != nil {
		return locksOutage("The store does not answer, so it is not sure that the lock is lifted. Try again.", err)
	}
	return writeJSON(w, http.StatusOK, lifted)
}

// makeLock makes the lock that an operator wishes for in r, and records it. Errors are
// those of Locker.
func makeLock(r *http.Request, l Locker, audit *telemetry.Trail, wish LockWish) (Lock, error) {
	made, err := l.Lock(r.Context(), wish, peerOf(r))
	if _, fault := errors.AsType[*LockFaultError](err); fault {
		return Lock{}, err
	}
	if err != nil {
		made = Lock{LockCriteria: wish.LockCriteria, Reason: wish.Reason}
	}
	recordLock(r, audit, "lock", &made, err)
	return made, err
}

// liftLock is makeLock for the end of one.
func liftLock(r *http.Request, l Locker, audit *telemetry.Trail, id string) (Lock, error) {
	lifted, err := l.Unlock(r.Context(), id)
	if errors.Is(err, ErrNothingSuch) {
		return Lock{}, err
	}
	lifted.ID = id
	recordLock(r, audit, "unlock", &lifted, err)
	return lifted, err
}

func recordLock(r *http.Request, audit *telemetry.Trail, event string, l *Lock, err error) {
	line := ActOf(r, event, err)
	line.Issuer, line.Subject, line.Route = l.Issuer, l.Subject, l.Route
	line.Lock, line.On, line.Note = l.ID, l.On, l.Reason
	line.Personal = l.Subject != "" || l.ProviderSession != "" || l.Address != ""
	audit.Record(line)
}

// peerOf is where a request comes from; the zero Addr for a socket of the machine.
func peerOf(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}

func locksOutage(public string, err error) error {
	return &httperr.Error{
		Code: http.StatusServiceUnavailable, Reason: "store_unavailable", Public: public, Err: err,
		Header: http.Header{"Retry-After": {"5"}},
	}
}
