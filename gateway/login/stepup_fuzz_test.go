package login_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sallyport/sallyport/gateway/login"
)

// FuzzReadWish: what is asked of a sign-in is read in one way or refused, and
// holds nothing that could break out of a header, a URL or a list.
func FuzzReadWish(f *testing.F) {
	for _, seed := range []string{"", "max_age=300", "acr_values=mfa+phrh&amr_values=otp&max_age=1", "max_age=-1", "max_age=1&max_age=2", "acr_values=%22%0d%0a", "acr_values=++a+", "max_age=9223372036854775807", "max_age=%2B5"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		q, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		up, again, err := login.ReadWish(q)
		if err != nil {
			if len(up.ACR)+len(up.AMR) > 0 || up.MaxAge != 0 {
				t.Fatalf("refused, and read as %+v", up)
			}
			return
		}
		if up.MaxAge < 0 || len(up.ACR) > 16 || len(up.AMR) > 16 {
			t.Fatalf("read as %+v", up)
		}
		for _, word := range append(append([]string(nil), up.ACR...), up.AMR...) {
			if word == "" || strings.ContainsFunc(word, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' }) {
				t.Fatalf("a word is %q", word)
			}
		}
		same, _, err := login.ReadWish(again)
		if diff := cmp.Diff(up, same, cmpopts.EquateEmpty()); diff != "" || err != nil {
			t.Fatalf("said again it is another: %v %s", err, diff)
		}
	})
}
