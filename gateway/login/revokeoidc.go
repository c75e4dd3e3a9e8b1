package login

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/oauth2"

	"github.com/sallyport/sallyport/gateway/config"
)

var _ tokenRevoker = (*oidc)(nil)

// revocation implements tokenRevoker.
func (o *oidc) revocation() (string, postForm, error) {
	found := o.current.Load()
	if found == nil {
		return "", nil, o.ready()
	}
	return found.meta.RevocationEndpoint, func(ctx context.Context, endpoint string, form url.Values) (int, []byte, error) {
		return o.postAsClient(found.meta.Context(ctx), found.authStyle, endpoint, form)
	}, nil
}

func (o *oidc) postAsClient(ctx context.Context, style oauth2.AuthStyle, endpoint string, form url.Values) (int, []byte, error) {
	secret, err := config.ReadSecret(o.cfg.ClientSecret, o.cfg.ClientSecretFile)
	if err != nil && !errors.Is(err, config.ErrNoSecret) {
		return 0, nil, err
	}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"application/json"}}
	if style == oauth2.AuthStyleInHeader {
		pair := url.QueryEscape(o.cfg.ClientID) + ":" + url.QueryEscape(secret.Reveal()) // RFC 6749, section 2.3.1
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	} else {
		form.Set("client_id", o.cfg.ClientID)
		if secret != "" {
			form.Set("client_secret", secret.Reveal())
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil, err
	}
	req.Header = header
	resp, err := o.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, err
	}
	return resp.StatusCode, body, nil
}
