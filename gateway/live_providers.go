package gateway

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/jose"
	"github.com/sallyport/sallyport/gateway/jwks"
	"github.com/sallyport/sallyport/gateway/login"
)

// The differences between clocks that are worth a word, and that break sign-ins.
const (
	oddSkew = 10 * time.Second
	badSkew = time.Minute
)

// witness remembers what the first answer shows besides its content.
type witness struct {
	http.RoundTripper
	mu   sync.Mutex
	date time.Time // by its Date (RFC 9110, section 6.6.1)
	at   time.Time // when it came
	cert *x509.Certificate
}

// RoundTrip implements http.RoundTripper.
func (w *witness) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := w.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.at.IsZero() {
		w.at = time.Now()
		w.date, _ = http.ParseTime(res.Header.Get("Date"))
		if res.TLS != nil && len(res.TLS.PeerCertificates) > 0 {
			w.cert = res.TLS.PeerCertificates[0]
		}
	}
	return res, nil
}

// watched makes a client for a provider, and remembers what it shows.
func watched(caFile, issuer, backChannel string) (*http.Client, *witness, error) {
	client, err := jwks.NewClient(caFile)
	if err != nil {
		return nil, nil, err
	}
	if err := jwks.Reroute(client, issuer, backChannel); err != nil {
		return nil, nil, err
	}
	w := &witness{RoundTripper: client.Transport}
	client.Transport = w
	return client, w, nil
}

// seen judges the clock and the certificate of who has answered.
func (t *tried) seen(w *witness) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.at.IsZero() { // nobody has answered, which was said
		return
	}
	if w.cert != nil {
		t.expiry("certificate", w.cert, "tell whoever runs it: nobody can sign in once it has expired")
	}
	if w.date.IsZero() {
		t.unknown("clock", "the answer has no Date")
		return
	}
	// The header has whole seconds.
	skew := w.at.Sub(w.date).Round(time.Second)
	text := fmt.Sprintf("differs by %s from this one", skew.Abs())
	switch fix := "set both clocks by NTP: tokens are refused as expired, or as not valid yet"; {
	case skew.Abs() > badSkew:
		t.failing("clock", text, fix)
	case skew.Abs() > oddSkew:
		t.weak("clock", text, fix)
	default:
		t.ok("clock", text)
	}
}

func providerTrials(cfg *config.Config) []trial {
	var all []trial
	for i := range cfg.Login.Providers {
		p := &cfg.Login.Providers[i]
		at := fmt.Sprintf("login.providers[%d]", i)
		switch {
		case p.OpenID():
			all = append(all, trial{"provider " + p.Name, at + ".issuer", func(ctx context.Context, t *tried) { t.openID(ctx, cfg, p) }})
		case p.OAuth2():
			all = append(all, trial{"provider " + p.Name, at + ".token_url", func(ctx context.Context, t *tried) {
				t.reach(ctx, "token endpoint", p.TokenURL, p.CAFile)
				t.unknown("redirect_uri", redirectURI(cfg, p)+" has to be registered there")
			}})
		}
	}
	return all
}

func redirectURI(cfg *config.Config, p *config.Provider) string {
	return cfg.Server.URL().String() + cfg.Server.AuthPrefix + "/callback/" + p.Name
}

