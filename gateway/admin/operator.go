package admin

import (
	"context"
	"net"
	"net/http"

	"github.com/sallyport/sallyport/gateway/telemetry"
)

// operator is who makes a request of the operators' listener.
type operator struct {
	name  string // as audit records show it
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

// Operator says who makes a request, in the words of audit records: "token", or
// "certificate" and the subject of his certificate.
func Operator(r *http.Request) string { return operatorOf(r).name }

// Act begins the audit record of an operator's act: who, and from where.
func Act(r *http.Request, event, outcome string) telemetry.Audit {
	return telemetry.Audit{Event: event, Outcome: outcome, Operator: Operator(r), ClientAddr: clientOf(r)}
}

func clientOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr // of a socket
	}
	return host
}
