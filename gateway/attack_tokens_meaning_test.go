package gateway_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"
)

// raw is a value that is written into a token as it stands.
func raw(text string) json.RawMessage { return json.RawMessage(text) }

// TestTokensForSomebodyElse (CVE-2020-26160, GHSA-wcvh-g65p-v576): only the whole
// name of an audience counts.
func TestTokensForSomebodyElse(t *testing.T) {
	s := newSite(t, plan{})
	for aud, reason := range map[string]string{
		``:                                      "missing_claim",
		`""`:                                    "wrong_audience",
		`[]`:                                    "wrong_audience",
		`["other"]`:                             "wrong_audience",
		`"api://app.evil"`:                      "wrong_audience",
		`"api://ap"`:                            "wrong_audience",
		`"API://APP"`:                           "wrong_audience",
		`"api://app "`:                          "wrong_audience",
		`"api://app/"`:                          "wrong_audience",
		`"api://app other"`:                     "wrong_audience",
		`"api://app,other"`:                     "wrong_audience",
		`"api://app\u0000"`:                     "wrong_audience",
		`"*"`:                                   "wrong_audience",
		`[["api://app"]]`:                       "malformed_claims",
		`["api://app",1]`:                       "malformed_claims",
		`["api://app",null]`:                    "malformed_claims",
		`[null]`:                                "malformed_claims",
		`{"0":"api://app"}`:                     "malformed_claims",
		`null`:                                  "malformed_claims",
		`true`:                                  "malformed_claims",
		`["other","api://other","api://app.x"]`: "wrong_audience",
	} {
		claims := map[string]any{"aud": raw(aud)}
		if aud == "" {
			claims["aud"] = nil
		}
		s.refused(t, s.token(t, claims), reason)
	}
	for _, aud := range []string{`"api://app"`, `["other","api://app"]`, `["api://app"]`, `["api:\/\/app"]`} {
		s.accepted(t, s.token(t, map[string]any{"aud": raw(aud)})).isUser(t, "caller", "", "", "")
	}
}

// TestTokensOfSomebodyElse (CVE-2025-30144, CVE-2021-21378, RFC 8725 section 3.8):
// only the whole name of an issuer counts, and a bad token is not no token.
func TestTokensOfSomebodyElse(t *testing.T) {
	s := newSite(t, plan{})
	for iss, reason := range map[string]string{
		``:                                    "missing_claim",
		`""`:                                  "unknown_issuer",
		`["https://op1.test"]`:                "malformed_claims",
		`["https://op1.test","https://evil"]`: "malformed_claims",
		`{"https://op1.test":1}`:              "malformed_claims",
		`"https://op1.test/"`:                 "unknown_issuer",
		`"https://OP1.test"`:                  "unknown_issuer",
		`"HTTPS://op1.test"`:                  "unknown_issuer",
		`"https://op1.test.evil"`:             "unknown_issuer",
		`"https://op1.tes"`:                   "unknown_issuer",
		`"https://op1.test#x"`:                "unknown_issuer",
		`"https://op1.test?x"`:                "unknown_issuer",
		`"https://op1.test:443"`:              "unknown_issuer",
		`"https://op1.test\u0000"`:            "unknown_issuer",
		`"https://op1.test "`:                 "unknown_issuer",
		`" https://op1.test"`:                 "unknown_issuer",
		`"op1.test"`:                          "unknown_issuer",
		`"*"`:                                 "unknown_issuer",
		`1`:                                   "malformed_claims",
		`null`:                                "malformed_claims",
	} {
		claims := map[string]any{"iss": raw(iss)}
		if iss == "" {
			claims["iss"] = nil
		}
		token := s.token(t, claims)
		s.refused(t, token, reason)
		// A route that takes a session as well, with a good one.
		a := s.as(t, "alice", "/both/", "Authorization: Bearer "+token)
		s.denied(t, a, http.StatusUnauthorized)
	}
}

