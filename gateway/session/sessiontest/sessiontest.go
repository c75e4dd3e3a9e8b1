// Package sessiontest is the conformance suite of session stores. A store's own
// test calls Run and adds only what is particular to it: files, networks,
// restarts.
package sessiontest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/session"
)

// Store is what a backend offers.
type Store interface {
	session.Store
	session.Records
	session.Feeds
}

// Run runs the suite. open returns an empty store for each subtest and closes
// it at the subtest's end. Stores may share a server if they do not see one
// another's keys.
func Run(t *testing.T, open func(t *testing.T) Store) {
	t.Helper()
	for _, group := range [][]behaviour{lifeCycle(), revocation(), listing(), activity(), endings(), concurrency(), records(), feeds(), models()} {
		for _, b := range group {
			t.Run(b.name, func(t *testing.T) { b.test(t, open(t)) })
		}
	}
}

type behaviour struct {
	name string
	test func(t *testing.T, s Store)
}

// Key makes the nth key; keys are ordered as their numbers.
func Key(n int) session.Key {
	var k session.Key
	// The number leads and spreads, as a hash would, over what a store shards by,
	// and is in the first 12 bytes, which a store may take for the whole.
	binary.BigEndian.PutUint64(k[:], uint64(n)<<48)
	binary.BigEndian.PutUint64(k[4:], uint64(n))
	k[31] = 1
	return k
}

// Session makes the nth session: of one user in five, with 5 groups and 10
// claims, for 12 hours.
func Session(n int) *session.Session {
	now := time.Now()
	user := n % 5
	return &session.Session{
		Provider:    "corp",
		Client:      session.NewClient("Firefox", "Windows", netip.AddrFrom4([4]byte{192, 0, 2, byte(n)})),
		Created:     now.UnixNano(),
		IdleTimeout: 30 * time.Minute,
		Identity: &identity.Identity{
			Ref: Key(n), ExpiresAt: now.Add(12 * time.Hour),
			Issuer:            "https://id.example.com/realms/corp",
			Subject:           fmt.Sprintf("248289761001-%08d", user),
			Email:             fmt.Sprintf("user%d@example.com", user),
			EmailVerified:     true,
			Name:              "Alice Liddell",
			PreferredUsername: fmt.Sprintf("user%d", user),
			Groups:            []string{"staff", "engineering", "platform", "oncall", "admin"},
			ProviderSession:   fmt.Sprintf("08a5019c-17e1-4977-8f42-%012d", n),
			AMR:               []string{"pwd", "otp"},
			ACR:               "urn:mace:incommon:iap:silver",
			Method:            "oidc",
			AuthTime:          now.Add(-time.Second),
			Claims: identity.MapClaims{
				"given_name": "Alice", "family_name": "Liddell", "locale": "en-GB", "zoneinfo": "Europe/London",
				"department": "Research", "cost_center": 104233.0, "tenant": "example-eu-1", "phone_number_verified": false,
				"roles": []any{"reader", "writer"}, "updated_at": 1764000000.0,
			},
		},
	}
}

// ignored are the parts of a session that no store gives back.
func ignored() cmp.Options {
	return cmp.Options{
		cmpopts.IgnoreUnexported(session.Session{}),
		cmpopts.IgnoreFields(session.Session{}, "SealedTokens"),
		cmpopts.IgnoreFields(identity.Identity{}, "Memo"),
		cmp.Transformer("AllClaims", allClaims),
		cmpopts.EquateEmpty(),
	}
}

// allClaims shows cmp the claims themselves. Which type holds them is the
// store's business.
func allClaims(c identity.Claims) map[string]any {
	return (&identity.Identity{Claims: c}).AllClaims()
}

// expected is what a store returns of s once it has been created.
func expected(s *session.Session) *session.Session {
	want := s.Clone()
	want.Version = 1
	return want
}

func create(t *testing.T, s Store, sessions ...*session.Session) {
	t.Helper()
	for _, one := range sessions {
		if err := s.Create(t.Context(), one); err != nil {
			t.Fatalf("create %s: %v", one.Key(), err)
		}
	}
}

func get(t *testing.T, s Store, key session.Key) *session.Session {
	t.Helper()
	got, err := s.Get(t.Context(), key)
	if err != nil {
		t.Fatalf("get %s: %v", key, err)
	}
	return got
}

// wantGone fails unless every operation says that the session does not exist.
func wantGone(t *testing.T, s Store, keys ...session.Key) {
	t.Helper()
	for _, key := range keys {
		if got, err := s.Get(t.Context(), key); got != nil || !errors.Is(err, session.ErrNotFound) {
			t.Errorf("get %s: got %v, %v, want ErrNotFound", key, got, err)
		}
		if err := s.Touch(t.Context(), key, time.Now()); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("touch %s: got %v, want ErrNotFound", key, err)
		}
		if _, err := s.LastSeen(t.Context(), key); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("last seen of %s: got %v, want ErrNotFound", key, err)
		}
		if tokens, err := s.Tokens(t.Context(), key); tokens != nil || !errors.Is(err, session.ErrNotFound) {
			t.Errorf("tokens of %s: got %q, %v, want ErrNotFound", key, tokens, err)
		}
		changed := false
		got, err := s.Update(t.Context(), key, func(*session.Session) error { changed = true; return nil })
		if got != nil || !errors.Is(err, session.ErrNotFound) || changed {
			t.Errorf("update %s: got %v, %v (changed: %v), want ErrNotFound", key, got, err, changed)
		}
	}
}

func wantTokens(t *testing.T, s Store, key session.Key, want string) {
	t.Helper()
	got, err := s.Tokens(t.Context(), key)
	if err != nil || string(got) != want || (want == "") != (got == nil) {
		t.Errorf("tokens of %s: got %q, %v, want %q", key, got, err, want)
	}
}

// rename is a change for Update.
func rename(name string) func(*session.Session) error {
	return func(s *session.Session) error {
		s.Identity.Name = name
		return nil
	}
}

// list returns the keys that a filter finds.
func list(t *testing.T, s Store, f session.Filter) []session.Key {
	t.Helper()
	listed, err := s.List(t.Context(), f)
	if err != nil {
		t.Fatalf("list %+v: %v", f, err)
	}
	var keys []session.Key
	for _, l := range listed {
		keys = append(keys, l.Key())
	}
	return keys
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for !condition() {
		select {
		case <-deadline.C:
			t.Fatalf("not within 10 s: %s", what)
		case <-poll.C:
		}
	}
}

// outage reports whether err is an error that is no definite answer.
func outage(err error) bool {
	return err != nil && !errors.Is(err, session.ErrNotFound) && !errors.Is(err, session.ErrConflict)
}

// now is a time that every store keeps as it is: the last use may be kept to the
// microsecond only.
func now() time.Time { return time.Now().Truncate(time.Microsecond) }

func longText() string { return strings.Repeat("long ", 2000) }
