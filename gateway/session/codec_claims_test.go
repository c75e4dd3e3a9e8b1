package session_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/session/sessiontest"
)

// withClaims is the least of a record around encoded claims.
func withClaims(encoded []byte) []byte {
	return append([]byte{1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 's', 0, 0, 0, 0, 0, 0, 0}, encoded...)
}

// The kinds of values, as codec_write.go numbers them.
const (
	null = iota
	_
	yes
	text
	whole
	float
	number
	array
	object
)

// FuzzClaims compares the three ways to read claims: judging them unread, as
// Unmarshal does, decoding all, and asking for one.
func FuzzClaims(f *testing.F) {
	typical, err := session.EncodeClaims(typical().Identity.Claims)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(typical, "department")
	f.Add(typical[:len(typical)-1], "tenant")
	for name, c := range oddClaims() {
		f.Add(c.encoded, name)
	}
	f.Fuzz(func(t *testing.T, encoded []byte, name string) {
		want, sound := session.DecodeClaims(string(encoded))
		s, err := session.Unmarshal(session.Key{}, withClaims(encoded))
		if (err == nil) != sound {
			t.Fatalf("decoding accepts the claims: %v, Unmarshal: %v", sound, err)
		}
		if err != nil {
			return
		}
		if got := s.Identity.AllClaims(); !reflect.DeepEqual(got, want) {
			t.Fatalf("all: got %#v, want %#v", got, want)
		}
		for _, name := range append(slices.Collect(maps.Keys(want)), name, "", "sub", "department") {
			if got := s.Identity.Claim(name); !reflect.DeepEqual(got, want[name]) {
				t.Errorf("%q: got %#v, want %#v", name, got, want[name])
			}
		}
	})
}

type oddClaim struct {
	encoded []byte
	sound   bool
}

func oddClaims() map[string]oddClaim {
	deep := func(n int) []byte {
		return slices.Concat([]byte{1, 1, 'x'}, bytes.Repeat([]byte{array, 1}, n), []byte{null})
	}
	return map[string]oddClaim{
		"none":                          {[]byte{0}, true},
		"one name twice":                {[]byte{2, 1, 'x', yes, 1, 'x', text, 1, 'y'}, true},
		"one name twice, the last null": {[]byte{2, 1, 'x', yes, 1, 'x', null}, true},
		"a name that is a word, spelt":  {[]byte{1, 3, 's', 'u', 'b', yes}, true},
		"nested as deep as may be":      {deep(32), true},
		"nested too deep":               {deep(33), false},
		"objects nested too deep":       {slices.Concat([]byte{1, 1, 'x'}, bytes.Repeat([]byte{object, 1, 1, 'x'}, 33), []byte{null}), false},
		"nothing at all":                {nil, false},
		"fewer than announced":          {[]byte{2, 1, 'x', yes}, false},
		"more announced than can be":    {[]byte{0xff, 0xff, 0xff, 0xff, 0x0f, 1, 'x', yes}, false},
		"an unknown kind of value":      {[]byte{1, 1, 'x', object + 1}, false},
		"an unknown word":               {[]byte{1, 1, 'x', text, 0xff}, false},
		"a name that is no word":        {[]byte{1, 0xff, yes}, false},
		"half a float":                  {[]byte{1, 1, 'x', float, 0, 0, 0, 0}, false},
		"infinity":                      {[]byte{1, 1, 'x', float, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0}, false},
		"no end of a varint":            {[]byte{1, 1, 'x', whole, 0x80}, false},
		"a text that goes on and on":    {[]byte{1, 1, 'x', text, 0x7f, 0xff, 0xff, 0x7f}, false},
		"a small number as text":        {[]byte{1, 1, 'x', number, 1, '1'}, false},
		"text as a number":              {[]byte{1, 1, 'x', number, 2, 'N', 'a'}, false},
		"a list cut short":              {[]byte{1, 1, 'x', array, 2, yes}, false},
		"an object cut short":           {[]byte{1, 1, 'x', object, 1, 1, 'y'}, false},
		"damage behind a sound claim":   {[]byte{2, 1, 'x', yes, 1, 'y', array, 1, 0x7e}, false},
	}
}

