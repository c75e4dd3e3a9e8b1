package login

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/sallyport/sallyport/gateway/jose"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// askUserinfo reads the JSON object that an API has about the owner of an
// access token. Errors are *httperr.Error.
func askUserinfo(ctx context.Context, client *http.Client, address, accessToken string) (map[string]any, error) {
	body, err := askAPI(ctx, client, address, accessToken)
	if err != nil {
		return nil, err
	}
	answer, err := jose.DecodeObject(body)
	if err != nil {
		return nil, badUserinfo(errors.New("not a JSON object"))
	}
	return answer, nil
}

// askAPI reads JSON with an access token (RFC 6750, section 2.1). An API that
// does not answer, or has had enough of questions, is an outage; any other
// refusal is one of the sign-in.
func askAPI(ctx context.Context, client *http.Client, address, accessToken string) ([]byte, error) {
	ctx = telemetry.WithOperation(ctx, telemetry.OperationUserinfo)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody) //nolint:gosec // the address is configured, or judged by jwks.Discover and the client
	if err != nil {
		return nil, providerOutage(err)
	}
	req.Header.Set("Authorization", "Bearer "+accessToken)
	req.Header.Set("Accept", "application/json")
	resp, err := client.Do(req) //nolint:gosec // as above
	if err != nil {
		return nil, providerOutage(fmt.Errorf("userinfo endpoint: %w", err))
	}
	defer func() { _ = resp.Body.Close() }()
	limited := resp.StatusCode == http.StatusForbidden && resp.Header.Get("X-Ratelimit-Remaining") == "0" // GitHub
	switch {
	case resp.StatusCode >= http.StatusInternalServerError, resp.StatusCode == http.StatusTooManyRequests, limited:
		return nil, providerOutage(fmt.Errorf("userinfo endpoint: status %d", resp.StatusCode))
	case resp.StatusCode != http.StatusOK:
		return nil, badUserinfo(fmt.Errorf("status %d", resp.StatusCode))
	}
	if media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return nil, badUserinfo(fmt.Errorf("content type %.60q", media))
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, providerOutage(fmt.Errorf("userinfo endpoint: %w", err))
	}
	return body, nil
}
