package login

import (
	"io"
	"net/http"
	"time"
)

const (
	// backChannelTimeout bounds one call to a provider: somebody is waiting.
	backChannelTimeout = 5 * time.Second
	// maxAnswer bounds the body of an answer in bytes.
	maxAnswer = 1 << 20
)

// newBackChannel makes the client for calls that carry secrets: codes, client
// credentials, access tokens. It follows no redirect, which could carry them
// to another host, and reads no unbounded body.
func newBackChannel(transport http.RoundTripper) *http.Client {
	if transport == nil {
		transport = http.DefaultTransport
	}
	return &http.Client{
		Transport:     boundedTransport{transport},
		Timeout:       backChannelTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// boundedTransport cuts every body off after maxAnswer bytes, so that what is
// longer fails to parse.
type boundedTransport struct{ http.RoundTripper }

func (t boundedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	return resp, nil
}
