package login_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/login/oidctest"
	"github.com/sallyport/sallyport/gateway/session"
)

// keptTokens are the tokens of a session, in the clear.
type keptTokens struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	IDToken      string `json:"id_token"`
	Expiry       time.Time
}

func readTokens(t *testing.T, raw []byte) (k keptTokens) {
	t.Helper()
	if err := json.Unmarshal(raw, &k); err != nil {
		t.Fatal(err)
	}
	return k
}

// signedIn is a session from a provider, and its tokens.
type signedIn struct {
	g       *gateway
	session *session.Session
	tokens  []byte
}

func signInFor(t *testing.T, op *oidctest.Provider) *signedIn {
	t.Helper()
	g := newGateway(t, corp(op)).waitReady(t)
	b := g.browser(t)
	if a := b.get(b.beginLogin("/")); a.StatusCode != http.StatusFound {
		t.Fatalf("signing in: %d\n%s", a.StatusCode, a.body)
	}
	all := g.Store.all()
	if len(all) != 1 {
		t.Fatalf("%d sessions", len(all))
	}
	tokens, err := g.Manager.Tokens(t.Context(), all[0].Key())
	if err != nil {
		t.Fatal(err)
	}
	return &signedIn{g, all[0], tokens}
}

func (s *signedIn) refresh(t *testing.T) (*session.Refreshed, error) {
	t.Helper()
	return s.g.Service.Refresh(t.Context(), "corp", s.tokens, s.session.Identity)
}

func TestASignInTellsWhenItsTokensEnd(t *testing.T) {
	op := oidctest.New(t)
	op.Set(func(s *oidctest.Script) { s.Refresh.AccessLife = time.Hour })
	g := signInFor(t, op).session.Grant
	if left := time.Until(time.Unix(0, g.Expires)); !g.Renewable || g.Generation != 0 || left < 59*time.Minute || left > time.Hour {
		t.Errorf("%+v, which ends in %v", g, left)
	}
}

// TestAnAnswerWithoutExpiresIn: the access token may say itself when it ends.
func TestAnAnswerWithoutExpiresIn(t *testing.T) {
	op := oidctest.New(t)
	ends := time.Now().Add(20 * time.Minute).Truncate(time.Second)
	for name, tt := range map[string]struct {
		access string
		want   time.Time
	}{
		"a token that says it":      {op.Sign(map[string]any{"exp": ends.Unix()}), ends},
		"a token that does not":     {op.Sign(map[string]any{"sub": "alice"}), time.Time{}},
		"a token that is no JWT":    {"opaque", time.Time{}},
		"a token of three nothings": {"..", time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			op.Set(func(s *oidctest.Script) {
				s.IDTokenClaims = func(c map[string]any) { delete(c, "at_hash"); c["email"], c["groups"] = "a@example.com", []string{} }
				s.TokenAnswer = func(m map[string]any) { m["access_token"] = tt.access; delete(m, "expires_in") }
			})
			defer op.Reset()
			got := signInFor(t, op).session.Grant.Expires
			want := int64(0)
			if !tt.want.IsZero() {
				want = tt.want.UnixNano()
			}
			if got != want {
				t.Errorf("got %d, want %d", got, want)
			}
		})
	}
}

func TestARefreshBringsNewTokensAndWhoTheUserIsNow(t *testing.T) {
	op := oidctest.New(t)
	op.Set(func(s *oidctest.Script) {
		s.Claims = map[string]any{"groups": []string{"staff", "admin"}, "acr": "gold", "email": "alice@example.com"}
	})
	in := signInFor(t, op)
	before := in.session.Identity
	op.Set(func(s *oidctest.Script) {
		s.Claims = map[string]any{"groups": []string{"staff"}, "acr": "platinum", "email": "alice@example.org"}
		s.Refresh.AccessLife = time.Hour
		// The time of the refresh, which is none at which the user proved himself.
		s.Refresh.IDTokenClaims = func(c map[string]any) { c["auth_time"] = time.Now().Unix() }
	})
	out, err := in.refresh(t)
	if err != nil {
		t.Fatal(err)
	}
	old, fresh := readTokens(t, in.tokens), readTokens(t, out.Tokens)
	if fresh.AccessToken == old.AccessToken || fresh.RefreshToken == old.RefreshToken || fresh.IDToken == old.IDToken {
		t.Error("a token is the same as before")
	}
	if left := time.Until(out.AccessExpires); left < 59*time.Minute || !out.Renewable {
		t.Errorf("ends in %v", left)
	}
	id := out.Identity
	if id == nil || !slices.Equal(id.Groups, []string{"staff"}) || id.Email != "alice@example.org" {
		t.Fatalf("the user: %+v", id)
	}
	if !id.AuthTime.Equal(before.AuthTime) || id.ACR != "gold" {
		t.Errorf("a refresh passes for an authentication: %v, %s", id.AuthTime, id.ACR)
	}
	sent := op.Exchanges()[1]
	if sent.Get("refresh_token") != old.RefreshToken || sent.Has("redirect_uri") || sent.Has("scope") {
		t.Errorf("sent %v", sent)
	}
	// And once more with what came.
	in.tokens = out.Tokens
	if _, err := in.refresh(t); err != nil {
		t.Error(err)
	}
}

