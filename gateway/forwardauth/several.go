package forwardauth

import (
	"errors"
	"maps"
	"net/http"
	"slices"

	"github.com/sallyport/sallyport/gateway/frontend"
	"github.com/sallyport/sallyport/gateway/guard"
	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// granted is a request that may pass, and why.
type granted struct {
	original *http.Request
	verdict  guard.Verdict
}

// errDiffer keeps a client from choosing, by a header of its own, as whom the
// application of another route would see it.
var errDiffer = errors.New("the check may mean requests to several routes, whose applications are told different things: have the proxy set " + originalURLHeader + " and " + originalMethod)

// askAboutAll is the rest of a check that may mean several requests: each of them must
// be allowed. What is not described at all is for the operator to find, so that the
// answer is the status of its own that an opaque proxy takes for a failure.
func (s *Service) askAboutAll(w http.ResponseWriter, r *http.Request, d *endpoint, event *telemetry.Event) error {
	originals, e := s.originals(d, r)
	if e != nil {
		event.Outcome, event.Reason = guard.Malformed.String(), e.Reason
		if e.Reason != ReasonOriginal {
			s.refuse(w, r, d, e)
			return nil
		}
		return e
	}
	all := make([]granted, 0, len(originals))
	for _, original := range originals {
		v, yes := s.decide(w, original, d, event)
		if !yes {
			return nil
		}
		if d.Admits != nil && !d.Admits(r, &v) {
			event.Outcome, event.Reason = guard.Forbid.String(), ReasonQuery
			s.refuse(w, original, d, &httperr.Error{Code: http.StatusForbidden, Reason: ReasonQuery, Public: "You are signed in, but this is not for you."})
			return nil
		}
		all = append(all, granted{original, v})
	}
	first := &all[0]
	for i := range all[1:] {
		same, unsafe := s.alike(first, &all[i+1])
		switch {
		case unsafe:
			s.spoofed(w, first.original, d)
			return nil
		case !same:
			event.Outcome, event.Reason = guard.Malformed.String(), ReasonOriginal
			return frontend.BadOriginal(errDiffer)
		}
	}
	s.allow(w, first.original, d, &first.verdict)
	return nil
}

// alike reports whether two requests look the same behind the proxy, and whether the
// other could bring along what must not come there.
func (s *Service) alike(first, other *granted) (same, unsafe bool) {
	if other.verdict.Route == first.verdict.Route && other.verdict.Reason == first.verdict.Reason {
		return true, false
	}
	a, b := s.Passes.Pass(first.original, &first.verdict), s.Passes.Pass(other.original, &other.verdict)
	return maps.EqualFunc(a.Set, b.Set, slices.Equal), len(b.Unsafe) > 0
}

func (s *Service) originals(d *endpoint, r *http.Request) ([]*http.Request, *httperr.Error) {
	all, err := d.Originals(r)
	requests := make([]*http.Request, len(all))
	for i := range all {
		o := &all[i]
		if s.MaxTarget > 0 && len(o.Target) > s.MaxTarget {
			return nil, frontend.TargetTooLong()
		}
		o.Header, o.Peer = r.Header, r.RemoteAddr
		if requests[i], err = o.Request(r.Context()); err != nil {
			break
		}
	}
	if err != nil {
		return nil, frontend.BadOriginal(err)
	}
	return requests, nil
}
