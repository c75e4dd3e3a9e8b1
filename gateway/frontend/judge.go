package frontend

import (
	"net/http"
	"time"

	"github.com/sallyport/sallyport/gateway/guard"
	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// Judge decides about requests that other proxies ask about.
type Judge struct {
	Guard *guard.Guard
	// Challenge makes absolute URLs: proxies are at another address than the gateway,
	// and resolve others against that.
	Challenge guard.Challenger
	// Own reports whether a path is one of the gateway's own: what a proxy sends to
	// an application from there is not for it.
	Own func(path string) bool
}

// Judge decides about a request, as about any, and notes it in the event. The request
// may pass where there is neither a location nor a refusal, which are those of
// Refuse.
func (j *Judge) Judge(w http.ResponseWriter, r *http.Request, event *telemetry.Event) (_ guard.Verdict, location string, _ *httperr.Error) {
	if j.Own(r.URL.Path) {
		event.Outcome, event.Reason = guard.NoRoute.String(), guard.ReasonNoRoute
		return guard.Verdict{}, "", NotServed(guard.ReasonNoRoute)
	}
	start := time.Now()
	v, err := j.Guard.Decide(r)
	event.DecideStart = start
	event.DecideTime += time.Since(start)
	Record(event, &v)
	switch {
	case err != nil:
		return v, "", Outage(event, err)
	case v.Outcome == guard.Allow:
		return v, "", nil
	}
	refused := v // or every verdict would be on the heap
	location, e := Refuse(w, r, &refused, j.Challenge)
	return v, location, e
}
