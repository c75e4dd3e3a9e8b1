package authorizer

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/sallyport/sallyport/policy"
)

const (
	// maxAsking bounds the questions that are under way at once, and so the
	// connections. The others wait, within their timeout.
	maxAsking = 128
	// maxResponseHeader bounds the header of an answer, in bytes.
	maxResponseHeader = 16 << 10
	// maxRest is how much of an unwanted body is read to keep its connection.
	maxRest = 4 << 10

	dialTimeout = 5 * time.Second
	idleTimeout = 90 * time.Second
)

// newHTTPClient makes a client with connections of its own. It stays with HTTP/1.1,
// where a connection that went silent takes one question with it and not all.
func newHTTPClient(roots *x509.CertPool) *http.Client {
	dialer := net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment, // which leaves loopback out
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    dialTimeout,
			MaxIdleConns:           maxAsking,
			MaxIdleConnsPerHost:    maxAsking,
			IdleConnTimeout:        idleTimeout,
			MaxResponseHeaderBytes: maxResponseHeader,
			DisableCompression:     true,
		},
		// A redirect would carry the identity, and the token, elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

var errBusy = errors.New("too many questions are under way")

// ask asks the service once.
func (c *Client) ask(ctx context.Context, body []byte) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	began := time.Now()
	a, err := c.exchange(ctx, body)
	took := time.Since(began)
	switch {
	case err == nil:
		c.o.Observe(a.result(), took)
		c.trouble.over(c)
		return a, nil
	case isSenseless(err):
		c.o.Observe(ResultError, took)
		c.trouble.over(c)
		return nil, err
	case errors.Is(ctx.Err(), context.Canceled):
		return nil, c.locate(err) // the client went away, which says nothing of the service
	}
	c.o.Observe(ResultOutage, took)
	c.trouble.begins(c, err)
	return nil, c.locate(err)
}

func isSenseless(err error) bool {
	_, ok := errors.AsType[*policy.EvaluationError](err)
	return ok
}

// exchange sends the question and reads the answer. Its errors hold neither.
func (c *Client) exchange(ctx context.Context, body []byte) (*answer, error) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
	}
	if err := ctx.Err(); err != nil { // both can be the case
		return nil, fmt.Errorf("%w: %w", errBusy, err)
	}
	res, err := c.send(ctx, body)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		_, _ = io.CopyN(io.Discard, res.Body, maxRest)
		return nil, fmt.Errorf("it answers with status %d", res.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("the answer breaks off: %w", err)
	}
	if len(text) > maxAnswer {
		return nil, c.senseless(errAnswerTooLarge)
	}
	a, err := parseAnswer(text)
	if err != nil {
		return nil, c.senseless(fmt.Errorf("the answer: %w", err))
	}
	return a, nil
}

func (c *Client) send(ctx context.Context, body []byte) (*http.Response, error) {
	header := http.Header{
		"Accept":       {"application/json"},
		"Content-Type": {"application/json"},
		"User-Agent":   {"sallyport"},
		// Asking twice does no harm: net/http may repeat the request where a kept
		// connection turns out to be closed. Without values it is not sent.
		"X-Idempotency-Key": nil,
	}
	if c.o.Token != nil {
		token, err := c.o.Token()
		if err != nil {
			return nil, fmt.Errorf("the gateway's own token: %w", err)
		}
		if !httpguts.ValidHeaderFieldValue(token) {
			return nil, errors.New("the gateway's own token holds what no header can")
		}
		header["Authorization"] = []string{"Bearer " + token}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.o.URL, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the URL can't be used")
	}
	r.Header = header
	res, err := c.http.Do(r)
	if err != nil {
		return nil, plain(err)
	}
	return res, nil
}

var errNoHTTP = errors.New("what came is no HTTP")

// plain takes out of an error of net/http what must not be in a log: the URL, whose
// query may be a secret, and what a service sent that is no HTTP.
func plain(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	for _, known := range []error{context.DeadlineExceeded, context.Canceled, io.EOF, io.ErrUnexpectedEOF, http.ErrSchemeMismatch} {
		if errors.Is(err, known) {
			return err
		}
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return err
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return err
	}
	return errNoHTTP
}
