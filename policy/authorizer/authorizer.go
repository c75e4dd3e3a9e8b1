// Package authorizer asks an HTTP service whether a request may pass: Open Policy
// Agent by its data API, or anything that answers in the same way. It owns what is
// sent, what counts as an answer, how long one counts, and the connections.
//
// It tells three things apart. An answer is yes, no, or a sign-in that is wanted. What
// comes back with status 200 and is no answer, or can't be asked at all, is a
// *policy.EvaluationError: denied. Everything else is an outage: neither yes nor no.
//
// What the answer is good for, and what becomes of an error, is package policy's.
package authorizer

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/policy"
)

// Result is what became of one request, for metrics: a closed set.
type Result string

// The results.
const (
	ResultAllow  Result = "allow"
	ResultDeny   Result = "deny"
	ResultStepUp Result = "step_up"
	ResultError  Result = "error"  // what came is no answer, or the request can't be put as a question
	ResultOutage Result = "outage" // nothing came
	ResultCached Result = "cached" // any answer, from memory or to a question that was under way
)

// Options are what a Client needs. Only Policy, URL and Timeout are required.
type Options struct {
	Policy  string // the name of the policy that asks
	URL     string // http or https, without a user or a fragment
	Timeout time.Duration
	// Cache is how long an answer counts, from when the question was sent; 0 = for
	// nobody else.
	Cache time.Duration
	// Headers are the names of request header fields that are sent. Fields that carry
	// credentials can't be.
	Headers []string
	// Token returns the bearer token to send; it is called for every question.
	Token func() (string, error)
	// RootCAs are the authorities that can vouch for the service; nil = the system's.
	RootCAs *x509.CertPool
	// Observe hears of every request, and how long its question took: 0 where none was
	// asked.
	Observe func(result Result, took time.Duration)
	// Log is told when an outage begins and when it is over.
	Log *zap.Logger
}

// Client asks one service for one policy. It is safe for concurrent use.
type Client struct {
	o       Options
	url     string // as logs may show it
	headers []string
	http    *http.Client
	slots   chan struct{} // of questions under way
	memory  *memory       // nil: nothing is remembered
	trouble trouble
}

var _ policy.Authorizer = (*Client)(nil)

// New makes a Client. It asks nobody.
func New(o Options) (*Client, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("authorizer: the URL can't be used") // it may hold a secret
	}
	c := &Client{
		o: o, url: u.Scheme + "://" + u.Host + u.EscapedPath(),
		http: newHTTPClient(o.RootCAs), slots: make(chan struct{}, maxAsking),
	}
	for _, name := range o.Headers {
		name = policy.HeaderName(name)
		if policy.CarriesCredential(name) {
			return nil, fmt.Errorf("authorizer: the header field %s carries a credential", name)
		}
		c.headers = append(c.headers, name)
	}
	if c.o.Observe == nil {
		c.o.Observe = func(Result, time.Duration) {}
	}
	if c.o.Log == nil {
		c.o.Log = zap.NewNop()
	}
	if o.Cache > 0 {
		if c.memory, err = newMemory(o.Cache); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Authorize implements policy.Authorizer. It takes no longer than the timeout.
func (c *Client) Authorize(ctx context.Context, in *policy.Input) (policy.Decision, error) {
	// 1. Put the question. What has two readings is not sent with one of them.
	body, err := c.question(in)
	if err != nil {
		c.o.Observe(ResultError, 0)
		return policy.Decision{}, c.senseless(err)
	}
	// 2. Get the answer: from memory, from a question under way, or by asking.
	var a *answer
	if c.memory != nil {
		a, err = c.recall(ctx, body)
	} else {
		a, err = c.ask(ctx, body)
	}
	if err != nil {
		return policy.Decision{}, err
	}
	// 3. Decide by it, for this user and this moment.
	return a.decide(in), nil
}

// name is what the authorizer is called where rules have names.
const name = policy.RuleAuthorizer

// senseless says that there is no answer, and that asking again won't help.
func (c *Client) senseless(err error) error {
	return &policy.EvaluationError{Rule: name, Err: c.locate(err)}
}

// locate says whose trouble it is.
func (c *Client) locate(err error) error {
	return fmt.Errorf("%s for the policy %s: %w", c.url, c.o.Policy, err)
}
