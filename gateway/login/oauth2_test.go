package login_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/login"
)

func TestOAuth2IdentityComesFromTheAPIAlone(t *testing.T) {
	s := newSocial(t, `{"data":{"user":{"uid":"u1","mail":"alice@example.com","mail_verified":true,"display":"Alice","nick":"al"},"roles":["staff","ops"]},"email":"evil@example.com"}`)
	s.script(func() {
		// Whatever else the token endpoint says proves nothing.
		s.tokenAnswer = func(m map[string]any) { m["id_token"], m["sub"], m["email"] = "a.b.c", "admin", "admin@example.com" }
	})
	g := newGateway(t, s.provider("oauth2", "scopes: [profile, email]", "subject_claim: data.user.uid", "email_claim: data.user.mail",
		"name_claim: data.user.display", "username_claim: data.user.nick", "groups_claim: data.roles"))
	want := map[string]any{
		"issuer": "urn:sallyport:oauth2", "subject": "u1", "email": "alice@example.com", "email_verified": true, "name": "Alice",
		"preferred_username": "al", "groups": []any{"staff", "ops"}, "provider": "oauth2",
	}
	if diff := cmp.Diff(want, g.whoSignsIn(t)); diff != "" {
		t.Error(diff)
	}
	if q := s.request(0); q.Get("scope") != "profile email" || q.Has("nonce") {
		t.Errorf("the request is %v", q)
	}
	tokens, err := g.Manager.Tokens(t.Context(), g.Store.all()[0].Key())
	if err != nil {
		t.Fatal(err)
	}
	var kept map[string]any
	if err := json.Unmarshal(tokens, &kept); err != nil {
		t.Fatal(err)
	}
	if kept["access_token"] == nil || kept["refresh_token"] == nil || kept["expiry"] == nil {
		t.Errorf("the session keeps %v", kept)
	}
}

func TestSubjectsThatAreNumbersKeepEveryDigit(t *testing.T) {
	tests := map[string]struct{ id, want string }{
		"small":                {`583231`, "583231"},
		"beyond float64":       {`9007199254740993`, "9007199254740993"},
		"beyond 64 bits":       {`123456789012345678901234567890`, "123456789012345678901234567890"},
		"text":                 {`"0007"`, "0007"},
		"nobody":               {`0`, ""},
		"negative":             {`-1`, ""},
		"a fraction":           {`1.5`, ""},
		"a large exponent":     {`1e400`, ""},
		"true":                 {`true`, ""},
		"null":                 {`null`, ""},
		"an empty text":        {`""`, ""},
		"a list of one number": {`[1]`, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSocial(t, `{"id":`+tt.id+`}`)
			g := newGateway(t, s.provider("oauth2", "subject_claim: id"))
			if tt.want == "" {
				b := g.browser(t)
				refused(t, b, b.get(b.beginLogin("/")), http.StatusBadRequest, login.ReasonInvalidUserinfo)
				return
			}
			if got := g.whoSignsIn(t)["subject"]; got != tt.want {
				t.Errorf("the subject is %v", got)
			}
		})
	}
}

// nOAuth: an address that nobody has verified must not open anybody's account.
func TestAddressCountsAsVerifiedOnlyWhenTheAPISaysSoOfThatAddress(t *testing.T) {
	tests := map[string]struct {
		user string
		more []string
		want bool
	}{
		"it says so":                   {`{"sub":"a","email":"a@b.c","email_verified":true}`, nil, true},
		"it says nothing":              {`{"sub":"a","email":"a@b.c"}`, nil, false},
		"it says so in words":          {`{"sub":"a","email":"a@b.c","email_verified":"true"}`, nil, false},
		"it says so of another":        {`{"sub":"a","email":"a@b.c","email_verified":true,"upn":"ceo@b.c"}`, []string{"email_claim: upn"}, false},
		"it is trusted":                {`{"sub":"a","email":"a@b.c"}`, []string{"trust_email: true"}, true},
		"it is trusted and has none":   {`{"sub":"a"}`, []string{"trust_email: true"}, false},
		"it says so in the same place": {`{"sub":"a","mails":{"main":"a@b.c","main_verified":true}}`, []string{"email_claim: mails.main"}, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, newSocial(t, tt.user).provider("oauth2", tt.more...))
			if got := g.whoSignsIn(t)["email_verified"]; got != tt.want {
				t.Errorf("verified is %v", got)
			}
		})
	}
}

