package jwks

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"

	"github.com/sallyport/sallyport/gateway/telemetry"
)

// Metadata is what a provider says about itself (OpenID Connect Discovery 1.0,
// RFC 8414). Its endpoints were checked: absolute, https (or http where that is
// allowed), and not at a private address by name.
type Metadata struct {
	Issuer                string
	AuthorizationEndpoint string
	TokenEndpoint         string
	UserinfoEndpoint      string
	JWKSURI               string // never empty
	EndSessionEndpoint    string
	RevocationEndpoint    string
	IntrospectionEndpoint string
	PushedEndpoint        string // RFC 9126: authorization requests are pushed there

	PushedRequired           bool // RFC 9126: no others are taken
	ResponseIssParameter     bool // RFC 9207: answers carry iss
	TokenEndpointAuthMethods []string
	CodeChallengeMethods     []string
	IDTokenAlgorithms        []string
	ScopesSupported          []string

	BackchannelLogout        bool
	BackchannelLogoutSession bool

	origin origin
}

// Context marks ctx for requests to the document's endpoints. With a client
// from NewClient they never reach a private, loopback or link-local address,
// wherever their names resolve to at that moment, unless that is the issuer's own
// host, or the issuer itself is at such an address.
func (m *Metadata) Context(ctx context.Context) context.Context {
	return context.WithValue(ctx, originKey{}, m.origin)
}

// Discover fetches the metadata of an issuer from its well-known address
// (OpenID Connect Discovery 1.0 section 4). The document must name the issuer
// byte for byte (section 4.3), otherwise one provider could speak for another.
func Discover(ctx context.Context, client *http.Client, issuer string, insecureHTTP bool) (*Metadata, error) {
	return DiscoverAs(ctx, client, issuer, issuer, insecureHTTP)
}

// DiscoverAs is Discover for a document that, below the address of issuer, names
// itself otherwise: the multi-tenant documents of Microsoft. It is up to the
// caller that named can speak for nobody else.
func DiscoverAs(ctx context.Context, client *http.Client, issuer, named string, insecureHTTP bool) (*Metadata, error) {
	base, err := url.Parse(issuer)
	if err != nil {
		return nil, &failure{classMalformed, err}
	}
	if err := checkScheme(base, insecureHTTP); err != nil {
		return nil, err
	}
	if base.RawQuery != "" || base.Fragment != "" || base.User != nil || base.Host == "" {
		return nil, fail(classMalformed, "issuer %q is not a plain URL", issuer)
	}
	home := origin{host: hostPort(base), private: privateName(base.Hostname())}

	// Where the document came from tells whether the issuer is at home.
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		if privateRemote(info.Conn) && !viaProxy(base) {
			home.private = true
		}
	}})
	res, err := get(telemetry.WithOperation(traced, telemetry.OperationDiscovery), client, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration",
		http.Header{"Accept": {"application/json"}})
	if err != nil {
		return nil, err
	}
	defer res.Body.Close() //nolint:errcheck // it was read, or is not wanted
	if res.StatusCode != http.StatusOK {
		return nil, fail(classStatus, "discovery: status %d", res.StatusCode)
	}
	body, err := readBody(res.Body)
	if err != nil {
		return nil, err
	}
	m, err := parseMetadata(body)
	if err != nil {
		return nil, err
	}
	if m.Issuer != named {
		return nil, fail(classIssuer, "discovery: the document of %q is that of %.200q", named, m.Issuer)
	}
	m.origin = home
	if err := m.checkEndpoints(insecureHTTP || base.Scheme == "http"); err != nil {
		return nil, err
	}
	return m, nil
}

// parseMetadata reads the document. It goes through a map because struct
// fields would be matched without case.
func parseMetadata(body []byte) (*Metadata, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return nil, fail(classMalformed, "discovery: %w", err)
	}
	m := new(Metadata)
	for name, to := range map[string]any{
		"issuer":                                         &m.Issuer,
		"authorization_endpoint":                         &m.AuthorizationEndpoint,
		"token_endpoint":                                 &m.TokenEndpoint,
		"userinfo_endpoint":                              &m.UserinfoEndpoint,
		"jwks_uri":                                       &m.JWKSURI,
		"end_session_endpoint":                           &m.EndSessionEndpoint,
		"revocation_endpoint":                            &m.RevocationEndpoint,
		"introspection_endpoint":                         &m.IntrospectionEndpoint,
		"pushed_authorization_request_endpoint":          &m.PushedEndpoint,
		"require_pushed_authorization_requests":          &m.PushedRequired,
		"token_endpoint_auth_methods_supported":          &m.TokenEndpointAuthMethods,
		"code_challenge_methods_supported":               &m.CodeChallengeMethods,
		"id_token_signing_alg_values_supported":          &m.IDTokenAlgorithms,
		"scopes_supported":                               &m.ScopesSupported,
		"authorization_response_iss_parameter_supported": &m.ResponseIssParameter,
		"backchannel_logout_supported":                   &m.BackchannelLogout,
		"backchannel_logout_session_supported":           &m.BackchannelLogoutSession,
	} {
		raw, ok := members[name]
		if !ok {
			continue
		}
		if err := json.Unmarshal(raw, to); err != nil {
			return nil, fail(classMalformed, "discovery: %s: %w", name, err)
		}
	}
	return m, nil
}

func (m *Metadata) checkEndpoints(allowHTTP bool) error {
	if m.JWKSURI == "" {
		return fail(classIncomplete, "discovery: no jwks_uri")
	}
	for name, address := range map[string]string{
		"authorization_endpoint": m.AuthorizationEndpoint,
		"token_endpoint":         m.TokenEndpoint,
		"userinfo_endpoint":      m.UserinfoEndpoint,
		"jwks_uri":               m.JWKSURI,
		"end_session_endpoint":   m.EndSessionEndpoint,
		"revocation_endpoint":    m.RevocationEndpoint,
		"introspection_endpoint": m.IntrospectionEndpoint,

		"pushed_authorization_request_endpoint": m.PushedEndpoint,
	} {
		if address == "" {
			continue
		}
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
			return fail(classMalformed, "discovery: %s is not a plain URL", name)
		}
		if secure := u.Scheme == "https" || u.Scheme == "http" && allowHTTP; !secure {
			return fail(classInsecure, "discovery: %s is not https", name)
		}
		if !m.origin.covers(u) && privateName(u.Hostname()) {
			return fail(classForbidden, "discovery: %s is at a private address", name)
		}
	}
	return nil
}

// checkScheme accepts https, and http where that was said or nobody is on the
// way.
func checkScheme(u *url.URL, insecureHTTP bool) error {
	switch {
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && (insecureHTTP || loopbackName(u.Hostname())):
		return nil
	}
	return fail(classInsecure, "%q is not https", u.Scheme)
}
