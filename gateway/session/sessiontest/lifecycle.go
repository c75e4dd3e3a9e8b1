//nolint:thelper // these functions are tests, not helpers
package sessiontest

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/session"
)

func lifeCycle() []behaviour {
	return []behaviour{
		{"a created session is returned whole", func(t *testing.T, s Store) {
			in := Session(1)
			in.SealedTokens = new([]byte("sealed"))
			create(t, s, in)
			got := get(t, s, in.Key())
			if diff := cmp.Diff(expected(in), got, ignored()); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if got.SealedTokens != nil {
				t.Error("Get returned the provider tokens")
			}
			if got.Identity.Memo == nil {
				t.Error("the identity has no memo, so every request compiles its headers anew")
			}
			seen, err := s.LastSeen(t.Context(), in.Key())
			if err != nil || time.Since(seen).Abs() > time.Minute {
				t.Errorf("last seen: got %v, %v, want now", seen, err)
			}
		}},
		{"an unknown key is definitely absent", func(t *testing.T, s Store) {
			create(t, s, Session(1))
			wantGone(t, s, Key(2), session.Key{})
		}},
		{"a key is created once", func(t *testing.T, s Store) {
			create(t, s, Session(1))
			other := Session(1)
			other.Identity.Name = "Mallory"
			if err := s.Create(t.Context(), other); !errors.Is(err, session.ErrConflict) {
				t.Errorf("got %v, want ErrConflict", err)
			}
			if name := get(t, s, Key(1)).Identity.Name; name != "Alice Liddell" {
				t.Errorf("the first session was replaced by that of %s", name)
			}
		}},
		{"what is kept does not follow the caller's later changes", func(t *testing.T, s Store) {
			in := Session(1)
			in.SealedTokens = new([]byte("sealed"))
			want := expected(in)
			want.Identity.Groups = append([]string{}, in.Identity.Groups...)
			want.Identity.Claims = identity.MapClaims{"roles": []any{"reader"}}
			claims := identity.MapClaims{"roles": []any{"reader"}}
			in.Identity.Claims = claims
			create(t, s, in)

			in.Identity.Groups[0] = "admin"
			claims["roles"].([]any)[0] = "owner" //nolint:forcetypeassert // made above
			claims["more"] = true
			in.Identity.Subject = "root"
			in.Identity.ExpiresAt = in.ExpiresAt().Add(time.Hour)
			copy(*in.SealedTokens, "broken")
			if diff := cmp.Diff(want, get(t, s, Key(1)), ignored()); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			wantTokens(t, s, Key(1), "sealed")
		}},
		{"claims and odd texts come back as they were", func(t *testing.T, s Store) {
			in := Session(1)
			in.Identity.Name = "日本 \x00 \xff\r\n" + longText()
			in.Identity.Groups = []string{"", "a b", "groups"}
			in.Identity.Claims = identity.MapClaims{
				"": "", "nil": nil, "true": true, "false": false, "float": 0.25, "whole": -12345678901.0, "account": json.Number("9007199254740993"),
				"list": []any{nil, "x", []any{}}, "object": map[string]any{"roles": []any{"a"}, "empty": map[string]any{}},
			}
			create(t, s, in)
			if diff := cmp.Diff(expected(in), get(t, s, in.Key()), ignored()); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		}},
		{"a session with the least is kept", func(t *testing.T, s Store) {
			now := time.Now()
			in := &session.Session{
				Created: now.UnixNano(), IdleTimeout: time.Hour,
				Identity: &identity.Identity{Ref: Key(1), Subject: "s", ExpiresAt: now.Add(time.Hour)},
			}
			create(t, s, in)
			if diff := cmp.Diff(expected(in), get(t, s, in.Key()), ignored()); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			wantTokens(t, s, in.Key(), "")
		}},
		{"a session without a subject is refused", func(t *testing.T, s Store) {
			in := Session(1)
			in.Identity.Subject = ""
			if err := s.Create(t.Context(), in); err == nil {
				t.Error("it was kept")
			}
			wantGone(t, s, in.Key())
		}},
		{"an update is kept with the next version", func(t *testing.T, s Store) {
			in := Session(1)
			create(t, s, in)
			before := get(t, s, in.Key())
			got, err := s.Update(t.Context(), in.Key(), func(c *session.Session) error {
				c.Identity.Ref, c.Version, c.Created = Key(2), 99, c.Created+int64(time.Hour) // the store's
				c.Identity.Name = "Alice Hargreaves"
				c.Identity.Groups = []string{"alumni"}
				c.Identity.Claims = identity.MapClaims{"tier": "gold"}
				c.Provider = "corp2"
				c.Identity.ExpiresAt = in.ExpiresAt().Add(-time.Hour)
				c.IdleTimeout = time.Hour
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			want := expected(in)
			want.Version, want.Provider, want.IdleTimeout = 2, "corp2", time.Hour
			want.Identity.ExpiresAt = in.ExpiresAt().Add(-time.Hour)
			want.Identity.Name, want.Identity.Groups = "Alice Hargreaves", []string{"alumni"}
			want.Identity.Claims = identity.MapClaims{"tier": "gold"}
			if diff := cmp.Diff(want, got, ignored()); diff != "" {
				t.Errorf("returned: -want +got\n%s", diff)
			}
			if diff := cmp.Diff(want, get(t, s, in.Key()), ignored()); diff != "" {
				t.Errorf("kept: -want +got\n%s", diff)
			}
			if diff := cmp.Diff(expected(in), before, ignored()); diff != "" {
				t.Errorf("a request that still held the old session saw it change: -want +got\n%s", diff)
			}
			wantGone(t, s, Key(2))
		}},
		{"a failed update changes nothing and gives its own error", func(t *testing.T, s Store) {
			in := Session(1)
			create(t, s, in)
			refused := errors.New("refused")
			got, err := s.Update(t.Context(), in.Key(), func(c *session.Session) error {
				c.Identity.Name = "Mallory"
				return refused
			})
			if got != nil || !errors.Is(err, refused) {
				t.Errorf("got %v, %v, want the error of the change", got, err)
			}
			if diff := cmp.Diff(expected(in), get(t, s, in.Key()), ignored()); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		}},
		{"tokens are kept apart, and by an update that does not name them", func(t *testing.T, s Store) {
			in := Session(1)
			in.SealedTokens = new([]byte("one"))
			create(t, s, in, Session(2))
			wantTokens(t, s, Key(1), "one")
			wantTokens(t, s, Key(2), "")

			update := func(tokens []byte) {
				t.Helper()
				got, err := s.Update(t.Context(), Key(1), func(c *session.Session) error {
					if c.SealedTokens != nil {
						t.Error("the update sees the tokens")
					}
					if tokens != nil {
						c.SealedTokens = &tokens
					}
					return nil
				})
				if err != nil || got.SealedTokens != nil {
					t.Errorf("got tokens %q, %v", got.Tokens(), err)
				}
			}
			update(nil)
			wantTokens(t, s, Key(1), "one")
			two := []byte("two")
			update(two)
			copy(two, "XXX")
			wantTokens(t, s, Key(1), "two")
			update([]byte{})
			wantTokens(t, s, Key(1), "")
			update([]byte(longText()))
			wantTokens(t, s, Key(1), longText())
		}},
		{"a call with a cancelled context is never a wrong answer", func(t *testing.T, s Store) {
			create(t, s, Session(1))
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			// Each may succeed, or fail as an outage; never say "absent" or "exists".
			if got, err := s.Get(ctx, Key(1)); (got == nil) != (err != nil) || err != nil && !outage(err) {
				t.Errorf("get: %v, %v", got, err)
			}
			if _, err := s.LastSeen(ctx, Key(1)); err != nil && !outage(err) {
				t.Errorf("last seen: %v", err)
			}
			if _, err := s.List(ctx, session.Filter{}); err != nil && !outage(err) {
				t.Errorf("list: %v", err)
			}
			if _, err := s.LoadRecord(ctx, "kind", "absent"); err == nil {
				t.Error("an absent record was loaded")
			}
			if err := s.Create(ctx, Session(2)); !outage(err) {
				t.Errorf("create: got %v, want an outage", err)
			}
			if got, err := s.Update(ctx, Key(1), rename("Mallory")); !outage(err) || got != nil {
				t.Errorf("update: got %v, %v, want an outage", got, err)
			}
			if _, err := s.SaveRecord(ctx, "kind", "name", 0, nil, time.Time{}); !outage(err) {
				t.Errorf("save record: got %v, want an outage", err)
			}
		}},
		{"ping answers", func(t *testing.T, s Store) {
			if err := s.Ping(t.Context()); err != nil {
				t.Error(err)
			}
		}},
	}
}
