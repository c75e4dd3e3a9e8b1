package admin

import (
	"context"
	"net"
	"net/http"

	"github.com/sallyport/sallyport/gateway/telemetry"
)

// operator is who makes a request of the operators' listener.
type operator struct {
	name  string // as audit records show it: "admin token", or "certificate" and its subject
	bound []byte // what the tokens of his forms are good for
	// ambient says that his browser proves him by itself, whoever's page asks it to.
	ambient bool
}

type operatorKey struct{}

func withOperator(r *http.Request, o *operator) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), operatorKey{}, o))
}

func operatorOf(r *http.Request) *operator {
	o, _ := r.Context().Value(operatorKey{}).(*operator)
	if o == nil {
		return &operator{}
	}
	return o
}

func clientOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr // of a socket
	}
	return host
}

// refusedAct is the audit record of a wrong token.
func refusedAct(r *http.Request) *telemetry.Audit {
	a := ActOf(r, "admin_refused", nil)
	a.Outcome, a.Reason = "failed", "bad_admin_token"
	return a
}