// Claims are decoded late, damage is found early: a request must not learn in
// the middle of a decision that a session is unreadable.
func TestDamagedClaimsAreFoundBeforeTheyAreAskedFor(t *testing.T) {
	for name, c := range oddClaims() {
		t.Run(name, func(t *testing.T) {
			s, err := session.Unmarshal(session.Key{}, withClaims(c.encoded))
			if (err == nil) != c.sound || (s != nil) != c.sound {
				t.Errorf("got %v, %v, want sound: %v", s, err, c.sound)
			}
		})
	}
}

func TestOfTwoClaimsWithOneNameTheLaterCounts(t *testing.T) {
	for name, want := range map[string]any{"one name twice": "y", "one name twice, the last null": nil} {
		s, err := session.Unmarshal(session.Key{}, withClaims(oddClaims()[name].encoded))
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Identity.Claim("x"); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
		if diff := cmp.Diff(map[string]any{"x": want}, s.Identity.AllClaims()); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
}

func TestClaimsOfARecordAreTheCallersOwn(t *testing.T) {
	s := roundTrip(t, typical())
	s.Identity.AllClaims()["department"] = "Board"
	s.Identity.Claim("roles").([]any)[0] = "owner"
	if diff := cmp.Diff(typical().Identity.AllClaims(), s.Identity.AllClaims()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// renamed are claims of a type that the codec does not know.
type renamed struct{ identity.MapClaims }

func TestClaimsOfAnyTypeAreKept(t *testing.T) {
	want := typical().Identity.AllClaims()
	for name, claims := range map[string]identity.Claims{
		"decoded":    identity.MapClaims(want),
		"a record's": roundTrip(t, typical()).Identity.Claims,
		"others":     renamed{want},
	} {
		t.Run(name, func(t *testing.T) {
			s := typical()
			s.Identity.Claims = claims
			if diff := cmp.Diff(want, roundTrip(t, s).Identity.AllClaims()); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
	for name, claims := range map[string]identity.Claims{"nil": nil, "a nil map": identity.MapClaims(nil), "an empty map": identity.MapClaims{}} {
		s := typical()
		s.Identity.Claims = claims
		if got := roundTrip(t, s).Identity.Claims; got != nil {
			t.Errorf("%s: got %v, want nil", name, got)
		}
	}
}

func TestAskingForAClaimDecodesNoOther(t *testing.T) {
	in := typical()
	in.Identity.Claims = identity.MapClaims{
		"list": []any{"a", 1.0, map[string]any{"b": nil}}, "account": json.Number("9007199254740993"), "huge": json.Number("1e999"),
		"long": strings.Repeat("x", 300), "fraction": 0.1, "active": true, "nothing": nil, "department": "Research",
	}
	id := roundTrip(t, in).Identity
	for name, want := range map[string]float64{"absent": 0, "active": 0, "nothing": 0, "department": 1} { // a string in an interface is one
		if got := testing.AllocsPerRun(100, func() { _ = id.Claim(name) }); got > want {
			t.Errorf("%s: %v allocations, want %v", name, got, want)
		}
	}
}

// Groups and methods are parts of one list in memory.
func TestAppendingToTheGroupsChangesNoMethod(t *testing.T) {
	s := roundTrip(t, typical())
	_ = append(s.Identity.Groups, "mfa")
	if diff := cmp.Diff([]string{"pwd", "otp"}, s.Identity.AMR); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// budget is what a decoded session may take in memory, its record included, so
// that it stays under 1 KiB with what a cache needs to find it.
const budget = 950

func TestADecodedSessionFitsItsBudget(t *testing.T) {
	const many = 100_000
	kept := make([]*session.Session, many)
	before := heap()
	for i := range kept {
		data, err := session.Marshal(sessiontest.Session(i))
		if err != nil {
			t.Fatal(err)
		}
		if kept[i], err = session.Unmarshal(sessiontest.Key(i), data); err != nil {
			t.Fatal(err)
		}
	}
	each := float64(heap()-before) / many
	runtime.KeepAlive(kept)
	t.Logf("%.0f bytes each", each)
	if each > budget {
		t.Errorf("a decoded session takes %.0f bytes, want at most %d", each, budget)
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