// TestARefreshAsksForGroupsWhereTheSignInDid, and leaves the user as he is where
// the provider does not answer that.
func TestARefreshAsksForGroupsWhereTheSignInDid(t *testing.T) {
	op := oidctest.New(t)
	groups := func(names ...string) func(*oidctest.Script) {
		return func(s *oidctest.Script) { s.Userinfo = func(m map[string]any) { m["groups"] = names } }
	}
	op.Set(groups("staff", "admin"))
	in := signInFor(t, op)
	if !slices.Equal(in.session.Identity.Groups, []string{"staff", "admin"}) {
		t.Fatalf("at the sign-in: %v", in.session.Identity.Groups)
	}
	op.Set(groups("staff"))
	out, err := in.refresh(t)
	if err != nil || out.Identity == nil || !slices.Equal(out.Identity.Groups, []string{"staff"}) {
		t.Fatalf("%+v, %v", out, err)
	}
	op.Set(func(s *oidctest.Script) { s.UserinfoStatus = http.StatusBadGateway })
	in.tokens = out.Tokens
	if out, err = in.refresh(t); err != nil || out.Identity != nil || len(out.Tokens) == 0 {
		t.Errorf("%+v, %v", out, err)
	}
}

// TestARefreshedIDTokenThatDoesNotHoldIsLeftAside: its claims are never used, and
// the tokens beside it are kept, since the old ones are worth nothing any more.
func TestARefreshedIDTokenThatDoesNotHoldIsLeftAside(t *testing.T) {
	op := oidctest.New(t)
	claims := func(change func(map[string]any)) func(*oidctest.RefreshScript) {
		return func(s *oidctest.RefreshScript) { s.IDTokenClaims = change }
	}
	tests := map[string]func(*oidctest.RefreshScript){
		"unsigned":                      func(s *oidctest.RefreshScript) { s.SignIDToken = oidctest.Unsigned },
		"signed with the client secret": func(s *oidctest.RefreshScript) { s.SignIDToken = oidctest.SignSecret },
		"signed with another key":       func(s *oidctest.RefreshScript) { s.SignIDToken = op.SignForeign },
		"for another audience":          claims(func(c map[string]any) { c["aud"] = "other" }),
		"of another issuer":             claims(func(c map[string]any) { c["iss"] = "https://evil.test" }),
		"with another nonce":            claims(func(c map[string]any) { c["nonce"] = "x" }),
		"expired":                       claims(func(c map[string]any) { c["exp"] = time.Now().Add(-time.Hour).Unix() }),
		"without iat":                   claims(func(c map[string]any) { delete(c, "iat") }),
		"of another access token":       claims(func(c map[string]any) { c["at_hash"] = "AAAAAAAAAAAAAAAAAAAAAA" }),
		"an access token":               claims(func(c map[string]any) { c["token_use"] = "access" }),
		"absent":                        func(s *oidctest.RefreshScript) { s.NoIDToken = true },
	}
	in := signInFor(t, op)
	before := readTokens(t, in.tokens)
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			op.Set(func(s *oidctest.Script) {
				s.Claims = map[string]any{"groups": []string{"admin"}, "email": "x@example.com"}
				change(&s.Refresh)
			})
			defer op.Reset()
			out, err := in.refresh(t)
			if err != nil {
				t.Fatal(err)
			}
			if out.Identity != nil {
				t.Errorf("its claims were used: %+v", out.Identity)
			}
			kept := readTokens(t, out.Tokens)
			if kept.IDToken != before.IDToken || kept.RefreshToken == "" || kept.RefreshToken == readTokens(t, in.tokens).RefreshToken {
				t.Errorf("kept %+v", kept)
			}
			in.tokens = out.Tokens
		})
	}
}

