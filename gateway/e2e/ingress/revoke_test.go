//go:build e2e

package ingress_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// ask calls the admin API of the gateway as the operator.
func (s *site) ask(t *testing.T, method, path, body string, out any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.gateway.AdminURL+"/api/v1"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+operator)
	res, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s", method, path, res.Status)
	}
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		t.Fatal(err)
	}
}

// operatorRevokes ends one session by its id and then all of its user, while the
// proxy goes on to serve another's.
func (s *site) operatorRevokes(t *testing.T) {
	first, second := "Cookie: "+s.signIn(t, "alice"), "Cookie: "+s.signIn(t, "alice")
	for _, cookie := range []string{first, second, first, second} {
		s.send(t, "GET", "/x", "", cookie).received(t)
	}
	var page struct {
		Sessions []struct{ ID, Issuer string }
	}
	s.ask(t, http.MethodGet, "/sessions?subject=alice", "", &page)
	var done struct{ Revoked int }
	open := func() (n int) {
		for _, cookie := range []string{first, second} {
			switch a := s.send(t, "GET", "/x", "", cookie); a.status {
			case http.StatusOK:
				n++
			case http.StatusUnauthorized:
			default:
				t.Errorf("after a revocation: %d %s", a.status, a.body)
			}
		}
		return n
	}
	for _, one := range page.Sessions {
		s.ask(t, http.MethodDelete, "/sessions/"+one.ID, "", &done)
		if n := open(); n < 2 {
			break // of the others, sign-ins before this test have left some
		}
	}
	if n := open(); n != 1 {
		t.Errorf("one of two sessions was ended, and %d can be used", n)
	}
	s.ask(t, http.MethodPost, "/sessions/revoke", `{"subject":"alice","issuer":"`+page.Sessions[0].Issuer+`"}`, &done)
	if n := open(); n != 0 || done.Revoked < 1 {
		t.Errorf("all sessions of the user were ended (%d), and %d can be used", done.Revoked, n)
	}
}
