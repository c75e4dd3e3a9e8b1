package jwks_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sallyport/sallyport/gateway/jwks"
)

func document(over map[string]any) string {
	doc := map[string]any{
		"issuer":                 issuerURL,
		"authorization_endpoint": issuerURL + "/authorize",
		"token_endpoint":         issuerURL + "/token",
		"userinfo_endpoint":      issuerURL + "/userinfo",
		"jwks_uri":               issuerURL + "/jwks.json",
		"end_session_endpoint":   issuerURL + "/logout",
		"revocation_endpoint":    issuerURL + "/revoke",
		"introspection_endpoint": "https://tokens.op1.test/introspect?tenant=1",
		"authorization_response_iss_parameter_supported": true,
		"token_endpoint_auth_methods_supported":          []string{"client_secret_basic"},
		"code_challenge_methods_supported":               []string{"S256"},
		"id_token_signing_alg_values_supported":          []string{"RS256", "none"},
		"scopes_supported":                               []string{"openid"},
		"backchannel_logout_supported":                   true,
		"backchannel_logout_session_supported":           true,
		"something_else":                                 map[string]any{"x": 1},
	}
	maps.Copy(doc, over)
	maps.DeleteFunc(doc, func(_ string, v any) bool { return v == nil })
	return string(must(json.Marshal(doc)))
}

// discover asks an issuer that answers with this body.
func discover(t *testing.T, issuerName string, insecure bool, body string) (*jwks.Metadata, string, error) {
	t.Helper()
	asked := "nothing"
	i := newIssuer()
	i.answer = func(r *http.Request) (int, string) {
		asked = r.URL.String()
		return http.StatusOK, body
	}
	m, err := jwks.Discover(t.Context(), &http.Client{Transport: i}, issuerName, insecure)
	return m, asked, err
}

func TestDiscovery(t *testing.T) {
	m, asked, err := discover(t, issuerURL, false, document(nil))
	if err != nil {
		t.Fatal(err)
	}
	if asked != issuerURL+"/.well-known/openid-configuration" {
		t.Errorf("asked %s", asked)
	}
	want := &jwks.Metadata{
		Issuer: issuerURL, AuthorizationEndpoint: issuerURL + "/authorize", TokenEndpoint: issuerURL + "/token",
		UserinfoEndpoint: issuerURL + "/userinfo", JWKSURI: issuerURL + "/jwks.json", EndSessionEndpoint: issuerURL + "/logout",
		RevocationEndpoint: issuerURL + "/revoke", IntrospectionEndpoint: "https://tokens.op1.test/introspect?tenant=1",
		ResponseIssParameter: true, TokenEndpointAuthMethods: []string{"client_secret_basic"}, CodeChallengeMethods: []string{"S256"},
		IDTokenAlgorithms: []string{"RS256", "none"}, ScopesSupported: []string{"openid"}, BackchannelLogout: true, BackchannelLogoutSession: true,
	}
	if diff := cmp.Diff(want, m, cmpopts.IgnoreUnexported(jwks.Metadata{})); diff != "" {
		t.Error(diff)
	}
}

// OpenID Connect Discovery 1.0 section 4.3: a provider speaks for itself alone.
func TestDiscoveryNamesAnotherIssuer(t *testing.T) {
	for _, name := range []any{
		nil, "", "https://op2.test", issuerURL + "/", issuerURL + "/tenant", "https://OP1.test", "HTTPS://op1.test", "http://op1.test",
		issuerURL + ":443", issuerURL + "#", issuerURL + " ", "https://op1.test.evil",
	} {
		m, _, err := discover(t, issuerURL, false, document(map[string]any{"issuer": name}))
		if err == nil || m != nil || jwks.ClassOf(err) != "issuer_mismatch" {
			t.Errorf("%v: got %v, %v", name, m, err)
		}
	}
	// The path belongs to the issuer, and one slash at its end is not doubled.
	for issuerName, address := range map[string]string{
		issuerURL + "/realms/a":  issuerURL + "/realms/a/.well-known/openid-configuration",
		issuerURL + "/realms/a/": issuerURL + "/realms/a/.well-known/openid-configuration",
	} {
		_, asked, err := discover(t, issuerName, false, document(map[string]any{"issuer": issuerName}))
		if err != nil || asked != address {
			t.Errorf("%s: asked %s, %v", issuerName, asked, err)
		}
	}
}

