package admin

import (
	"crypto/rand"
	"net/http"

	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// ActOf begins the audit record of what an operator did, or could not do because of
// err: whose act it was, and which request.
func ActOf(r *http.Request, event string, err error) *telemetry.Audit {
	a := &telemetry.Audit{
		Event: event, Outcome: "ok", Operator: operatorOf(r).name,
		RequestID: r.Header.Get(httperr.RequestIDHeader), ClientAddr: clientOf(r),
	}
	if err != nil {
		a.Outcome, a.Reason = "failed", "store_unavailable"
	}
	return a
}

// maxRequestID bounds the id that a client may give its request.
const maxRequestID = 64

// identified gives every request an id, the client's own where that is well formed,
// which the answer and the audit records of the request carry.
func identified(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(httperr.RequestIDHeader)
		if !isRequestID(id) {
			id = rand.Text()[:16]
		}
		r.Header.Set(httperr.RequestIDHeader, id)
		w.Header().Set(httperr.RequestIDHeader, id)
		next.ServeHTTP(w, r)
	})
}

func isRequestID(id string) bool {
	if len(id) < 8 || len(id) > maxRequestID {
		return false
	}
	for _, c := range []byte(id) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}