func TestAPIThatProvesNobodyRefusesTheSignIn(t *testing.T) {
	status := func(code int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
		}
	}
	body := func(media, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", media)
			_, _ = w.Write([]byte(text))
		}
	}
	const js = "application/json"
	tests := map[string]struct {
		api    http.HandlerFunc
		status int
	}{
		"401":                       {status(401), 400},
		"404":                       {status(404), 400},
		"204":                       {status(204), 400},
		"a redirect":                {status(302, "Location", "https://evil.test/"), 400},
		"500":                       {status(500), 503},
		"too many requests":         {status(429), 503},
		"too many requests, GitHub": {status(403, "X-RateLimit-Remaining", "0"), 503},
		"HTML":                      {body("text/html", `{"sub":"alice"}`), 400},
		"a list":                    {body(js, `[{"sub":"alice"}]`), 400},
		"null":                      {body(js, `null`), 400},
		"nothing":                   {body(js, ``), 400},
		"cut off":                   {body(js, `{"sub":"alice"`), 400},
		"two objects":               {body(js, `{"sub":"alice"}{"sub":"bob"}`), 400},
		"two subjects":              {body(js, `{"sub":"alice","sub":"admin"}`), 400},
		"no subject":                {body(js, `{"name":"alice"}`), 400},
		"another spelling":          {body(js, `{"SUB":"alice"}`), 400},
		"more than a megabyte":      {body(js, `{"sub":"alice","x":"`+strings.Repeat("a", 2<<20)+`"}`), 400},
		"nested without end":        {body(js, `{"sub":"alice","x":`+strings.Repeat("[", 10000)+strings.Repeat("]", 10000)+`}`), 400},
	}
	s := newSocial(t, "")
	g := newGateway(t, s.provider("oauth2"))
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s.does("/user", tt.api)
			reason := login.ReasonInvalidUserinfo
			if tt.status == http.StatusServiceUnavailable {
				reason = login.ReasonProviderUnavailable
			}
			b := g.browser(t)
			refused(t, b, b.get(b.beginLogin("/")), tt.status, reason)
		})
	}
}

// Some services refuse with status 200, and some answer anything.
func TestTokenAnswerThatGrantsNothing(t *testing.T) {
	tests := map[string]struct {
		body   string
		status int
		reason string
	}{
		"refused with 200":          {`{"error":"bad_verification_code","error_description":"x"}`, 400, login.ReasonInvalidGrant},
		"the client is wrong, 200":  {`{"error":"incorrect_client_credentials"}`, 400, login.ReasonProviderError},
		"refused beside a token":    {`{"error":"invalid_grant","access_token":"x","token_type":"bearer"}`, 400, login.ReasonInvalidGrant},
		"no access token":           {`{"token_type":"bearer"}`, 400, login.ReasonProviderError},
		"an access token of a list": {`{"access_token":["x"],"token_type":"bearer"}`, 400, login.ReasonProviderError},
		"another spelling":          {`{"Access_Token":"x","token_type":"bearer"}`, 400, login.ReasonProviderError},
		"another kind of token":     {`{"access_token":"x","token_type":"mac"}`, 400, login.ReasonProviderError},
		"not JSON":                  {`access_token=x&token_type=bearer`, 503, login.ReasonProviderUnavailable},
		"a list":                    {`[]`, 503, login.ReasonProviderUnavailable},
		"endless":                   {`{"access_token":"` + strings.Repeat("x", 4<<20) + `"}`, 503, login.ReasonProviderUnavailable},
		"the service is overloaded": {`{"error":"temporarily_unavailable"}`, 503, login.ReasonProviderUnavailable},
	}
	s := newSocial(t, "")
	g := newGateway(t, s.provider("oauth2"))
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s.script(func() { s.tokenBody = tt.body })
			b := g.browser(t)
			refused(t, b, b.get(b.beginLogin("/")), tt.status, tt.reason)
		})
	}
	if n := s.called("/user"); n != 0 {
		t.Errorf("the API was asked %d times with no token that was granted", n)
	}
}