func TestDiscoveryDocumentsThatAreNone(t *testing.T) {
	for name, tt := range map[string]struct{ body, class string }{
		"a list":               {"[" + document(nil) + "]", "malformed"},
		"HTML":                 {"<!doctype html>", "malformed"},
		"cut off":              {document(nil)[:60], "malformed"},
		"two":                  {document(nil) + document(nil), "malformed"},
		"null":                 {"null", "issuer_mismatch"},
		"issuer is a list":     {document(map[string]any{"issuer": []string{issuerURL}}), "malformed"},
		"Issuer, capitalised":  {document(map[string]any{"issuer": nil, "Issuer": issuerURL}), "issuer_mismatch"},
		"no jwks_uri":          {document(map[string]any{"jwks_uri": nil}), "incomplete"},
		"jwks_uri is empty":    {document(map[string]any{"jwks_uri": ""}), "incomplete"},
		"jwks_uri is a number": {document(map[string]any{"jwks_uri": 1}), "malformed"},
		"more than a MiB":      {document(map[string]any{"x": strings.Repeat("x", 1<<20)}), "too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			m, _, err := discover(t, issuerURL, false, tt.body)
			if err == nil || m != nil || jwks.ClassOf(err) != tt.class {
				t.Errorf("got %v, %v", m, err)
			}
		})
	}
}

