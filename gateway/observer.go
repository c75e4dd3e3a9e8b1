package gateway

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/telemetry"
	"github.com/sallyport/sallyport/gateway/tracing"
)

// observer makes of every request one line in the log, its metrics, and an audit
// line where it was refused, whichever way the request came in.
type observer struct {
	trust   *trust
	metrics *telemetry.Metrics
	tracer  *tracing.Tracer // nil where nothing is traced
	log     *zap.Logger
	audit   *telemetry.Trail
	final   finalHeaders
}

// begin opens the event of a request, and returns the request that goes on. finish must
// be deferred right after it.
func (o *observer) begin(w http.ResponseWriter, r *http.Request) (*telemetry.Recorder, *http.Request) {
	rec := &telemetry.Recorder{ResponseWriter: w}
	e := &rec.Event
	e.Start = time.Now()
	e.RequestID = requestID(r)
	e.ClientAddr = o.trust.client(r)
	e.Method, e.Host, e.Path = r.Method, r.Host, r.URL.Path
	// Everybody who gets the request or the answer reads the same id there.
	id := []string{e.RequestID}
	w.Header()[httperr.RequestIDHeader], r.Header[httperr.RequestIDHeader] = id, id
	rec.Final = o.final.now()
	if o.tracer != nil {
		r = o.tracer.Begin(r, o.trust.peer(r.RemoteAddr), e)
	}
	return rec, r
}

// finish closes the event, also after a panic, which costs the client its
// connection but nobody else anything.
func (o *observer) finish(rec *telemetry.Recorder, r *http.Request) {
	e := &rec.Event
	panicked := recover()
	if panicked != nil && panicked != http.ErrAbortHandler { //nolint:errorlint // a panic value, not a returned error
		e.Panic = panicked
		if e.Status == 0 {
			e.Status = http.StatusInternalServerError
		}
	}
	if e.Status == 0 {
		e.Status = http.StatusOK // net/http answers so for a handler that wrote nothing
	}
	e.Took = time.Since(e.Start)
	o.metrics.Request(e)
	o.tracer.End(r, e)
	client, subject, people := e.ClientAddr, e.Subject, o.audit.People()
	e.ClientAddr, e.Subject = people.Tell(client), people.Tell(subject)
	e.Log(o.log)
	if e.Outcome == "forbid" {
		o.audit.Record(&telemetry.Audit{
			Event: "deny", Outcome: "ok", Reason: e.Reason, Rule: e.Rule, Route: e.Route, Decision: e.Decision, Lock: e.Lock,
			RequestID: e.RequestID, ClientAddr: client,
			Issuer: e.Issuer, Subject: subject, Session: e.Session,
		})
	}
	if panicked != nil {
		// net/http closes the connection; it logs nothing for this value.
		panic(http.ErrAbortHandler)
	}
}

// check watches over a request that did not come by the public listener, but that
// somebody asks about. A panic of serve comes out as http.ErrAbortHandler, and is in
// the log then.
func (o *observer) check(w http.ResponseWriter, r *http.Request, serve func(http.ResponseWriter, *http.Request)) {
	rec, r := o.begin(w, r)
	defer o.finish(rec, r)
	serve(rec, r)
}

// observe records an error in the event before the edge answers with it.
func observe(w http.ResponseWriter, _ *http.Request, err *httperr.Error) {
	e := telemetry.EventOf(w)
	if e.Outcome == "answered" || e.Outcome == "allow" || e.Outcome == "" {
		e.Reason = err.Reason
	}
	if err.Err != nil {
		e.Err = err.Err
	}
	if err.Code == httperr.StatusClientClosed {
		e.Status = err.Code
	}
}

// requestID takes the client's request id if it is well formed, so that a
// request can be followed through several hops, and makes one otherwise. It is
// a label, not a secret.
func requestID(r *http.Request) string {
	if given := r.Header[httperr.RequestIDHeader]; len(given) == 1 && wellFormedID(given[0]) {
		return given[0]
	}
	var id [8]byte
	binary.BigEndian.PutUint64(id[:], rand.Uint64()) //nolint:gosec // not a secret
	return hex.EncodeToString(id[:])
}

func wellFormedID(id string) bool {
	if len(id) < 8 || len(id) > 64 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		switch {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}
