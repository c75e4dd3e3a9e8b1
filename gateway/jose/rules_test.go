package jose_test

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/jose"
)

var now = time.Unix(1_800_000_000, 0)

func accessRules() *jose.Rules {
	return &jose.Rules{
		Issuer: "https://op1.test", Audiences: []string{"api://app", "api://two"},
		Algorithms: []string{"ES256"}, Leeway: time.Minute,
	}
}

// change is a set of claims to put over the good ones; nil takes one away.
type change map[string]any

func token(t *testing.T, typ string, claims, over change) (*jose.Token, *jose.Claims, error) {
	t.Helper()
	claims = maps.Clone(claims)
	maps.Copy(claims, over)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	header := map[string]any{"alg": "ES256", "kid": "k"}
	if typ != "" {
		header["typ"] = typ
	}
	tok, err := jose.Parse(forge("ES256", p256(), string(must(json.Marshal(header))), string(must(json.Marshal(claims)))))
	if err != nil {
		return nil, nil, err
	}
	k, _ := published("ES256").Find("k", "ES256")
	c, err := tok.Verify(k)
	return tok, c, err
}

func judgeAccess(t *testing.T, r *jose.Rules, typ string, over change) error {
	t.Helper()
	tok, c, err := token(t, typ, change{
		"iss": "https://op1.test", "sub": "alice", "aud": "api://app",
		"exp": now.Unix() + 300, "iat": now.Unix() - 10, "nbf": now.Unix() - 10,
	}, over)
	if err != nil {
		return err
	}
	return r.JudgeAccess(tok, c, now)
}

type judgement struct {
	typ    string
	over   change
	reason jose.Reason // empty = accepted
}

