package login

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/jose"
)

// authServer is an authorization server as the gateway itself calls it. An
// endpoint that it does not have is empty.
type authServer struct {
	issuer string // as tokens and answers name it; empty where it has no name

	token      string // RFC 6749, section 3.2
	revocation string // RFC 7009
	pushed     string // RFC 9126

	wantsState bool // the exchange repeats the state, as Naver wants it

	auth *clientAuth
}

// authorized is a provider with an authorization server behind it: oidc and
// oauth2. Its error is that the server can not be used now: an outage.
type authorized interface {
	provider
	server() (*authServer, error)
}

// clientAuth calls the endpoints of one authorization server at which the
// gateway proves which client it is (RFC 6749, section 2.3). How is decided once
// and never tried out: a second attempt would burn the code or the refresh
// token. It is safe for concurrent use.
type clientAuth struct {
	cfg      config.Provider
	method   string // one of config.ClientAuth…
	key      *jose.ClientKey
	audience string // of assertions
	client   *http.Client
	mark     func(context.Context) context.Context // see jwks.Metadata.Context; may be nil
}

// post sends a form with the client's proof to one of the server's endpoints and
// returns what it answers, whatever the status; no redirect is followed. An
// error means that there is no complete answer: an outage, or a secret file that
// cannot be read. The form is not changed. The body may quote the request and so
// the secret: it is to be parsed, never logged or shown.
func (c *clientAuth) post(ctx context.Context, endpoint string, form url.Values) (status int, body []byte, err error) {
	status, _, body, err = c.send(ctx, c.client, endpoint, form)
	return status, body, err
}

// postPatiently is post where nobody waits: the end of ctx alone bounds it. It
// returns the header too.
func (c *clientAuth) postPatiently(ctx context.Context, endpoint string, form url.Values) (status int, header http.Header, body []byte, err error) {
	patient := *c.client
	patient.Timeout = 0
	return c.send(ctx, &patient, endpoint, form)
}

func (c *clientAuth) send(ctx context.Context, client *http.Client, endpoint string, form url.Values) (status int, answered http.Header, body []byte, err error) {
	form = maps.Clone(form)
	header := http.Header{}
	if err := c.prove(header, form); err != nil {
		return 0, nil, nil, err
	}
	if c.mark != nil {
		ctx = c.mark(ctx)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode())) //nolint:gosec // the endpoint is configured, or judged by jwks.Discover and the client
	if err != nil {
		return 0, nil, nil, errors.New("the endpoint is no URL")
	}
	req.Header = header
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	resp, err := client.Do(req) //nolint:gosec // as above
	if err != nil {
		return 0, nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if body, err = io.ReadAll(resp.Body); err != nil {
		return 0, nil, nil, err
	}
	return resp.StatusCode, resp.Header, body, nil
}

// prove adds what shows which client asks. A secret file is read each time, so
// that a secret can be exchanged while the gateway runs.
func (c *clientAuth) prove(h http.Header, form url.Values) error {
	switch c.method {
	case config.ClientAuthNone:
		form.Set("client_id", c.cfg.ClientID)
		return nil
	case config.ClientAuthPrivateKey:
		return c.key.Prove(form, c.audience)
	}
	secret, err := config.ReadSecret(c.cfg.ClientSecret, c.cfg.ClientSecretFile)
	if err != nil {
		return err
	}
	jose.ProveSecret(h, form, c.cfg.ClientID, secret.Reveal(), c.method == config.ClientAuthPost)
	return nil
}

// clientKey reads the key of private_key_jwt, where there is one.
func clientKey(cfg config.Provider) (*jose.ClientKey, error) {
	if cfg.ClientKeyFile == "" {
		return nil, nil
	}
	return jose.ReadClientKey(cfg.ClientID, cfg.ClientKeyFile)
}

// clientMethod decides how the client authenticates: as configured, else by what
// it has, and for a secret by what the server says that it takes. Without a word
// of the server's, that is client_secret_basic (RFC 8414, section 2).
func clientMethod(cfg config.Provider, taken []string) (string, error) {
	secret := cfg.ClientSecret != "" || cfg.ClientSecretFile != ""
	switch {
	case cfg.ClientAuth != "":
		return cfg.ClientAuth, nil
	case cfg.ClientKeyFile != "":
		return config.ClientAuthPrivateKey, nil
	case !secret:
		return config.ClientAuthNone, nil
	}
	for _, method := range []string{config.ClientAuthBasic, config.ClientAuthPost} {
		if len(taken) == 0 || slices.Contains(taken, method) {
			return method, nil
		}
	}
	return "", fmt.Errorf("the token endpoint takes %.200q, and none of client_secret_basic and client_secret_post", taken)
}