func TestARefreshedIDTokenWithTheNonceOfTheSignInHolds(t *testing.T) {
	op := oidctest.New(t)
	in := signInFor(t, op)
	nonce := op.Authorizations()[0].Get("nonce")
	op.Set(func(s *oidctest.Script) { s.Refresh.IDTokenClaims = func(c map[string]any) { c["nonce"] = nonce } })
	if out, err := in.refresh(t); err != nil || out.Identity == nil {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestARefreshThatIsAboutAnotherUserEndsTheSession(t *testing.T) {
	op := oidctest.New(t)
	in := signInFor(t, op)
	op.Set(func(s *oidctest.Script) { s.Refresh.Subject = "mallory" })
	if out, err := in.refresh(t); !errors.Is(err, session.ErrAnotherSubject) || out != nil {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestAProviderThatGivesNoNewRefreshTokenMeansTheOldOne(t *testing.T) {
	op := oidctest.New(t)
	in := signInFor(t, op)
	op.Set(func(s *oidctest.Script) { s.Refresh.SameToken = true })
	for range 3 {
		out, err := in.refresh(t)
		if err != nil || !out.Renewable {
			t.Fatalf("%+v, %v", out, err)
		}
		if got, want := readTokens(t, out.Tokens).RefreshToken, readTokens(t, in.tokens).RefreshToken; got != want {
			t.Errorf("the refresh token is another")
		}
		in.tokens = out.Tokens
	}
}

func TestWhatAProviderSaysToARefreshToken(t *testing.T) {
	op := oidctest.New(t)
	tests := map[string]struct {
		status     int
		code       string
		retryAfter string
		ended      bool
		retry      time.Duration
		log        string
	}{
		"the grant is over":                   {http.StatusBadRequest, "invalid_grant", "", true, 0, ""},
		"the same, with another status":       {http.StatusUnauthorized, "invalid_grant", "", true, 0, ""},
		"the user must show up":               {http.StatusBadRequest, "interaction_required", "", true, 0, ""},
		"a fault of its own":                  {http.StatusInternalServerError, "server_error", "", false, 0, ""},
		"a fault that calls itself otherwise": {http.StatusBadGateway, "invalid_grant", "", false, 0, ""},
		"too much to do":                      {http.StatusTooManyRequests, "", "30", false, 30 * time.Second, ""},
		"down for a while":                    {http.StatusServiceUnavailable, "", "7", false, 7 * time.Second, ""},
		"down, and a header without meaning":  {http.StatusServiceUnavailable, "", "soon", false, 0, ""},
		"the client is unknown":               {http.StatusUnauthorized, "invalid_client", "", false, 0, "check client_id"},
		"the client may not":                  {http.StatusBadRequest, "unauthorized_client", "", false, 0, "check client_id"},
		"a page of a firewall":                {http.StatusForbidden, "", "", false, 0, "check client_id"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			in := signInFor(t, op)
			op.Set(func(s *oidctest.Script) {
				s.Refresh.Status, s.Refresh.Error, s.Refresh.RetryAfter = tt.status, tt.code, tt.retryAfter
			})
			defer op.Reset()
			out, err := in.refresh(t)
			if out != nil || err == nil || errors.Is(err, session.ErrGrantEnded) != tt.ended || errors.Is(err, session.ErrAnotherSubject) {
				t.Fatalf("%+v, %v", out, err)
			}
			retry := time.Duration(0)
			if wish, ok := errors.AsType[*session.RetryError](err); ok {
				retry = wish.After
			}
			if diff := cmp.Diff(tt.retry, retry); diff != "" {
				t.Errorf("when to try again: -want +got\n%s", diff)
			}
			logged := in.g.everythingLogged() + err.Error()
			if !strings.Contains(logged, tt.log) {
				t.Errorf("the operator does not learn of it:\n%s", logged)
			}
			for _, secret := range []string{readTokens(t, in.tokens).RefreshToken, readTokens(t, in.tokens).AccessToken, oidctest.ClientSecret} {
				if strings.Contains(logged, secret) {
					t.Error("a secret is in the log or in an error")
				}
			}
		})
	}
}

func TestTokensThatNobodyCanRenewAreAnOutage(t *testing.T) {
	op := oidctest.New(t)
	in := signInFor(t, op)
	for name, provider := range map[string]string{"of a provider that is gone": "gone", "that can't be read": "corp"} {
		t.Run(name, func(t *testing.T) {
			tokens := in.tokens
			if provider == "corp" {
				tokens = []byte("{secret")
			}
			out, err := in.g.Service.Refresh(t.Context(), provider, tokens, in.session.Identity)
			if out != nil || err == nil || errors.Is(err, session.ErrGrantEnded) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%+v, %v", out, err)
			}
		})
	}
}

func TestAnAccessTokenThatWouldSplitAHeaderIsNotForwarded(t *testing.T) {
	g := newGateway(t, devProvider())
	for _, token := range []string{"a\r\nX-Admin: 1", "a b", "a\x00", "é"} {
		tokens, err := json.Marshal(map[string]string{"access_token": token})
		if err != nil {
			t.Fatal(err)
		}
		if got, _, err := g.Service.AccessToken(tokens); err == nil || got != "" {
			t.Errorf("%q was taken", token)
		}
	}
}