// openID tries the discovery document, the keys, and the redirect URI.
func (t *tried) openID(ctx context.Context, cfg *config.Config, p *config.Provider) {
	client, w, err := watched(cfg.FileName(p.CAFile), p.Issuer, p.BackChannelURL)
	if err != nil {
		t.failing("discovery", err.Error(), "name a file with certificates in PEM in ca_file")
		return
	}
	defer client.CloseIdleConnections()
	named := p.Issuer
	if p.Type == config.ProviderMicrosoft && (p.Tenant == config.TenantAny || p.Tenant == config.TenantOrganizations) {
		named = strings.Replace(named, "/"+p.Tenant+"/", "/{tenantid}/", 1)
	}
	meta, err := jwks.DiscoverAs(ctx, client, p.Issuer, named, p.InsecureHTTP)
	if err != nil {
		t.failing("discovery", err.Error(), "open "+strings.TrimSuffix(p.Issuer, "/")+"/.well-known/openid-configuration from this machine; issuer must be what the document says, character by character")
		t.unknown("redirect_uri", redirectURI(cfg, p)+" has to be registered there")
		return
	}
	t.ok("discovery", "the document is that of "+p.Issuer+offers(meta))
	if len(meta.CodeChallengeMethods) > 0 && !slices.Contains(meta.CodeChallengeMethods, "S256") {
		t.weak("pkce", "the provider does not say that it knows S256", "turn PKCE on there (RFC 7636): codes that are stolen can be used otherwise")
	}
	t.keys(meta.Context(ctx), client, meta.JWKSURI, "ID tokens", allAlgorithms())
	t.seen(w)
	t.redirect(ctx, client, cfg, p, meta)
	t.client(ctx, client, cfg, p, meta)
}

// client tries whether the provider takes the secret, or the key.
func (t *tried) client(ctx context.Context, client *http.Client, cfg *config.Config, p *config.Provider, meta *jwks.Metadata) {
	const check = "client"
	switch code, err := login.TryClient(ctx, client, *p, meta, redirectURI(cfg, p)); {
	case err != nil:
		t.unknown(check, cause(err).Error())
	case code == "invalid_client" || code == "unauthorized_client":
		t.failing(check, "the provider refuses the client "+p.ClientID+" ("+code+")",
			"compare client_id and the secret or key with what the provider gave this application, and client_auth with how it wants to have them")
	case code == "invalid_grant":
		t.ok(check, "the provider takes it for "+p.ClientID)
	default:
		t.unknown(check, fmt.Sprintf("the provider answers %.40q, and tells at the first sign-in", code))
	}
}

// offers tells what matters to signing out.
func offers(m *jwks.Metadata) string {
	var missing []string
	if m.EndSessionEndpoint == "" {
		missing = append(missing, "a sign-out here does not reach it (no end_session_endpoint)")
	}
	if !m.BackchannelLogout {
		missing = append(missing, "one there is not told to this gateway (no back-channel logout)")
	}
	if len(missing) == 0 {
		return ""
	}
	return "; " + strings.Join(missing, ", ")
}

func allAlgorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

// keys fetches a key set, and looks whether there is a key for one of the algorithms.
func (t *tried) keys(ctx context.Context, client *http.Client, address, of string, algorithms []string) {
	const fix = "open the key set from this machine, and compare its keys with the algorithms that are accepted"
	body, err := fetch(ctx, client, address)
	if err != nil {
		t.failing("jwks", err.Error(), fix)
		return
	}
	set, dropped, err := jose.ParseKeySet(body)
	if err != nil {
		t.failing("jwks", "what is at "+address+" is no key set: "+err.Error(), fix)
		return
	}
	t.usable(set, dropped, of, algorithms)
}

func (t *tried) usable(set *jose.KeySet, dropped int, of string, algorithms []string) {
	var usable []string
	for _, alg := range algorithms {
		if set.Supports(alg) {
			usable = append(usable, alg)
		}
	}
	if len(usable) == 0 {
		t.failing("jwks", fmt.Sprintf("of %d keys none proves %s by %s", set.Len()+dropped, of, strings.Join(algorithms, ", ")), "write the algorithm that the issuer signs with in algorithms, or have it publish a key for one of these")
		return
	}
	t.ok("jwks", fmt.Sprintf("%d of %d keys can be used, for %s", set.Len(), set.Len()+dropped, strings.Join(usable, ", ")))
}

// fetch reads an answer of at most the size of a key set. Its errors don't show
// what a query of the address holds.
func fetch(ctx context.Context, client *http.Client, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "sallyport")
	res, err := client.Do(req)
	if err != nil {
		return nil, cause(err)
	}
	defer res.Body.Close() //nolint:errcheck // it was read
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %s", res.Status)
	}
	return io.ReadAll(io.LimitReader(res.Body, jose.MaxKeySetBytes))
}

