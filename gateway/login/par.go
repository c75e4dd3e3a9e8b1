package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/sallyport/sallyport/gateway/telemetry"
)

// maxRequestURI bounds a request_uri in bytes: it stands in a URL.
const maxRequestURI = 2 << 10

// push hands an authorization request to the server (RFC 9126) and returns what
// the browser carries instead of it. The server's request_uri ends soon: it is
// used once, by the redirect that is made now, and never kept. Errors are
// *httperr.Error.
func (s *authServer) push(ctx context.Context, q url.Values) (url.Values, error) {
	status, body, err := s.auth.post(telemetry.WithOperation(ctx, telemetry.OperationPushed), s.pushed, q)
	if err != nil {
		return nil, providerOutage(fmt.Errorf("pushed authorization request: %w", err))
	}
	if status != http.StatusCreated && status != http.StatusOK {
		_, err := readTokens(status, body) // it refuses in the same words
		return nil, pushError(err)
	}
	var answer struct {
		RequestURI string  `json:"request_uri"`
		ExpiresIn  float64 `json:"expires_in"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, providerOutage(errors.New("pushed authorization request: the answer is not JSON"))
	}
	if answer.RequestURI == "" || len(answer.RequestURI) > maxRequestURI || answer.ExpiresIn <= 0 {
		return nil, providerOutage(errors.New("pushed authorization request: the answer has no request_uri that can be used"))
	}
	return url.Values{"client_id": {q.Get("client_id")}, "request_uri": {answer.RequestURI}}, nil
}

func pushError(err error) error {
	if no, ok := errors.AsType[*tokenRefusal](err); ok && !no.outage() {
		return badRequest(ReasonProviderError, "The sign-in service refused this site. Tell the people who run it.",
			fmt.Errorf("pushed authorization request: status %d, error %.40q", no.Status, no.Code))
	}
	return providerOutage(fmt.Errorf("pushed authorization request: %w", err))
}