// A token that was given to another application says who its owner is, too: it
// must not come in from outside (token substitution; RFC 9700, section 2.1.2).
func TestTokenFromTheFrontChannelIsNeverShownToTheAPI(t *testing.T) {
	s := newSocial(t, "")
	g := newGateway(t, s.provider("oauth2"))
	for name, change := range map[string]func(url.Values){
		"beside the code":  func(q url.Values) { q.Set("access_token", "stolen") },
		"without the code": func(q url.Values) { q.Del("code"); q.Set("access_token", "stolen") },
	} {
		t.Run(name, func(t *testing.T) {
			b := g.browser(t)
			refused(t, b, b.get(withQuery(t, b.beginLogin("/"), change)), http.StatusBadRequest, login.ReasonMalformed)
		})
	}
	if s.called("/token") != 0 || s.called("/user") != 0 {
		t.Error("the service was asked")
	}
}

// Mix-up (RFC 9207, RFC 9700 section 4.4): an answer of one service must not
// bring its code to another.
func TestAnswerOfAnotherServiceSendsItsCodeNowhere(t *testing.T) {
	s := newSocial(t, "")
	other := newSocial(t, "")
	named := s.provider("oauth2", "issuer: https://id.example.com")
	second := other.provider("oauth2")
	second.Name = "other"
	g := newGateway(t, named, second)
	begin := func(b *browser) string { return b.get(b.get("/.auth/login?provider=oauth2").location()).location() }
	tests := map[string]struct {
		change func(string) string
		reason string
	}{
		"the issuer is another": {func(u string) string {
			return withQuery(t, u, func(q url.Values) { q.Set("iss", "https://evil.test") })
		}, login.ReasonWrongIssuer},
		"there are two issuers": {func(u string) string {
			return withQuery(t, u, func(q url.Values) { q["iss"] = []string{"https://id.example.com", "https://evil.test"} })
		}, login.ReasonMalformed},
		"it comes to another's redirect URI": {func(u string) string {
			return strings.Replace(u, "/callback/oauth2", "/callback/other", 1)
		}, login.ReasonInvalidState},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := g.browser(t)
			refused(t, b, b.get(tt.change(begin(b))), http.StatusBadRequest, tt.reason)
		})
	}
	if s.called("/token")+other.called("/token") != 0 {
		t.Error("a code was sent to a token endpoint")
	}
	b := g.browser(t)
	good := withQuery(t, begin(b), func(q url.Values) { q.Set("iss", "https://id.example.com") })
	if got := b.get(good); got.StatusCode != http.StatusFound || b.session() == "" {
		t.Errorf("the right issuer is answered with %d %s", got.StatusCode, got.body)
	}
}

func TestOAuth2SecretsFollowNoRedirect(t *testing.T) {
	var strangers atomic.Int32
	stranger := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { strangers.Add(1) }))
	t.Cleanup(stranger.Close)
	s := newSocial(t, "")
	g := newGateway(t, s.provider("oauth2"))
	for _, status := range []int{301, 302, 303, 307, 308} {
		s.does("/user", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", stranger.URL)
			w.WriteHeader(status)
		})
		b := g.browser(t)
		refused(t, b, b.get(b.beginLogin("/")), http.StatusBadRequest, login.ReasonInvalidUserinfo)
	}
	if n := strangers.Load(); n != 0 {
		t.Errorf("another host was asked %d times", n)
	}
}

func TestServiceThatIsDownIsAnOutageOfTheSignInAlone(t *testing.T) {
	s := newSocial(t, "")
	g := newGateway(t, s.provider("oauth2"))
	s.script(func() { s.tokenStatus = http.StatusBadGateway })
	b := g.browser(t)
	refused(t, b, b.get(b.beginLogin("/")), http.StatusServiceUnavailable, login.ReasonProviderUnavailable)
}
