package valkeystore

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/session/sessiontest"
)

func TestValuesComeBackAsTheyWere(t *testing.T) {
	var c codec
	for n := range 100 {
		in := sessiontest.Session(n)
		in.Identity.Ref = keyNumber(n)
		value, err := c.pack(in)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := c.unpack(handleOf(in.Key()), value)
		if err != nil {
			t.Fatal(err)
		}
		diff := cmp.Diff(in, got,
			cmpopts.IgnoreUnexported(session.Session{}), cmpopts.IgnoreFields(identity.Identity{}, "Memo"),
			cmp.Transformer("all", func(c identity.Claims) map[string]any { return c.All() }))
		if diff != "" {
			t.Fatalf("-want +got\n%s", diff)
		}
	}
}

// TestASessionFitsIntoItsSize: one byte more than 252, and Valkey takes 64 more
// for each session.
func TestASessionFitsIntoItsSize(t *testing.T) {
	var c codec
	for n := range 50 {
		in := sessiontest.Session(n)
		in.Identity.Ref = keyNumber(n)
		value, err := c.pack(in)
		if err != nil {
			t.Fatal(err)
		}
		if len(value) > 252 {
			t.Errorf("a session of 5 groups and 10 claims takes %d bytes", len(value))
		}
	}
}

func TestValuesOfAnotherReleaseAreNotAbsent(t *testing.T) {
	var c codec
	for name, value := range map[string]string{
		"empty": "", "short": "\x01abc", "another format": "\x02" + string(make([]byte, 100)), "not deflated": "\x01" + string(make([]byte, 100)),
	} {
		if s, _, err := c.unpack(handle{}, value); err == nil || s != nil {
			t.Errorf("%s: got %v, %v", name, s, err)
		}
	}
}

func FuzzValue(f *testing.F) {
	var c codec
	in := sessiontest.Session(1)
	value, err := c.pack(in)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(value)
	f.Add("\x01")
	f.Fuzz(func(t *testing.T, value string) {
		var c codec
		s, _, err := c.unpack(handle{}, value)
		if (s == nil) != (err != nil) {
			t.Errorf("got %v, %v", s, err)
		}
	})
}
