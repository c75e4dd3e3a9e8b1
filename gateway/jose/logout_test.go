package jose_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/jose"
)

func logoutEvents() map[string]any {
	return map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}
}

func judgeLogout(t *testing.T, typ string, over change, strict bool) (*jose.Logout, error) {
	t.Helper()
	tok, c, err := token(t, typ, change{
		"iss": "https://op1.test", "sub": "alice", "sid": "s-1", "aud": "app", "jti": "j-1",
		"iat": now.Unix() - 1, "exp": now.Unix() + 120, "events": logoutEvents(),
	}, over)
	if err != nil {
		return nil, err
	}
	r := &jose.Rules{Issuer: "https://op1.test", Audiences: []string{"app"}, Algorithms: []string{"ES256"}, Leeway: time.Minute}
	l, err := r.JudgeLogout(tok, c, now, strict)
	if (l == nil) == (err == nil) {
		t.Errorf("both or neither of %v and %v", l, err)
	}
	return l, err
}

func TestLogoutTokenIsJudged(t *testing.T) {
	at := func(seconds int64) int64 { return now.Unix() + seconds }
	event := "http://schemas.openid.net/event/backchannel-logout"
	runJudgements(t, map[string]judgement{
		"as it should be":              {typ: "logout+jwt"},
		"with the whole media type":    {typ: "application/logout+jwt"},
		"typ JWT, as many providers":   {typ: "JWT"},
		"typ in another case":          {typ: "Logout+JWT"},
		"no typ":                       {},
		"an access token's typ":        {typ: "at+jwt", reason: jose.WrongTokenType},
		"a typ that nobody knows":      {typ: "secevent+jwt", reason: jose.WrongTokenType},
		"typ (claim) of Keycloak":      {over: change{"typ": "Logout"}},
		"typ (claim) of an ID token":   {over: change{"typ": "ID"}, reason: jose.WrongTokenType},
		"token_use of an access token": {over: change{"token_use": "access"}, reason: jose.WrongTokenType},

		"events missing":                      {over: change{"events": nil}, reason: jose.WrongTokenType},
		"events is a list":                    {over: change{"events": []string{event}}, reason: jose.MalformedClaims},
		"events is a string":                  {over: change{"events": event}, reason: jose.MalformedClaims},
		"events is empty":                     {over: change{"events": map[string]any{}}, reason: jose.WrongTokenType},
		"another event":                       {over: change{"events": map[string]any{event + "/2": map[string]any{}}}, reason: jose.WrongTokenType},
		"the event in another case":           {over: change{"events": map[string]any{"HTTP://schemas.openid.net/event/backchannel-logout": map[string]any{}}}, reason: jose.WrongTokenType},
		"the event is true":                   {over: change{"events": map[string]any{event: true}}, reason: jose.MalformedClaims},
		"the event is null":                   {over: change{"events": map[string]any{event: nil}}, reason: jose.MalformedClaims},
		"the event is a string":               {over: change{"events": map[string]any{event: "{}"}}, reason: jose.MalformedClaims},
		"the event is a list":                 {over: change{"events": map[string]any{event: []any{}}}, reason: jose.MalformedClaims},
		"the event has members":               {over: change{"events": map[string]any{event: map[string]any{"a": 1}, "b": 2}}},
		"nonce: an ID token with events":      {over: change{"nonce": "n"}, reason: jose.WrongTokenType},
		"nonce that is null":                  {over: change{"nonce": []any{}}, reason: jose.WrongTokenType},
		"at_hash: an ID token with events":    {over: change{"at_hash": "h"}, reason: jose.WrongTokenType},
		"sub alone":                           {over: change{"sid": nil}},
		"sid alone":                           {over: change{"sub": nil}},
		"neither sub nor sid":                 {over: change{"sub": nil, "sid": nil}, reason: jose.MissingClaim},
		"an empty sid":                        {over: change{"sid": ""}, reason: jose.MalformedClaims},
		"an empty sub":                        {over: change{"sub": ""}, reason: jose.MalformedClaims},
		"an empty sub alone":                  {over: change{"sub": "", "sid": nil}, reason: jose.MalformedClaims},
		"a blank sid":                         {over: change{"sid": " "}, reason: jose.MalformedClaims},
		"a sid that is a number":              {over: change{"sid": 1}, reason: jose.MalformedClaims},
		"a sid that is a list":                {over: change{"sid": []string{"s-1"}}, reason: jose.MalformedClaims},
		"a sub that is a number":              {over: change{"sub": 1}, reason: jose.MalformedClaims},
		"iss missing":                         {over: change{"iss": nil}, reason: jose.MissingClaim},
		"another issuer":                      {over: change{"iss": "https://op2.test"}, reason: jose.WrongIssuer},
		"an issuer with a slash behind it":    {over: change{"iss": "https://op1.test/"}, reason: jose.WrongIssuer},
		"aud missing":                         {over: change{"aud": nil}, reason: jose.MissingClaim},
		"for another client":                  {over: change{"aud": "other"}, reason: jose.WrongAudience},
		"for several clients, ours too":       {over: change{"aud": []string{"other", "app"}}},
		"iat missing":                         {over: change{"iat": nil}, reason: jose.MissingClaim},
		"iat as text":                         {over: change{"iat": "1800000000"}, reason: jose.MalformedClaims},
		"made two minutes and the leeway ago": {over: change{"iat": at(-180)}},
		"made longer ago":                     {over: change{"iat": at(-181)}, reason: jose.TokenExpired},
		"made an hour ago":                    {over: change{"iat": at(-3600), "exp": at(3600)}, reason: jose.TokenExpired},
		"made within the leeway from now":     {over: change{"iat": at(60)}},
		"made in the future":                  {over: change{"iat": at(61), "exp": at(200)}, reason: jose.TokenNotYetValid},
		"not valid yet":                       {over: change{"nbf": at(61)}, reason: jose.TokenNotYetValid},
		"exp missing":                         {over: change{"exp": nil}},
		"exp passed within the leeway":        {over: change{"iat": at(-100), "exp": at(-59)}},
		"exp passed":                          {over: change{"iat": at(-100), "exp": at(-60)}, reason: jose.TokenExpired},
		"exp of 1970":                         {over: change{"exp": 0}, reason: jose.TokenExpired},
		"exp before iat":                      {over: change{"iat": at(-1), "exp": at(-2)}, reason: jose.TokenLifetime},
		"exp that is null in JSON":            {over: change{"exp": []any(nil)}, reason: jose.MalformedClaims},
		"jti missing":                         {over: change{"jti": nil}, reason: jose.MissingClaim},
		"jti empty":                           {over: change{"jti": ""}, reason: jose.MissingClaim},
		"jti that is a number":                {over: change{"jti": 7}, reason: jose.MalformedClaims},
	}, func(t *testing.T, j judgement) error {
		_, err := judgeLogout(t, j.typ, j.over, false)
		return err
	})
}

