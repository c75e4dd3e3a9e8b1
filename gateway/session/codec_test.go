package session_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/session"
)

// typical is a session as a company's provider makes it: 5 groups, 10 claims.
func typical() *session.Session {
	now := time.Date(2026, 11, 23, 9, 30, 0, 123456789, time.UTC)
	return &session.Session{
		Version:     3,
		Provider:    "corp",
		Created:     now.UnixNano(),
		IdleTimeout: 30 * time.Minute,
		Identity: &identity.Identity{
			Ref: session.Key{1, 2, 3}, ExpiresAt: now.Add(12 * time.Hour),
			Issuer:            "https://id.example.com/realms/corp",
			Subject:           "248289761001-a1b2c3d4",
			Email:             "alice.liddell@example.com",
			EmailVerified:     true,
			Name:              "Alice Liddell",
			PreferredUsername: "alice",
			Groups:            []string{"staff", "engineering", "platform", "oncall", "admin"},
			ProviderSession:   "08a5019c-17e1-4977-8f42-65a12843ea02",
			AMR:               []string{"pwd", "otp"},
			ACR:               "urn:mace:incommon:iap:silver",
			Method:            "oidc",
			AuthTime:          now.Add(-time.Second).Truncate(time.Second),
			Claims: identity.MapClaims{
				"given_name": "Alice", "family_name": "Liddell", "locale": "en-GB", "zoneinfo": "Europe/London",
				"department": "Research", "cost_center": 104233.0, "tenant": "example-eu-1", "phone_number_verified": false,
				"roles": []any{"reader", "writer"}, "updated_at": 1764000000.0,
			},
		},
	}
}

var sameSession = cmp.Options{
	cmpopts.IgnoreUnexported(session.Session{}),
	cmpopts.IgnoreFields(identity.Identity{}, "Memo"),
	cmp.Transformer("AllClaims", func(c identity.Claims) map[string]any {
		return (&identity.Identity{Claims: c}).AllClaims()
	}),
}