// CVE-2026-41413, CVE-2026-48522: the document must not lead the gateway to
// where it has no business.
func TestDiscoveryListsEndpointsThatAreRefused(t *testing.T) {
	endpoints := []string{
		"authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "end_session_endpoint", "revocation_endpoint", "introspection_endpoint",
		"pushed_authorization_request_endpoint",
	}
	for address, class := range map[string]string{
		"http://op1.test/x":                  "insecure_url",
		"http://127.0.0.1/x":                 "insecure_url",
		"file:///etc/passwd":                 "malformed",
		"file://op1.test/etc/passwd":         "insecure_url",
		"gopher://op1.test/x":                "insecure_url",
		"javascript:alert(1)":                "malformed",
		"/relative":                          "malformed",
		"op1.test/x":                         "malformed",
		"https://user:secret@op1.test/x":     "malformed",
		"https://op1.test/x#fragment":        "malformed",
		"https://localhost/x":                "forbidden_address",
		"https://LOCALHOST./x":               "forbidden_address",
		"https://x.localhost/x":              "forbidden_address",
		"https://127.0.0.1/x":                "forbidden_address",
		"https://10.0.0.1/x":                 "forbidden_address",
		"https://172.16.0.1:8443/x":          "forbidden_address",
		"https://192.168.1.1/x":              "forbidden_address",
		"https://169.254.169.254/latest":     "forbidden_address",
		"https://100.100.100.200/latest":     "forbidden_address",
		"https://0.0.0.0/x":                  "forbidden_address",
		"https://[::1]/x":                    "forbidden_address",
		"https://[::]/x":                     "forbidden_address",
		"https://[fe80::1%25eth0]/x":         "forbidden_address",
		"https://[fd00:ec2::254]/x":          "forbidden_address",
		"https://[::ffff:169.254.169.254]/x": "forbidden_address",
		"https://[64:ff9b::a9fe:a9fe]/x":     "forbidden_address",
		"https://255.255.255.255/x":          "forbidden_address",
		"https://224.0.0.1/x":                "forbidden_address",
	} {
		for _, endpoint := range endpoints {
			m, _, err := discover(t, issuerURL, false, document(map[string]any{endpoint: address}))
			if err == nil || m != nil || jwks.ClassOf(err) != class {
				t.Errorf("%s %s: got %v, %v", endpoint, address, m, err)
			}
		}
	}
	for _, address := range []string{"https://keys.op1.test/x", "https://93.184.215.14/x", "https://[2606:4700::1111]/x", "https://op1.test:8443/x"} {
		if _, _, err := discover(t, issuerURL, false, document(map[string]any{"jwks_uri": address})); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestDiscoveryInDevelopment(t *testing.T) {
	doc := func(base string) string {
		return document(map[string]any{
			"issuer": base, "authorization_endpoint": base + "/a", "token_endpoint": base + "/t", "userinfo_endpoint": base + "/u", "jwks_uri": base + "/j",
		})
	}
	for base, insecure := range map[string]bool{
		"http://localhost:9000": false, "http://127.0.0.1:9000": false, "http://[::1]:9000": false, "https://localhost:9443": false,
		"http://idp.internal:8080": true, "http://10.0.0.5:8080": true,
	} {
		if _, _, err := discover(t, base, insecure, doc(base)); err != nil {
			t.Errorf("%s: %v", base, err)
		}
	}
	// A configured issuer inside may name its neighbours.
	if _, _, err := discover(t, "https://10.0.0.5", false, document(map[string]any{"issuer": "https://10.0.0.5", "jwks_uri": "https://10.0.0.6/j"})); err != nil {
		t.Error(err)
	}
	for _, base := range []string{"http://idp.internal:8080", "http://10.0.0.5", "http://localhost.evil.test", "ftp://localhost", "localhost", "", "https://", "https://op1.test?x=1", "https://op1.test#x", "https://u@op1.test"} {
		m, asked, err := discover(t, base, false, doc(base))
		if err == nil || m != nil || asked != "nothing" {
			t.Errorf("%q: got %v, %v after asking %s", base, m, err, asked)
		}
	}
}

// wellKnown answers discovery with a document and everything else with keys.
func (i *issuer) wellKnown(doc string) {
	i.answer = func(r *http.Request) (int, string) {
		if strings.HasSuffix(r.URL.Path, "/.well-known/openid-configuration") {
			if doc == "" {
				return http.StatusServiceUnavailable, ""
			}
			return http.StatusOK, doc
		}
		if !strings.HasPrefix(r.URL.String(), issuerURL+"/jwks") {
			return http.StatusNotFound, ""
		}
		return i.status, i.body
	}
}

func TestKeysAreFoundByDiscovery(t *testing.T) {
	i := newIssuer("a")
	i.wellKnown(document(nil))
	synctest.Test(t, func(t *testing.T) {
		s := i.started(t, func(o *jwks.Options) { o.JWKSURL = "" })
		want(t, s, "a", "key")

		// The document is gone: the address that was good before still is.
		i.set(func(i *issuer) { i.wellKnown("") })
		i.publish("a", "b")
		pass(3 * time.Hour)
		want(t, s, "b", "key")

		// The keys move: the document tells where.
		i.set(func(i *issuer) {
			i.wellKnown(document(map[string]any{"jwks_uri": issuerURL + "/jwks/v2"}))
			inner := i.answer
			i.answer = func(r *http.Request) (int, string) {
				if r.URL.Path == "/jwks.json" {
					return http.StatusGone, ""
				}
				return inner(r)
			}
		})
		i.publish("c")
		pass(10 * time.Minute)
		want(t, s, "c", "key")
	})
}

func TestDiscoveryOfAnotherIssuerGivesNoKeys(t *testing.T) {
	i := newIssuer("a")
	i.wellKnown(document(map[string]any{"issuer": "https://op2.test"}))
	synctest.Test(t, func(t *testing.T) {
		s := i.started(t, func(o *jwks.Options) { o.JWKSURL = "" })
		pass(10 * time.Minute)
		want(t, s, "a", "unavailable")
		if s.Status().LastError != "issuer_mismatch" {
			t.Errorf("got %+v", s.Status())
		}
	})
}

// FuzzDiscovery: what is taken from a document stands in it under that very
// name, and leads nowhere inside.
func FuzzDiscovery(f *testing.F) {
	f.Add(document(nil))
	f.Add(document(map[string]any{"jwks_uri": "https://[::1%25x]:0/%zz"}))
	for _, uri := range []string{
		"http://op1.test/", "file:///etc/passwd", "https://127.0.0.1/", "https://[::ffff:10.0.0.1]/", "https://169.254.169.254/", "https://user@op1.test/",
		"https://op1.test/#x", "https://2130706433/", "https://LOCALHOST./", "//op1.test/", "https:op1.test", "https://op1.test:99999/", "\u0000",
	} {
		f.Add(document(map[string]any{"jwks_uri": uri}))
		f.Add(document(map[string]any{"token_endpoint": uri}))
	}
	f.Add(`{"issuer":"https://op1.test","jwks_uri":"https://op1.test/\u0000"}`)
	f.Add(`{"Issuer":"https://op1.test","ISSUER":"https://op1.test","jwks_uri":"https://op1.test/keys"}`)
	f.Add(`{"issuer":"https://evil.test","issuer":"https://op1.test","jwks_uri":"https://op1.test/keys"}`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, body string) {
		i := newIssuer()
		i.body = body
		m, err := jwks.Discover(context.Background(), &http.Client{Transport: i}, issuerURL, false)
		if err != nil {
			if m != nil {
				t.Fatal("metadata beside the error")
			}
			return
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal([]byte(body), &members); err != nil {
			t.Fatalf("a document that is none was taken: %v", err)
		}
		for name, got := range map[string]string{
			"issuer": m.Issuer, "jwks_uri": m.JWKSURI, "authorization_endpoint": m.AuthorizationEndpoint, "token_endpoint": m.TokenEndpoint,
			"userinfo_endpoint": m.UserinfoEndpoint, "end_session_endpoint": m.EndSessionEndpoint,
			"revocation_endpoint": m.RevocationEndpoint, "introspection_endpoint": m.IntrospectionEndpoint,
		} {
			var want string
			if raw, ok := members[name]; ok && json.Unmarshal(raw, &want) != nil || got != want {
				t.Fatalf("%s is %q, and %s in the document", name, got, members[name])
			}
			if got == "" && name != "issuer" && name != "jwks_uri" {
				continue
			}
			u, err := url.Parse(got)
			if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" {
				t.Fatalf("%s is %q", name, got)
			}
			if ip, err := netip.ParseAddr(u.Hostname()); err == nil && (ip.Unmap().IsPrivate() || ip.Unmap().IsLoopback() || ip.Unmap().IsLinkLocalUnicast()) {
				t.Fatalf("%s is at %v", name, ip)
			}
		}
	})
}