func TestStrictTypingTakesLogoutTokensAlone(t *testing.T) {
	runJudgements(t, map[string]judgement{
		"logout+jwt":             {typ: "logout+jwt"},
		"application/logout+jwt": {typ: "application/logout+jwt"},
		"JWT":                    {typ: "JWT", reason: jose.WrongTokenType},
		"none":                   {reason: jose.WrongTokenType},
	}, func(t *testing.T, j judgement) error {
		_, err := judgeLogout(t, j.typ, j.over, true)
		return err
	})
}

func TestLogoutSaysWhatIsOver(t *testing.T) {
	got, err := judgeLogout(t, "logout+jwt", nil, true)
	if err != nil {
		t.Fatal(err)
	}
	want := &jose.Logout{Issuer: "https://op1.test", Subject: "alice", SessionID: "s-1", ID: "j-1", IssuedAt: time.Unix(now.Unix()-1, 0)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestLogoutTokenIsOfNoOtherUse: nothing but the sign-out takes it, and the
// sign-out takes nothing else (RFC 8725 section 3.12).
func TestLogoutTokenIsOfNoOtherUse(t *testing.T) {
	base := change{
		"iss": "https://op1.test", "sub": "alice", "sid": "s-1", "aud": "app", "jti": "j-1",
		"iat": now.Unix() - 1, "exp": now.Unix() + 120, "events": logoutEvents(),
	}
	r := &jose.Rules{Issuer: "https://op1.test", Audiences: []string{"app"}, Algorithms: []string{"ES256"}, Leeway: time.Minute}
	tok, c, err := token(t, "JWT", base, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantRefused(t, r.JudgeAccess(tok, c, now), jose.WrongTokenType)
	wantRefused(t, r.JudgeID(tok, c, now, "n", ""), jose.WrongTokenType)
	r.Algorithms = []string{"RS256"}
	if _, err := r.JudgeLogout(tok, c, now, false); err == nil {
		t.Error("an algorithm that is not configured was accepted")
	}
}
