package admin

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/guard"
	"github.com/sallyport/sallyport/gateway/httperr"
)

// ExplainRequest is a request that an operator asks about.
type ExplainRequest struct {
	Method   string      `json:"method"`
	URL      string      `json:"url"`
	Headers  http.Header `json:"headers,omitempty"` // with the credential, unless Session names one
	Client   netip.Addr  `json:"client,omitzero"`
	At       time.Time   `json:"at,omitzero"`
	Listener string      `json:"listener,omitempty"` // that the request comes in by; "" for one without a policy
	Session  string      `json:"session,omitempty"`  // the first 16 hex digits of its hash
}

// Explainer tells why. Its answers are made for JSON. ErrNothingSuch means that
// the session or the decision is not known, a *QuestionError that the question
// makes no sense; other errors are outages.
type Explainer interface {
	Explain(ctx context.Context, q *ExplainRequest) (any, error)
	Decision(name string) (any, error)
}

// ErrNothingSuch is an Explainer's definite no.
var ErrNothingSuch = errors.New("admin: nothing of that name")

const noDecision = "No such decision is kept here. Each gateway keeps the last few thousand denials in memory, until it is restarted."

// Reasons of the endpoints that explain.
const (
	ReasonUnknownSession  = "unknown_session"
	ReasonUnknownDecision = "unknown_decision"
)

// QuestionError says what is wrong with a question, in words for the operator.
type QuestionError struct{ Problem string }

// Error returns the problem.
func (e *QuestionError) Error() string { return e.Problem }

// ExplainEndpoints are the endpoints that explain decisions.
func ExplainEndpoints(e Explainer) []Endpoint {
	return []Endpoint{
		{Method: http.MethodPost, Path: "/explain", Takes: ExplainRequest{}, Gives: guard.Explanation{}, Summary: "Explains what would become of a request: which route, which rule, and why.", Serve: func(w http.ResponseWriter, r *http.Request) error {
			var q ExplainRequest
			if err := readJSON(r, &q); err != nil {
				return err
			}
			if q.Method == "" || q.URL == "" {
				return badRequest("Send method and url.")
			}
			canonical := http.Header{}
			for name, values := range q.Headers {
				for _, value := range values {
					canonical.Add(name, value)
				}
			}
			q.Headers = canonical
			x, err := e.Explain(r.Context(), &q)
			return explained(w, x, err, ReasonUnknownSession, "No session of that name goes on.")
		}},
		{Method: http.MethodGet, Path: "/decisions/{name}", Gives: guard.Explanation{}, Summary: "Explains a denial by the name that the person was shown.", Serve: func(w http.ResponseWriter, r *http.Request) error {
			x, err := e.Decision(strings.ToUpper(r.PathValue("name")))
			return explained(w, x, err, ReasonUnknownDecision, noDecision)
		}},
	}
}

func explained(w http.ResponseWriter, x any, err error, reason, absent string) error {
	if errors.Is(err, ErrNothingSuch) {
		return &httperr.Error{Code: http.StatusNotFound, Reason: reason, Public: absent}
	}
	if question, ok := errors.AsType[*QuestionError](err); ok {
		return badRequest(question.Problem)
	}
	if err != nil {
		return &httperr.Error{Code: http.StatusServiceUnavailable, Reason: "store_unavailable", Public: "The store does not answer. Try again.", Err: err}
	}
	return writeJSON(w, http.StatusOK, x)
}
