package admin

import (
	"errors"
	"net/http"
	"time"

	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// LockPages are the locks to look at, to make and to lift.
func LockPages(l Locker, audit *telemetry.Trail) ([]Page, []Form) {
	p := &lockPages{l, audit}
	return []Page{{Path: "/locks", Name: "Locks", Show: p.list}},
		[]Form{{Path: "/locks", Do: p.lock}, {Path: "/locks/lift", Do: p.lift}}
}

type lockPages struct {
	locker Locker
	audit  *telemetry.Trail
}

type locksView struct {
	Active, Past []Lock
	Wish         LockWish // as it was sent
	For          string   // how long, as it was sent
	Problems     []string
	Unconfirmed  bool
	Warnings     []string
}

func (p *lockPages) list(r *http.Request) (*View, error) {
	q := r.URL.Query()
	return p.view(r, &locksView{Wish: LockWish{LockCriteria: LockCriteria{Subject: q.Get("subject"), Issuer: q.Get("issuer")}}})
}

func (p *lockPages) view(r *http.Request, v *locksView) (*View, error) {
	list, err := p.locker.Locks(r.Context())
	if err != nil {
		return nil, locksOutage("The locks are not known right now.", err)
	}
	for i := range list {
		if list[i].State == "active" {
			v.Active = append(v.Active, list[i])
		} else {
			v.Past = append(v.Past, list[i])
		}
	}
	return &View{Title: "Locks", File: "locks", Data: v}, nil
}

func (p *lockPages) lock(r *http.Request) (string, *View, error) {
	f := r.PostForm
	v := &locksView{For: f.Get("for"), Wish: LockWish{
		LockCriteria: LockCriteria{
			Subject: f.Get("subject"), Issuer: f.Get("issuer"), Group: f.Get("group"),
			ProviderSession: f.Get("provider_session"), Address: f.Get("address"), Route: f.Get("route"),
		},
		Reason: f.Get("reason"), Message: f.Get("message"), Confirm: f.Get("confirm") == "yes",
	}}
	if v.For != "" {
		span, err := parseSpan(v.For)
		if err != nil || span <= 0 {
			v.Problems = []string{"How long is neither a number of days, such as 3d, nor a duration, such as 12h."}
			again, err := p.view(r, v)
			return "", again, err
		}
		v.Wish.Until = time.Now().Add(span).UTC().Truncate(time.Second)
	}
	made, err := makeLock(r, p.locker, p.audit, v.Wish)
	if fault, ok := errors.AsType[*LockFaultError](err); ok {
		v.Problems, v.Unconfirmed = fault.Problems, fault.Unconfirmed
		again, err := p.view(r, v)
		return "", again, err
	}
	if err != nil {
		return "", nil, locksOutage("The store does not answer, so it is not sure that the lock is in force. Try again.", err)
	}
	if len(made.Warnings) > 0 { // it is in force all the same
		again, err := p.view(r, &locksView{Warnings: made.Warnings})
		return "", again, err
	}
	return "/locks", nil, nil
}

func (p *lockPages) lift(r *http.Request) (string, *View, error) {
	_, err := liftLock(r, p.locker, p.audit, r.PostForm.Get("id"))
	if errors.Is(err, ErrNothingSuch) {
		return "", nil, &httperr.Error{Code: http.StatusNotFound, Reason: "unknown_lock", Public: "There is no lock of this id."}
	}
	if err != nil {
		return "", nil, locksOutage("The store does not answer, so it is not sure that the lock is lifted. Try again.", err)
	}
	return "/locks", nil, nil
}