func roundTrip(t *testing.T, s *session.Session) *session.Session {
	t.Helper()
	data, err := session.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	got, err := session.Unmarshal(s.Key(), data)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestASessionSurvivesTheRecord(t *testing.T) {
	full := typical()
	full.SealedTokens = new([]byte("sealed"))
	full.Route = "app"
	full.Client = session.NewClient("Firefox", "Linux", netip.MustParseAddr("2001:db8::1"))
	full.Grant = session.Grant{
		Generation: 300, Renewable: true,
		Issued: full.CreatedAt().Add(time.Hour).UnixNano(), Expires: full.CreatedAt().Add(2 * time.Hour).UnixNano(),
	}
	endless := typical()
	endless.Grant = session.Grant{Issued: endless.Created}
	bare := &session.Session{
		Identity: &identity.Identity{Subject: "s", ExpiresAt: time.Unix(0, 1)}, // the end before the start
		Created:  int64(time.Second),
	}
	for name, s := range map[string]*session.Session{"with every field": full, "with tokens that do not end": endless, "with the least": bare} {
		t.Run(name, func(t *testing.T) {
			got := roundTrip(t, s)
			want := s.Clone()
			want.SealedTokens = nil
			if diff := cmp.Diff(want, got, sameSession); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if got.Identity.Memo == nil {
				t.Error("the identity cannot remember compiled headers")
			}
		})
	}
}

func TestTheRecordHoldsNoProviderTokens(t *testing.T) {
	s := typical()
	s.SealedTokens = new([]byte("sealed-provider-tokens"))
	data, err := session.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(data, s.Tokens()) {
		t.Error("the hot record carries the tokens")
	}
}

func TestClaimsComeBackAsJSONDecodesThem(t *testing.T) {
	long := strings.Repeat("x", 300)
	for name, c := range map[string]struct{ in, want any }{
		"text":                                {"a", "a"},
		"empty text":                          {"", ""},
		"text longer than a short length":     {long, long},
		"text of 127 bytes":                   {long[:127], long[:127]},
		"a word of the list":                  {"groups", "groups"},
		"nothing":                             {nil, nil},
		"true":                                {true, true},
		"false":                               {false, false},
		"a whole number":                      {1764000000.0, 1764000000.0},
		"a negative number":                   {-7.0, -7.0},
		"a fraction":                          {0.1, 0.1},
		"a huge number":                       {1e300, 1e300},
		"an int of a configuration file":      {42, 42.0},
		"an int64":                            {int64(-42), -42.0},
		"json.Number that float64 holds":      {json.Number("1234567890"), 1234567890.0},
		"json.Number with a fraction":         {json.Number("1.5"), 1.5},
		"an account number beyond 2^53":       {json.Number("9007199254740993"), json.Number("9007199254740993")},
		"an int64 beyond 2^53":                {int64(math.MinInt64), json.Number("-9223372036854775808")},
		"a uint64 beyond 2^53":                {uint64(math.MaxUint64), json.Number("18446744073709551615")},
		"a number out of the range of floats": {json.Number("1e999"), json.Number("1e999")},
		"a list of strings":                   {[]string{"a", "roles"}, []any{"a", "roles"}},
		"an empty list":                       {[]any{}, []any{}},
		"a list of everything":                {[]any{nil, true, "x", 1.0, []any{2.5}}, []any{nil, true, "x", 1.0, []any{2.5}}},
		"an object":                           {map[string]any{"roles": []any{"a"}, "n": map[string]any{}}, map[string]any{"roles": []any{"a"}, "n": map[string]any{}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := typical()
			s.Identity.Claims = identity.MapClaims{"claim": c.in}
			if diff := cmp.Diff(c.want, roundTrip(t, s).Identity.Claim("claim")); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestARecordIsNotMadeOf(t *testing.T) {
	deep := any("end")
	for range 40 {
		deep = []any{deep}
	}
	claim := func(v any) func(*session.Session) {
		return func(s *session.Session) { s.Identity.Claims = identity.MapClaims{"x": v} }
	}
	for name, spoil := range map[string]func(*session.Session){
		"no identity":                   func(s *session.Session) { s.Identity = nil },
		"no subject":                    func(s *session.Session) { s.Identity.Subject = "" },
		"no end":                        func(s *session.Session) { s.Identity.ExpiresAt = time.Time{} },
		"no start":                      func(s *session.Session) { s.Created = 0 },
		"a time no record can hold":     func(s *session.Session) { s.Identity.ExpiresAt = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC) },
		"a sign-in time out of range":   func(s *session.Session) { s.Identity.AuthTime = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC) },
		"a claim that is no JSON value": claim(struct{}{}),
		"not a number":                  claim(math.NaN()),
		"infinity in a list":            claim([]any{math.Inf(1)}),
		"a json.Number that is none":    claim(json.Number("true")),
		"an empty json.Number":          claim(json.Number("")),
		"a claim nested too deep":       claim(deep),
	} {
		t.Run(name, func(t *testing.T) {
			s := typical()
			spoil(s)
			if data, err := session.Marshal(s); err == nil || data != nil {
				t.Errorf("got %d bytes and %v, want an error alone", len(data), err)
			}
		})
	}
}

func TestARecordOfAnotherReleaseIsAnOutageNotALogout(t *testing.T) {
	data, err := session.Marshal(typical())
	if err != nil {
		t.Fatal(err)
	}
	data[0]++
	s, err := session.Unmarshal(session.Key{}, data)
	if s != nil || err == nil || errors.Is(err, session.ErrNotFound) {
		t.Fatalf("got %v, %v: want an error that is not ErrNotFound", s, err)
	}
	if !strings.Contains(err.Error(), "version 2") {
		t.Errorf("the error does not name the version: %v", err)
	}
}

func TestFieldsAddedByALaterReleaseAreIgnored(t *testing.T) {
	data, err := session.Marshal(typical())
	if err != nil {
		t.Fatal(err)
	}
	s, err := session.Unmarshal(session.Key{}, append(data, "\xf0\x0da later field\xf1\x00"...))
	if err != nil || s.Identity.Name != "Alice Liddell" {
		t.Errorf("got %v, %v", s, err)
	}
}

// The file was written by the first release. It must stay readable for ever,
// and every cut and changed byte of it must be an answer or an error.
func TestRecordsOfTheFirstReleaseAreRead(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "record-v1.hex"))
	if err != nil {
		t.Fatal(err)
	}
	data, err := hex.DecodeString(string(bytes.Join(bytes.Fields(text), nil)))
	if err != nil {
		t.Fatal(err)
	}
	want := typical()
	got, err := session.Unmarshal(want.Key(), data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, sameSession); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	for n := range data {
		if s, err := session.Unmarshal(want.Key(), data[:n]); err == nil || s != nil {
			t.Errorf("a record cut to %d bytes was read as %v", n, s)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	data, err := session.Marshal(typical())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:40])
	granted := typical()
	granted.Grant = session.Grant{Generation: 1, Renewable: true, Issued: 1, Expires: math.MaxInt64}
	if data, err = session.Marshal(granted); err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte{1})
	f.Add([]byte{2})
	f.Add(append([]byte{1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 's', 0, 0, 0, 0, 0, 0, 0, 1, 1, 'x'}, bytes.Repeat([]byte{7, 1}, 100)...))
	f.Add([]byte("\x0100000\x00\x00\x00\x010\x00\x00\x00\x00\x00\x00\x00\x01\x010\x06\x010")) // a small number as text
	f.Fuzz(func(t *testing.T, data []byte) {
		key := session.Key{9}
		s, err := session.Unmarshal(key, data)
		if err != nil {
			if s != nil {
				t.Fatal("a session beside an error")
			}
			return
		}
		if s.Identity == nil || s.Identity.Subject == "" || s.Key() != key {
			t.Fatalf("an incomplete session: %+v", s)
		}
		// Decoded, so that they go through the encoder: those of a record are copied.
		claims := s.Identity.AllClaims()
		s.Identity.Claims = identity.MapClaims(claims)
		again, err := session.Marshal(s)
		if err != nil {
			// The least representable time reads as none.
			return
		}
		back, err := session.Unmarshal(key, again)
		if err != nil {
			t.Fatal(err)
		}
		// What the encoder wrote must come back the same for ever. Not by go-cmp:
		// it takes exponential time for deeply nested claims.
		twice, err := session.Marshal(back)
		if err != nil {
			t.Fatal(err)
		}
		if third, err := session.Unmarshal(key, twice); err != nil || !reflect.DeepEqual(back, third) {
			t.Errorf("a second round trip changed the session: %v\n%+v\n%+v", err, back.Identity, third.Identity)
		}
		if back.Identity.Subject != s.Identity.Subject || len(back.Identity.Groups) != len(s.Identity.Groups) || !reflect.DeepEqual(back.Identity.AllClaims(), claims) {
			t.Errorf("a round trip lost something:\n%+v\n%+v", s.Identity, back.Identity)
		}
	})
}

func TestDecodingARecordAllocatesLittle(t *testing.T) {
	data, err := session.Marshal(typical())
	if err != nil {
		t.Fatal(err)
	}
	record := string(data)
	allocs := testing.AllocsPerRun(100, func() {
		if _, err := session.UnmarshalString(session.Key{}, record); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 2 {
		t.Errorf("%v allocations, want at most 2", allocs)
	}
}
