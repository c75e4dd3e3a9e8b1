package login_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
)

// TestAnOAuth2ServiceSaysAnewWhoTheUserIs when it renews tokens.
func TestAnOAuth2ServiceSaysAnewWhoTheUserIs(t *testing.T) {
	const tokens = `{"access_token":"the next","token_type":"bearer","expires_in":60,"refresh_token":"the next one"}`
	tests := map[string]struct {
		user, token string
		status      int // of the API
		ended       error
		outage      bool
		groups      int // -1: the user stays who he was
	}{
		"he lost a group":                  {user: `{"sub":"alice","groups":["staff"]}`, token: tokens, groups: 1},
		"he is another":                    {user: `{"sub":"mallory"}`, token: tokens, ended: session.ErrAnotherSubject},
		"he is nobody":                     {user: `{}`, token: tokens, groups: -1},
		"its API is down":                  {status: http.StatusBadGateway, token: tokens, groups: -1},
		"it refuses, with 200":             {token: `{"error":"bad_refresh_token"}`, ended: session.ErrGrantEnded},
		"it gives a token of another kind": {token: `{"access_token":"x","token_type":"mac"}`, outage: true},
		"it answers with a page":           {token: `<html>`, outage: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSocial(t, `{"sub":"alice","groups":["staff","admin"]}`)
			g := newGateway(t, s.provider("oauth2", "groups_claim: groups"))
			g.whoSignsIn(t)
			kept := g.Store.all()[0]
			if left := time.Until(time.Unix(0, kept.Grant.Expires)); !kept.Grant.Renewable || left < 50*time.Minute {
				t.Fatalf("%+v", kept.Grant)
			}
			old, err := g.Manager.Tokens(t.Context(), kept.Key())
			if err != nil {
				t.Fatal(err)
			}
			s.script(func() { s.tokenBody, s.access["Bearer the next"] = tt.token, true })
			if s.says("/user", tt.user); tt.status != 0 {
				s.does("/user", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(tt.status) })
			}
			out, err := g.Service.Refresh(t.Context(), "oauth2", old, kept.Identity)
			if tt.ended != nil || tt.outage {
				definite := errors.Is(err, session.ErrGrantEnded) || errors.Is(err, session.ErrAnotherSubject)
				if out != nil || err == nil || definite == tt.outage || !tt.outage && !errors.Is(err, tt.ended) {
					t.Errorf("%+v, %v", out, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if fresh := readTokens(t, out.Tokens); fresh.AccessToken != "the next" || fresh.RefreshToken != "the next one" || time.Until(out.AccessExpires) > time.Minute {
				t.Errorf("%+v", out)
			}
			if tt.groups < 0 != (out.Identity == nil) || out.Identity != nil && len(out.Identity.Groups) != tt.groups {
				t.Errorf("the user: %+v", out.Identity)
			}
		})
	}
}
