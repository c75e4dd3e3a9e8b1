package login_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sallyport/sallyport/gateway/login"
)

func FuzzLoginCookie(f *testing.F) {
	f.Add("AAAAAAAAAAAA.BBBBBBBBBBBB")
	f.Add(strings.Repeat("AAAAAAAAAAA0.", 100))
	f.Add("..")
	f.Add(login.LoginMark('d', "/x", 0) + ".AAAAAAAAAAAA.fBBBBBBBBBBBB." + login.LoginMark('h', "", time.Minute))
	f.Add(strings.Repeat(login.LoginMark('a', "/", 0)+".", 20))
	f.Fuzz(func(t *testing.T, value string) {
		found, once := login.ParseLoginCookie(value)
		if len(found) > 16 {
			t.Fatalf("%d sign-ins under way", len(found))
		}
		if len(once) > 350 {
			t.Fatalf("a cookie of %d bytes", len(once))
		}
		if _, twice := login.ParseLoginCookie(once); twice != once {
			t.Fatalf("%q is read as %q", once, twice)
		}
	})
}

func FuzzState(f *testing.F) {
	s := newService(f)
	good, _ := s.StateStarted("corp", "https://app.example.test", "/x", time.Now())
	f.Add(good, "corp")
	f.Add(good, "other")
	f.Add("AAAA", "corp")
	f.Fuzz(func(t *testing.T, state, provider string) {
		returnTo, err := s.OpenState(state, provider)
		// Seeds come from another process with the same key ring, so that one
		// that opens is a seed as it was made, and opens for its provider only.
		if err == nil && (provider != "corp" || returnTo != "/x" || len(state) != len(good)) {
			t.Fatalf("%q opens for %q and returns to %q", state, provider, returnTo)
		}
		if _, err := s.OpenState(good, provider); (err == nil) != (provider == "corp") {
			t.Fatalf("good state for %q: %v", provider, err)
		}
		if err != nil && returnTo != "" {
			t.Fatal("a refused state has a return URL")
		}
	})
}

func FuzzFormToken(f *testing.F) {
	s := newService(f)
	f.Add(strings.Repeat("A", 28))
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		if s.CheckFormToken(token, []byte("somebody")) {
			t.Fatalf("%q is accepted", token)
		}
	})
}

// FuzzForm: what a page offers again is what was sent, or nothing is offered.
func FuzzForm(f *testing.F) {
	f.Add("a=1&b=%ED%99%8D&a=+%0D%0A")
	f.Add("a&&=&b=%zz")
	f.Add("%00=%FF")
	f.Fuzz(func(t *testing.T, body string) {
		fields, ok := login.ParseFields(body)
		if ok == (len(fields) == 0) {
			t.Fatalf("%q: %d fields, %v", body, len(fields), ok)
		}
		var pairs []string
		for _, field := range fields {
			if field.Name == "" || !utf8.ValidString(field.Name+field.Value) || strings.Contains(field.Name+field.Value, "\x00") {
				t.Fatalf("%q has the field %q", body, field)
			}
			pairs = append(pairs, url.QueryEscape(field.Name)+"="+url.QueryEscape(field.Value))
		}
		again, same := login.ParseFields(strings.Join(pairs, "&"))
		if ok && (!same || !slices.Equal(again, fields)) {
			t.Fatalf("%q is read as %q, and that as %q", body, fields, again)
		}
	})
}
