package forwardauth

import (
	"cmp"
	"maps"
	"net/http"
	"strings"

	"github.com/sallyport/sallyport/gateway/frontend"
	"github.com/sallyport/sallyport/gateway/guard"
	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// allow answers with no body: nginx closes the connection after one.
func (s *Service) allow(w http.ResponseWriter, original *http.Request, d *endpoint, v *guard.Verdict) {
	h := w.Header()
	pass := frontend.Pass{Set: h}
	s.Passes.Into(&pass, original, v)
	switch {
	case d.Removal != "":
		h[d.Removal] = []string{s.removed(&pass)}
	case len(pass.Unsafe) > 0:
		// The proxy sets headers by their names, and would let these pass beside them.
		for _, name := range s.Passes.Names() {
			delete(h, name)
		}
		s.spoofed(w, original, d)
		return
	}
	for _, name := range d.Withhold {
		delete(h, name)
	}
	if d.Adorn != nil {
		adorning := *v // or every verdict would be on the heap
		d.Adorn(h, &adorning)
	}
	w.WriteHeader(cmp.Or(d.Yes, http.StatusOK))
}

func (s *Service) spoofed(w http.ResponseWriter, original *http.Request, d *endpoint) {
	event := telemetry.EventOf(w)
	event.Outcome, event.Reason = guard.Malformed.String(), ReasonSpoofed
	s.refuse(w, original, d, frontend.Malformed(ReasonSpoofed))
}

// removed lists what must not come to the application: the headers without a value
// as well, so that it need not tell an empty one from none.
func (s *Service) removed(pass *frontend.Pass) string {
	names := pass.Remove
	for _, name := range s.Passes.Names() {
		if pass.Set[name][0] == "" {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

func redirect(w http.ResponseWriter, d *endpoint, location, reason string) {
	h := w.Header()
	h["Location"], h[ReasonHeader] = []string{location}, []string{reason}
	if d.Opaque {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.WriteHeader(http.StatusFound)
}

// refuse answers for the client, or in the statuses that an opaque proxy
// understands.
func (s *Service) refuse(w http.ResponseWriter, original *http.Request, d *endpoint, e *httperr.Error) {
	h := w.Header()
	h[ReasonHeader] = []string{e.Reason}
	if !d.Opaque || original.Context().Err() != nil { // nobody waits for the answer
		s.Edge.Write(w, withBody(original), e)
		return
	}
	maps.Copy(h, e.Header)
	status := e.Code
	if status < http.StatusInternalServerError && status != http.StatusUnauthorized {
		status = http.StatusForbidden
	}
	if s.Edge.Observe != nil {
		s.Edge.Observe(w, original, e)
	}
	w.WriteHeader(status)
}

// fail answers for a check that panics, and lets the panic go on. Otherwise the
// connection would be closed, and each proxy has its own opinion of that.
func fail(w http.ResponseWriter) {
	p := recover()
	if p == nil {
		return
	}
	if telemetry.EventOf(w).Status == 0 {
		h := w.Header()
		id := h[httperr.RequestIDHeader]
		clear(h)
		h[httperr.RequestIDHeader] = id
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Length", "0")
		h.Set("Connection", "close")
		h.Set(ReasonHeader, "internal")
		w.WriteHeader(http.StatusInternalServerError)
		_ = http.NewResponseController(w).Flush() // or net/http would drop it
	}
	panic(p)
}

// ignoreBody answers without waiting for the body of a check, which nobody needs. The
// connection ends with it: a proxy that announces the body of the client and sends
// none would have its next check read as that body.
func ignoreBody(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 && r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
}

// withBody is the request as one whose answer has a body. A check about a HEAD is a
// GET itself: an answer that promises a body and has none would end the connection,
// and be an error to a proxy. net/http leaves the body out where the check is a HEAD.
func withBody(r *http.Request) *http.Request {
	if r.Method != http.MethodHead {
		return r
	}
	get := *r
	get.Method = http.MethodGet
	return &get
}
