package gateway_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestTwoCredentialsOnOneRequest (CVE-2022-29226, CVE-2025-64527): one source
// counts on each route, and the presence of another never makes up for it.
func TestTwoCredentialsOnOneRequest(t *testing.T) {
	s := newSite(t, plan{})
	root := s.token(t, map[string]any{"sub": "root", "groups": []string{"users", "admin"}})
	good := "Authorization: Bearer " + root
	bad := "Authorization: Bearer " + root[:len(root)-4] + "AAAA"

	// A header that the route takes outranks the cookie.
	s.passed(t, s.as(t, "alice", "/both/", good)).isUser(t, "root", "", "users,admin", "")
	// A bad one is no reason to look at the cookie.
	s.denied(t, s.as(t, "alice", "/both/", bad), http.StatusUnauthorized)
	// Nor is one of a kind that the route does not take, good or bad.
	for _, line := range []string{
		good, bad, "Authorization: Bearer x", "Authorization: Basic YWxpY2U6eA==", "Authorization: Negotiate x", "Authorization: bearer", "Authorization:", "Authorization: x",
	} {
		s.denied(t, s.as(t, "alice", "/app", line), http.StatusUnauthorized)
		s.denied(t, s.as(t, "", "/app", line), http.StatusUnauthorized)
	}
	for _, lines := range [][]string{
		{good, good},
		{good, bad},
		{bad, good},
		{good, "authorization: Basic eDp5"},
		{"Authorization: Basic eDp5"},
		{"Authorization: " + root},
		{"Authorization: Bearer"},
		{"Authorization: Bearer " + root + ", Bearer " + root},
		{"Authorization: Bearer  "},
		{"Authorization: Bearer\t" + root},
		{"Proxy-Authorization: Bearer " + root},
		{"X-Authorization: Bearer " + root},
		{"Authorization_: Bearer " + root},
	} {
		for _, target := range []string{"/api/", "/both/"} {
			s.denied(t, s.as(t, "", target, lines...), http.StatusUnauthorized, http.StatusBadRequest)
		}
	}
	// The scheme is compared without regard to case (RFC 9110, section 11.1).
	s.passed(t, s.as(t, "", "/api/", "Authorization: bEARER "+root))
	// A session is no credential where tokens are wanted.
	s.denied(t, s.as(t, "root", "/api/"), http.StatusUnauthorized)
}

// TestTokensInTheQueryOrAFormAreNotRead (RFC 9700, section 4.3.2).
func TestTokensInTheQueryOrAFormAreNotRead(t *testing.T) {
	s := newSite(t, plan{})
	root := s.token(t, map[string]any{"sub": "root"})
	s.denied(t, s.as(t, "", "/api/?access_token="+root), http.StatusUnauthorized)
	s.denied(t, s.post(t, "/api/", map[string][]string{"access_token": {root}}), http.StatusUnauthorized)
	s.denied(t, s.as(t, "", "/api/", "Cookie: access_token="+root), http.StatusUnauthorized)
	got := s.passed(t, s.as(t, "", "/api/?access_token="+root, "Authorization: Bearer "+s.token(t, nil)))
	got.isUser(t, "caller", "", "", "")
}