func cause(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}

// redirect begins a sign-in that nobody can finish (prompt=none: no page is wanted),
// and looks how the provider refuses it. One that sends the browser back knows the
// redirect URI (RFC 6749, section 4.1.2.1). Whatever else it does is not taken for a
// yes.
func (t *tried) redirect(ctx context.Context, client *http.Client, cfg *config.Config, p *config.Provider, meta *jwks.Metadata) {
	uri := redirectURI(cfg, p)
	const check = "redirect_uri"
	register := "register " + uri + " at the provider, for the client " + p.ClientID
	if meta.PushedRequired {
		t.unknown(check, uri+" has to be registered; the provider takes pushed requests alone, and tells at the first sign-in")
		return
	}
	q := url.Values{
		"response_type": {"code"}, "client_id": {p.ClientID}, "redirect_uri": {uri}, "scope": {"openid"}, "prompt": {"none"},
		"state": {rand.Text()}, "nonce": {rand.Text()}, "code_challenge": {oauth2.S256ChallengeFromVerifier(oauth2.GenerateVerifier())}, "code_challenge_method": {"S256"},
	}
	endpoint, err := url.Parse(meta.AuthorizationEndpoint)
	if err != nil {
		t.failing(check, "the authorization endpoint is no URL", "")
		return
	}
	endpoint.RawQuery = strings.Trim(endpoint.RawQuery+"&"+q.Encode(), "&")
	once := &http.Client{Transport: client.Transport, Timeout: client.Timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequestWithContext(meta.Context(ctx), http.MethodGet, endpoint.String(), nil)
	if err != nil {
		t.failing(check, "the authorization endpoint is no URL", "")
		return
	}
	req.Header.Set("User-Agent", "sallyport")
	res, err := once.Do(req)
	if err != nil {
		t.failing(check, cause(err).Error(), "make the authorization endpoint reachable; browsers go there")
		return
	}
	defer res.Body.Close()                                  //nolint:errcheck // it was read
	body, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10)) // as far as it goes
	state, detail := judgeRefusal(res, string(body), uri)
	switch state {
	case refusedURI:
		t.failing(check, uri+": "+detail, register)
	case refusedClient:
		t.failing(check, uri+": "+detail, "compare client_id with what the provider gave this application")
	case knownURI:
		t.ok(check, uri+" is registered")
	default:
		t.unknown(check, uri+" has to be registered; "+detail)
	}
}

// What an answer to a request for authorization says of its redirect URI.
const (
	knownURI = iota + 1
	refusedURI
	refusedClient
	undecided
)

func judgeRefusal(res *http.Response, body, uri string) (verdict int, detail string) {
	if location, err := res.Location(); err == nil {
		there := *location
		there.RawQuery, there.Fragment = "", ""
		said := location.Query()
		switch {
		case there.String() == uri:
			if code := said.Get("error"); code == "unauthorized_client" || code == "invalid_client" {
				return refusedClient, "the provider answers " + code
			}
			return knownURI, ""
		case strings.Contains(location.RawQuery, "redirect_uri_mismatch"):
			return refusedURI, "the provider answers redirect_uri_mismatch"
		}
		return undecided, "the provider goes on to a page of its own, and tells at the first sign-in"
	}
	text := strings.ToLower(body)
	if res.StatusCode >= 400 && res.StatusCode < 500 {
		switch {
		case strings.Contains(text, "redirect_uri"), strings.Contains(text, "redirect uri"), strings.Contains(text, "redirecturi"):
			return refusedURI, "the provider refuses it (" + res.Status + ")"
		case strings.Contains(text, "invalid_client"), strings.Contains(text, "unauthorized_client"), strings.Contains(text, "unknown client"), strings.Contains(text, "client_id"):
			return refusedClient, "the provider does not know the client (" + res.Status + ")"
		}
	}
	return undecided, "the provider answers " + res.Status + ", and tells at the first sign-in"
}
