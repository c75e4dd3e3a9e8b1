package gateway_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/admin"
)

// sessionList asks for a page of sessions.
func (s *site) sessionList(t *testing.T, query string) admin.SessionPage {
	t.Helper()
	var page admin.SessionPage
	if status, text := s.ask(t, http.MethodGet, "/sessions?"+query, nil, &page); status != http.StatusOK {
		t.Fatalf("sessions?%s: %d %s", query, status, text)
	}
	return page
}

// names are the ids of a page.
func names(p admin.SessionPage) (ids []string) {
	for _, one := range p.Sessions {
		ids = append(ids, one.ID)
	}
	return ids
}

// sessionFor signs a user in on the way to a place, and returns the cookie.
func (s *site) sessionFor(t *testing.T, user, target string) string {
	t.Helper()
	a := s.post(t, "/.auth/login", url.Values{"provider": {"dev"}, "username": {user}, "return_to": {target}}, "User-Agent: curl/8.5")
	for _, ck := range a.Cookies() {
		if ck.Name == s.cookie {
			return ck.Name + "=" + ck.Value
		}
	}
	t.Fatalf("%s was not signed in: %d", user, a.StatusCode)
	return ""
}

func TestOperatorsListShowAndEndSessions(t *testing.T) {
	t.Parallel()
	s := newSite(t, plan{adminToken: adminToken(t)})
	alice := []string{s.sessionFor(t, "alice", "/"), s.sessionFor(t, "alice", "/rw/x"), s.sessionFor(t, "alice", "/admin/")}
	root := s.sessionFor(t, "root", "/admin/")
	with := func(cookie string) answer {
		return s.raw(t, s.request("GET", "/rw/x", "Cookie: "+cookie, "Connection: close"))
	}

	all := s.sessionList(t, "")
	if len(all.Sessions) != 4 || all.Next != "" {
		t.Fatalf("%d sessions, next %q", len(all.Sessions), all.Next)
	}
	t.Run("narrowed", func(t *testing.T) {
		for query, want := range map[string]int{
			"subject=alice": 3, "issuer=dev&subject=alice": 3, "issuer=dev": 4, "issuer=other": 0, "issuer=other&subject=alice": 0,
			"email=root@example.test": 1, "route=admin": 2, "route=read": 1, "route=app": 1, "provider=dev": 4, "provider=x": 0,
			"route=admin&subject=alice": 1, "older_than=1h": 0, "older_than=0s": 4, "idle_longer_than=1d": 0, "provider_session=x": 0,
		} {
			query = strings.Replace(query, "issuer=dev", "issuer="+url.QueryEscape(all.Sessions[0].Issuer), 1)
			if got := len(s.sessionList(t, query).Sessions); got != want {
				t.Errorf("%s: %d sessions, want %d", query, got, want)
			}
		}
	})
	t.Run("in pages", func(t *testing.T) {
		var ids []string
		for next := ""; ; {
			page := s.sessionList(t, "limit=1"+next)
			if ids = append(ids, names(page)...); page.Next == "" {
				break
			}
			next = "&after=" + page.Next
		}
		if !slices.Equal(ids, names(all)) {
			t.Errorf("page by page %v, at once %v", ids, names(all))
		}
	})
	t.Run("a question that makes no sense is refused", func(t *testing.T) {
		for _, query := range []string{"subjekt=alice", "limit=0", "limit=1001", "after=x", "older_than=old", "older_than=-1h", "subject=", "subject=a&subject=b"} {
			if status, _ := s.ask(t, http.MethodGet, "/sessions?"+query, nil, nil); status != http.StatusBadRequest {
				t.Errorf("%s: %d", query, status)
			}
		}
	})
	t.Run("one is shown, without what opens it", func(t *testing.T) {
		one := s.sessionList(t, "route=read").Sessions[0]
		var shown admin.Session
		status, text := s.ask(t, http.MethodGet, "/sessions/"+one.ID, nil, &shown)
		if status != http.StatusOK || shown.Subject != "alice" || shown.Browser != "curl" || !shown.Address.IsLoopback() ||
			!shown.End.After(shown.IdleEnd) || !slices.Equal(shown.Groups, []string{"users"}) {
			t.Errorf("%d %s", status, text)
		}
		for _, cookie := range append(alice, root) {
			if _, value, _ := strings.Cut(cookie, "="); strings.Contains(text, value) {
				t.Error("the answer has the cookie")
			}
		}
		if status, _ := s.ask(t, http.MethodGet, "/sessions/0123456789abcdef", nil, nil); status != http.StatusNotFound {
			t.Errorf("an unknown one: %d", status)
		}
	})

	t.Run("one is ended", func(t *testing.T) {
		id := names(s.sessionList(t, "route=read"))[0]
		if status, text := s.ask(t, http.MethodDelete, "/sessions/"+id, nil, nil); status != http.StatusOK {
			t.Fatalf("%d %s", status, text)
		}
		s.denied(t, with(alice[1]), http.StatusUnauthorized)
		s.passed(t, with(alice[0]))
		if status, _ := s.ask(t, http.MethodDelete, "/sessions/"+id, nil, nil); status != http.StatusNotFound {
			t.Errorf("ended twice: %d", status)
		}
		line := s.audited(t, "revoke_session")
		if line["session"] != id || line["subject"] != "alice" || line["operator"] != "admin token" || line["request_id"] == nil {
			t.Errorf("audit: %v", line)
		}
	})
	t.Run("all of a user are ended", func(t *testing.T) {
		var ended admin.Revoked
		status, text := s.ask(t, http.MethodPost, "/sessions/revoke", admin.Revocation{Issuer: all.Sessions[0].Issuer, Subject: "alice"}, &ended)
		if status != http.StatusOK || ended.Revoked != 2 {
			t.Fatalf("%d %s", status, text)
		}
		s.denied(t, with(alice[0]), http.StatusUnauthorized)
		s.passed(t, with(root))
		if line := s.audited(t, "revoke_sessions"); line["count"] != int64(2) || line["subject"] != "alice" {
			t.Errorf("audit: %v", line)
		}
	})
	t.Run("all before a time are ended, and none after it", func(t *testing.T) {
		before := time.Now()
		later := s.sessionFor(t, "alice", "/")
		var ended admin.Revoked
		if status, text := s.ask(t, http.MethodPost, "/sessions/revoke", admin.Revocation{Before: before}, &ended); status != http.StatusOK || ended.Revoked != 1 {
			t.Fatalf("%d %s", status, text)
		}
		s.denied(t, with(root), http.StatusUnauthorized)
		s.passed(t, with(later))
	})
	t.Run("a revocation that could mean too much is refused", func(t *testing.T) {
		for name, body := range map[string]any{
			"of nobody":                  admin.Revocation{},
			"of an issuer":               admin.Revocation{Issuer: "a"},
			"of a subject of any issuer": admin.Revocation{Subject: "alice"},
			"of two things":              admin.Revocation{Issuer: "a", Subject: "alice", Before: time.Now()},
			"of the future":              admin.Revocation{Before: time.Now().Add(time.Hour)},
			"with a word too many":       map[string]any{"issuer": "a", "subject": "b", "all": true},
		} {
			if status, _ := s.ask(t, http.MethodPost, "/sessions/revoke", body, nil); status != http.StatusBadRequest {
				t.Errorf("%s: %d", name, status)
			}
		}
	})
}

// audited returns the fields of the last audit line of an event.
func (s *site) audited(t *testing.T, event string) map[string]any {
	t.Helper()
	for _, line := range slices.Backward(s.log.FilterMessage("audit").All()) {
		if f := line.ContextMap(); f["event"] == event {
			return f
		}
	}
	t.Fatalf("no audit line of %s", event)
	return nil
}