func runJudgements(t *testing.T, table map[string]judgement, judge func(*testing.T, judgement) error) {
	t.Helper()
	for name, tt := range table {
		t.Run(name, func(t *testing.T) {
			err := judge(t, tt)
			if tt.reason != "" {
				wantRefused(t, err, tt.reason)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAccessTokenIsJudged(t *testing.T) {
	at := func(seconds int64) int64 { return now.Unix() + seconds }
	runJudgements(t, map[string]judgement{
		"as it should be": {},
		// ASVS V9.2.1: the validity window.
		"exp missing":                       {over: change{"exp": nil}, reason: jose.MissingClaim},
		"expired 59 s ago is within leeway": {over: change{"exp": at(-59), "iat": at(-300), "nbf": nil}},
		"expired by exactly the leeway":     {over: change{"exp": at(-60), "iat": at(-300), "nbf": nil}, reason: jose.TokenExpired},
		"expired 61 s ago":                  {over: change{"exp": at(-61)}, reason: jose.TokenExpired},
		"expired in 1970":                   {over: change{"exp": 0}, reason: jose.TokenExpired},
		"nbf in 59 s is within leeway":      {over: change{"nbf": at(59)}},
		"nbf in 61 s":                       {over: change{"nbf": at(61)}, reason: jose.TokenNotYetValid},
		"iat in 59 s is within leeway":      {over: change{"iat": at(59)}},
		"iat in 61 s":                       {over: change{"iat": at(61)}, reason: jose.TokenNotYetValid},
		"iat in a year":                     {over: change{"iat": at(1 << 25)}, reason: jose.TokenNotYetValid},
		"iat and nbf missing":               {over: change{"iat": nil, "nbf": nil}},
		"exp before iat":                    {over: change{"exp": at(10), "iat": at(20)}, reason: jose.TokenLifetime},
		"exp is iat":                        {over: change{"exp": at(10), "iat": at(10)}, reason: jose.TokenLifetime},
		"exp before nbf":                    {over: change{"exp": at(10), "nbf": at(20)}, reason: jose.TokenLifetime},
		"dates with a fraction":             {over: change{"exp": float64(at(1)) + 0.5, "iat": float64(at(0)) - 0.25}},
		// CVE-2020-26160, GHSA-wcvh-g65p-v576: exact membership only.
		"aud missing":                {over: change{"aud": nil}, reason: jose.MissingClaim},
		"aud empty":                  {over: change{"aud": ""}, reason: jose.WrongAudience},
		"aud is an empty list":       {over: change{"aud": []string{}}, reason: jose.WrongAudience},
		"aud of another":             {over: change{"aud": []string{"other"}}, reason: jose.WrongAudience},
		"aud with more behind it":    {over: change{"aud": "api://app.evil"}, reason: jose.WrongAudience},
		"aud cut short":              {over: change{"aud": "api://ap"}, reason: jose.WrongAudience},
		"aud in capitals":            {over: change{"aud": "API://APP"}, reason: jose.WrongAudience},
		"aud with a space":           {over: change{"aud": "api://app other"}, reason: jose.WrongAudience},
		"aud with a number":          {over: change{"aud": []any{"api://app", 1}}, reason: jose.MalformedClaims},
		"aud among others":           {over: change{"aud": []string{"other", "api://app"}}},
		"aud is our second audience": {over: change{"aud": "api://two"}},
		// CVE-2025-30144, CVE-2021-21378: byte for byte.
		"iss missing":                    {over: change{"iss": nil}, reason: jose.MissingClaim},
		"iss empty":                      {over: change{"iss": ""}, reason: jose.MissingClaim},
		"iss is a list":                  {over: change{"iss": []string{"https://op1.test", "https://evil"}}, reason: jose.MalformedClaims},
		"iss is a number":                {over: change{"iss": 1}, reason: jose.MalformedClaims},
		"iss with a slash":               {over: change{"iss": "https://op1.test/"}, reason: jose.WrongIssuer},
		"iss in capitals":                {over: change{"iss": "https://OP1.test"}, reason: jose.WrongIssuer},
		"iss with more behind it":        {over: change{"iss": "https://op1.test.evil"}, reason: jose.WrongIssuer},
		"iss with a fragment":            {over: change{"iss": "https://op1.test#x"}, reason: jose.WrongIssuer},
		"iss with a NUL":                 {over: change{"iss": "https://op1.test\x00"}, reason: jose.WrongIssuer},
		"the gateway's own assertion":    {typ: "JWT", over: change{"iss": "https://app.example.test/.auth"}, reason: jose.WrongIssuer},
		"a client's assertion of itself": {over: change{"iss": "client", "sub": "client", "aud": "https://op1.test"}, reason: jose.WrongIssuer},
		// RFC 9068 section 2.2: sub is required.
		"sub missing": {over: change{"sub": nil}, reason: jose.MissingClaim},
		"sub empty":   {over: change{"sub": ""}, reason: jose.MissingClaim},
		// RFC 8725 section 3.11 and 3.12, RFC 9068 section 4: kinds of tokens.
		"typ JWT":                      {typ: "JWT"},
		"typ jwt":                      {typ: "jwt"},
		"typ at+jwt":                   {typ: "at+jwt"},
		"typ AT+JWT":                   {typ: "AT+JWT"},
		"typ application/at+jwt":       {typ: "application/at+jwt"},
		"typ dpop+jwt":                 {typ: "dpop+jwt", reason: jose.WrongTokenType},
		"typ logout+jwt":               {typ: "logout+jwt", reason: jose.WrongTokenType},
		"typ secevent+jwt":             {typ: "secevent+jwt", reason: jose.WrongTokenType},
		"typ client-authentication":    {typ: "client-authentication+jwt", reason: jose.WrongTokenType},
		"typ ID in the header":         {typ: "ID", reason: jose.WrongTokenType},
		"typ with a space":             {typ: "at+jwt ", reason: jose.WrongTokenType},
		"an ID token: nonce":           {over: change{"nonce": "n"}, reason: jose.WrongTokenType},
		"an ID token: at_hash":         {over: change{"at_hash": "x"}, reason: jose.WrongTokenType},
		"an ID token: c_hash":          {over: change{"c_hash": "x"}, reason: jose.WrongTokenType},
		"an ID token of Cognito":       {over: change{"token_use": "id"}, reason: jose.WrongTokenType},
		"an access token of Cognito":   {over: change{"token_use": "access"}},
		"an ID token of Keycloak":      {over: change{"typ": "ID"}, reason: jose.WrongTokenType},
		"an access token of Keycloak":  {over: change{"typ": "Bearer", "azp": "client"}},
		"a refresh token of Keycloak":  {over: change{"typ": "Refresh"}, reason: jose.WrongTokenType},
		"an offline token of Keycloak": {over: change{"typ": "Offline"}, reason: jose.WrongTokenType},
		"token_use is a list":          {over: change{"token_use": []string{"access"}}, reason: jose.WrongTokenType},
		"a logout token without typ":   {over: change{"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}}, reason: jose.WrongTokenType},
	}, func(t *testing.T, j judgement) error {
		t.Helper()
		return judgeAccess(t, accessRules(), j.typ, j.over)
	})
}

func TestMaximumLifetime(t *testing.T) {
	r := accessRules()
	r.MaxLifetime = time.Hour
	century := now.AddDate(100, 0, 0).Unix()
	runJudgements(t, map[string]judgement{
		"an hour":                         {over: change{"exp": now.Unix() - 10 + 3600}},
		"a second more":                   {over: change{"exp": now.Unix() - 10 + 3601}, reason: jose.TokenLifetime},
		"a hundred years":                 {over: change{"exp": century}, reason: jose.TokenLifetime},
		"a hundred years without iat":     {over: change{"exp": century, "iat": nil}, reason: jose.TokenLifetime},
		"an hour from now, without iat":   {over: change{"exp": now.Unix() + 3600, "iat": nil}},
		"a hundred years since long past": {over: change{"exp": century, "iat": 1}, reason: jose.TokenLifetime},
	}, func(t *testing.T, j judgement) error {
		t.Helper()
		return judgeAccess(t, r, j.typ, j.over)
	})
	if err := judgeAccess(t, accessRules(), "", change{"exp": century}); err != nil {
		t.Error("without a maximum:", err)
	}
}

func TestZeroRulesAcceptNothing(t *testing.T) {
	wantRefused(t, judgeAccess(t, &jose.Rules{}, "", nil), "")
	for name, spoil := range map[string]func(*jose.Rules){
		"no issuer":              func(r *jose.Rules) { r.Issuer = "" },
		"no audiences":           func(r *jose.Rules) { r.Audiences = nil },
		"an empty audience":      func(r *jose.Rules) { r.Audiences = []string{""} },
		"no algorithms":          func(r *jose.Rules) { r.Algorithms = nil },
		"another algorithm":      func(r *jose.Rules) { r.Algorithms = []string{"RS256", "es256"} },
		"an issuer with a slash": func(r *jose.Rules) { r.Issuer += "/" },
	} {
		t.Run(name, func(t *testing.T) {
			r := accessRules()
			spoil(r)
			wantRefused(t, judgeAccess(t, r, "", nil), "")
			wantRefused(t, judgeAccess(t, r, "", change{"aud": ""}), "")
			wantRefused(t, judgeAccess(t, r, "", change{"iss": ""}), "")
		})
	}
	r := accessRules()
	r.Leeway = -time.Hour
	if err := judgeAccess(t, r, "", nil); err != nil {
		t.Error("a negative leeway is none:", err)
	}
}

// RFC 8725 section 3.1: an algorithm that is not configured is refused before
// a key is looked for, though the signature is good.
func TestOnlyConfiguredAlgorithms(t *testing.T) {
	r := &jose.Rules{Algorithms: []string{"RS256"}}
	for _, alg := range allAlgorithms() {
		err := r.JudgeAlgorithm(must(jose.Parse(genuine(alg))))
		if alg == "RS256" {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		wantRefused(t, err, jose.AlgorithmNotAllowed)
	}
}

func atHash(accessToken string) string {
	sum := sha256.Sum256([]byte(accessToken))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// OpenID Connect Core 1.0 section 3.1.3.7.
func TestIDTokenIsJudged(t *testing.T) {
	r := accessRules()
	r.Audiences = []string{"client", "api://app"}
	at := func(seconds int64) int64 { return now.Unix() + seconds }
	good := change{"iss": "https://op1.test", "sub": "alice", "aud": "client", "exp": at(300), "iat": at(-1), "nonce": "n-1"}
	judge := func(t *testing.T, j judgement) error {
		t.Helper()
		tok, c, err := token(t, j.typ, good, j.over)
		if err != nil {
			return err
		}
		return r.JudgeID(tok, c, now, "n-1", "the access token")
	}
	runJudgements(t, map[string]judgement{
		"as it should be":                 {},
		"typ JWT":                         {typ: "JWT"},
		"an access token":                 {typ: "at+jwt", reason: jose.WrongTokenType},
		"an access token, long form":      {typ: "application/at+jwt", reason: jose.WrongTokenType},
		"a logout token":                  {typ: "logout+jwt", reason: jose.WrongTokenType},
		"a logout token without typ":      {over: change{"events": map[string]any{}}, reason: jose.WrongTokenType},
		"an access token of Keycloak":     {over: change{"typ": "Bearer"}, reason: jose.WrongTokenType},
		"an ID token of Keycloak":         {over: change{"typ": "ID"}},
		"an access token of Cognito":      {over: change{"token_use": "access"}, reason: jose.WrongTokenType},
		"another issuer":                  {over: change{"iss": "https://op2.test"}, reason: jose.WrongIssuer},
		"another client":                  {over: change{"aud": "client2"}, reason: jose.WrongAudience},
		"for an API of ours":              {over: change{"aud": "api://app"}, reason: jose.WrongAudience},
		"aud missing":                     {over: change{"aud": nil}, reason: jose.MissingClaim},
		"azp is us":                       {over: change{"azp": "client"}},
		"azp is another":                  {over: change{"azp": "client2"}, reason: jose.WrongAudience},
		"azp is a list":                   {over: change{"azp": []string{"client"}}, reason: jose.WrongAudience},
		"several audiences and our azp":   {over: change{"aud": []string{"client", "x"}, "azp": "client"}},
		"several audiences without azp":   {over: change{"aud": []string{"client", "x"}}, reason: jose.WrongAudience},
		"several audiences, another azp":  {over: change{"aud": []string{"x", "client"}, "azp": "x"}, reason: jose.WrongAudience},
		"exp missing":                     {over: change{"exp": nil}, reason: jose.MissingClaim},
		"expired":                         {over: change{"exp": at(-61)}, reason: jose.TokenExpired},
		"iat missing":                     {over: change{"iat": nil}, reason: jose.MissingClaim},
		"iat in the future":               {over: change{"iat": at(61)}, reason: jose.TokenNotYetValid},
		"sub missing":                     {over: change{"sub": nil}, reason: jose.MissingClaim},
		"nonce missing":                   {over: change{"nonce": nil}, reason: jose.MissingClaim},
		"nonce of another sign-in":        {over: change{"nonce": "n-2"}, reason: jose.WrongNonce},
		"nonce cut short":                 {over: change{"nonce": "n-"}, reason: jose.WrongNonce},
		"nonce empty":                     {over: change{"nonce": ""}, reason: jose.WrongNonce},
		"nonce is a list":                 {over: change{"nonce": []string{"n-1"}}, reason: jose.WrongNonce},
		"at_hash of this access token":    {over: change{"at_hash": atHash("the access token")}},
		"at_hash of another access token": {over: change{"at_hash": atHash("another")}, reason: jose.WrongAccessToken},
		"at_hash is a number":             {over: change{"at_hash": 1}, reason: jose.WrongAccessToken},
	}, judge)

	tok, c, err := token(t, "", good, change{"at_hash": "x", "nonce": ""})
	if err != nil {
		t.Fatal(err)
	}
	wantRefused(t, r.JudgeID(tok, c, now, "", ""), jose.MissingClaim)
	r.Audiences = nil
	wantRefused(t, r.JudgeID(tok, c, now, "n-1", ""), jose.WrongAudience)
}

// OpenID Connect Core 1.0 section 12.2: a nonce is not required, and must be that
// of the sign-in. All else is as at a sign-in.
func TestRefreshedIDTokenIsJudged(t *testing.T) {
	r := accessRules()
	r.Audiences = []string{"client"}
	good := change{"iss": "https://op1.test", "sub": "alice", "aud": "client", "exp": now.Unix() + 300, "iat": now.Unix() - 1}
	runJudgements(t, map[string]judgement{
		"without nonce":                   {},
		"the nonce of the sign-in":        {over: change{"nonce": "n-1"}},
		"another nonce":                   {over: change{"nonce": "n-2"}, reason: jose.WrongNonce},
		"nonce null":                      {over: change{"nonce": json.RawMessage("null")}, reason: jose.WrongNonce},
		"another issuer":                  {over: change{"iss": "https://op2.test"}, reason: jose.WrongIssuer},
		"another client":                  {over: change{"aud": "client2"}, reason: jose.WrongAudience},
		"an access token":                 {typ: "at+jwt", reason: jose.WrongTokenType},
		"expired":                         {over: change{"exp": now.Unix() - 61}, reason: jose.TokenExpired},
		"iat missing":                     {over: change{"iat": nil}, reason: jose.MissingClaim},
		"at_hash of another access token": {over: change{"at_hash": atHash("another")}, reason: jose.WrongAccessToken},
	}, func(t *testing.T, j judgement) error {
		t.Helper()
		tok, c, err := token(t, j.typ, good, j.over)
		if err != nil {
			return err
		}
		return r.JudgeRefreshedID(tok, c, now, "n-1", "the access token")
	})
	tok, c, err := token(t, "", good, change{"nonce": "n-1"})
	if err != nil {
		t.Fatal(err)
	}
	wantRefused(t, r.JudgeRefreshedID(tok, c, now, "", "the access token"), jose.MissingClaim)
}

// The hash in at_hash follows the token's own algorithm.
func TestAccessTokenHashFollowsTheAlgorithm(t *testing.T) {
	left := func(sum []byte) string { return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2]) }
	s256, s384, s512 := sha256.Sum256([]byte("at")), sha512.Sum384([]byte("at")), sha512.Sum512([]byte("at"))
	for alg, hash := range map[string]string{
		"RS256": left(s256[:]), "HS256": left(s256[:]), "PS384": left(s384[:]), "ES384": left(s384[:]), "ES512": left(s512[:]), "EdDSA": left(s512[:]),
	} {
		t.Run(alg, func(t *testing.T) {
			payload := `{"iss":"i","sub":"s","aud":"c","exp":1800000300,"iat":1800000000,"nonce":"n","at_hash":"` + hash + `"}`
			tok := must(jose.Parse(forge(alg, keyFor(alg), `{"alg":"`+alg+`"}`, payload)))
			k, ok := published(alg).Find("", alg)
			if !ok {
				t.Fatal("no key")
			}
			c, err := tok.Verify(k)
			if err != nil {
				t.Fatal(err)
			}
			r := &jose.Rules{Issuer: "i", Audiences: []string{"c"}, Algorithms: []string{alg}}
			if err := r.JudgeID(tok, c, now, "n", "at"); err != nil {
				t.Error(err)
			}
			wantRefused(t, r.JudgeID(tok, c, now, "n", "at2"), jose.WrongAccessToken)
		})
	}
}

func TestRefusalsSayHowFarClocksDiffer(t *testing.T) {
	err := judgeAccess(t, accessRules(), "", change{"exp": now.Unix() - 90})
	if err == nil || !strings.Contains(err.Error(), "1m30s ago") {
		t.Errorf("got %v", err)
	}
	err = judgeAccess(t, accessRules(), "", change{"nbf": now.Unix() + 90})
	if err == nil || !strings.Contains(err.Error(), "1m30s") {
		t.Errorf("got %v", err)
	}
}