// TestForgedTokens: each is a token that some gateway has let in.
func TestForgedTokens(t *testing.T) {
	s := newSite(t, plan{})
	good := s.token(t, nil)
	s.passed(t, s.as(t, "", "/api/", "Authorization: Bearer "+good))

	head, rest, _ := strings.Cut(good, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	b64 := base64.RawURLEncoding.EncodeToString
	rootClaims := strings.Split(s.token(t, map[string]any{"sub": "root"}), ".")[1]
	past, future := time.Now().Add(-time.Hour).Unix(), time.Now().Add(time.Hour).Unix()
	for name, token := range map[string]string{
		"alg none":                        b64([]byte(`{"alg":"none"}`)) + "." + payload + ".",
		"alg none with a signature":       b64([]byte(`{"alg":"none"}`)) + "." + payload + "." + signature,
		"alg nOnE":                        b64([]byte(`{"alg":"nOnE","kid":"k1"}`)) + "." + payload + "." + signature,
		"no signature":                    head + "." + payload + ".",
		"no third part":                   head + "." + payload,
		"another payload":                 head + "." + rootClaims + "." + signature,
		"a shared secret":                 b64([]byte(`{"alg":"HS256","kid":"k1"}`)) + "." + payload + "." + signature,
		"an unknown key":                  b64([]byte(`{"alg":"ES256","kid":"k2"}`)) + "." + payload + "." + signature,
		"a key id that is a path":         b64([]byte(`{"alg":"ES256","kid":"../../../../dev/null"}`)) + "." + payload + "." + signature,
		"a zero signature":                head + "." + payload + "." + b64(make([]byte, 64)),
		"a trailing dot":                  good + ".",
		"a leading dot":                   "." + good,
		"two tokens":                      good + "," + good,
		"the JSON serialisation":          `{"protected":"` + head + `","payload":"` + payload + `","signature":"` + signature + `"}`,
		"expired":                         s.token(t, map[string]any{"exp": past}),
		"without an end":                  s.token(t, map[string]any{"exp": nil}),
		"not valid yet":                   s.token(t, map[string]any{"nbf": future}),
		"for another audience":            s.token(t, map[string]any{"aud": "api://other"}),
		"for a longer audience":           s.token(t, map[string]any{"aud": tokenAudience + ".evil"}),
		"without an audience":             s.token(t, map[string]any{"aud": nil}),
		"with an odd audience":            s.token(t, map[string]any{"aud": []any{tokenAudience, 1}}),
		"of an issuer with a slash":       s.token(t, map[string]any{"iss": tokenIssuer + "/"}),
		"of another issuer":               s.token(t, map[string]any{"iss": "https://op2.test"}),
		"of two issuers":                  s.token(t, map[string]any{"iss": []string{tokenIssuer, "https://evil.test"}}),
		"without an issuer":               s.token(t, map[string]any{"iss": nil}),
		"without a subject":               s.token(t, map[string]any{"sub": nil}),
		"with an empty subject":           s.token(t, map[string]any{"sub": ""}),
		"an ID token":                     s.token(t, map[string]any{"nonce": "x"}),
		"a token bound to another's key":  s.token(t, map[string]any{"cnf": map[string]any{"jkt": "x"}}),
		"a logout token":                  s.token(t, map[string]any{"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}}),
		"with a number for a subject":     s.token(t, map[string]any{"sub": 1}),
		"with the payload of random text": head + "." + b64([]byte("hello")) + "." + signature,
	} {
		t.Run(name, func(t *testing.T) {
			a := s.as(t, "", "/api/", "Authorization: Bearer "+token)
			s.denied(t, a, http.StatusUnauthorized)
			if www := a.Header.Get("WWW-Authenticate"); !strings.HasPrefix(www, "Bearer ") {
				t.Errorf("WWW-Authenticate is %q", www)
			}
			if strings.Contains(a.text, signature) {
				t.Error("the answer repeats the token")
			}
		})
	}
	s.passed(t, s.as(t, "", "/api/", "Authorization: Bearer "+good))
}

// TestBadAuthorizationHeaderSendsNoBrowserInCircles: signing in does not make
// the header better, so a redirect would come back here for ever.
func TestBadAuthorizationHeaderSendsNoBrowserInCircles(t *testing.T) {
	s := newSite(t, plan{})
	for _, target := range []string{"/app", "/both/"} {
		for _, line := range []string{"Authorization: Basic eDp5", "Authorization: Bearer a.b.c"} {
			a := s.as(t, "alice", target, line, "Accept: text/html")
			s.denied(t, a, http.StatusUnauthorized)
		}
		s.denied(t, s.as(t, "", target, "Accept: text/html"), http.StatusFound)
	}
}