// TestTokensForAnotherPurpose (RFC 8725 sections 3.11 and 3.12, RFC 9068 section
// 4): all kinds are signed with the same key.
func TestTokensForAnotherPurpose(t *testing.T) {
	s := newSite(t, plan{})
	now := time.Now()
	sign := func(typ string, over map[string]any) string {
		claims := map[string]any{"iss": tokenIssuer, "aud": tokenAudience, "sub": "alice", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
		maps.Copy(claims, over)
		token, err := s.signer.Sign(typ, claims)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	for _, typ := range []string{
		"logout+jwt", "dpop+jwt", "secevent+jwt", "rt+jwt", "client-authentication+jwt", "token-introspection+jwt", "oauth-authz-req+jwt", "kb+jwt",
		"id_token", "at+jwt ", "at+jwt; x=1", "text/at+jwt", "application/application/at+jwt", "JWE",
	} {
		s.refused(t, sign(typ, nil), "wrong_token_type")
	}
	logout := map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}
	for _, over := range []map[string]any{
		{"nonce": "n-0S6_WzA2Mj"}, // an ID token
		{"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
		{"c_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
		{"token_use": "id"},
		{"typ": "ID"},
		{"typ": "Refresh"},
		{"typ": "Offline"},
		{"typ": "Logout"},
		{"events": logout},
		{"events": logout, "sid": "x"},
		{"typ": 1},
	} {
		s.refused(t, sign("JWT", over), "wrong_token_type")
	}
	// An ID token without a mark is known by whom it is for: the client.
	s.refused(t, sign("JWT", map[string]any{"aud": "app", "azp": "app", "auth_time": now.Unix()}), "wrong_audience")
	// A client's assertion names the client as its issuer.
	s.refused(t, sign("JWT", map[string]any{"iss": "app", "sub": "app", "jti": "x"}), "unknown_issuer")
	for _, typ := range []string{"", "JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt"} {
		s.accepted(t, sign(typ, map[string]any{"scope": "openid", "token_use": "access"}))
	}
}

// TestGroupClaimsOfOddTypes: a group must be what the token says it is, whatever
// the shape of the claim.
func TestGroupClaimsOfOddTypes(t *testing.T) {
	s := newSite(t, plan{routes: `- {name: staff-api, paths: [/staff/], upstream: "builtin:echo", auth: [bearer], policy: admins}`})
	for groups, c := range map[string]struct {
		header string
		admin  bool
	}{
		`"admin"`:             {"admin", true}, // a text is one group
		`["users","admin"]`:   {"users,admin", true},
		`["","admin"]`:        {"admin", true},
		`"users admin"`:       {"users admin", false},
		`"users,admin"`:       {"users%2Cadmin", false},
		`["users,admin"]`:     {"users%2Cadmin", false},
		`["users admin"]`:     {"users admin", false},
		`["ADMIN"]`:           {"ADMIN", false},
		`["Admin"]`:           {"Admin", false},
		`["not-admin"]`:       {"not-admin", false},
		`["admins"]`:          {"admins", false},
		`["adm"]`:             {"adm", false},
		`["*"]`:               {"*", false},
		`["аdmin"]`:           {"%D0%B0dmin", false}, // a Cyrillic letter
		`["admin\u0000"]`:     {"admin%00", false},
		`[["admin"]]`:         {"", false},
		`["users",["admin"]]`: {"", false},
		`["users",1]`:         {"", false},
		`["admin",null]`:      {"", false},
		`{"admin":true}`:      {"", false},
		`[{"name":"admin"}]`:  {"", false},
		`[""]`:                {"", false},
		`""`:                  {"", false},
		`[]`:                  {"", false},
		`null`:                {"", false},
		`true`:                {"", false},
		`1`:                   {"", false},
	} {
		t.Run(groups, func(t *testing.T) {
			token := s.token(t, map[string]any{"groups": raw(groups)})
			s.accepted(t, token).isUser(t, "caller", "", c.header, "")
			a := s.as(t, "", "/staff/", "Authorization: Bearer "+token)
			if c.admin {
				if a.StatusCode != http.StatusOK {
					t.Errorf("an admin: %d", a.StatusCode)
				}
				return
			}
			s.denied(t, a, http.StatusForbidden)
		})
	}
	// Spaces are part of a name, and no header can carry them at its end.
	a := s.as(t, "", "/staff/", "Authorization: Bearer "+s.token(t, map[string]any{"groups": []string{"admin "}}))
	s.denied(t, a, http.StatusForbidden)
	if strings.Contains(a.text, "admin ") {
		t.Error("the answer tells the groups")
	}
}
