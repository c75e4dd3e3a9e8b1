package pages_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/pages"
)

// TestFormIsOfferedAsItWasSent: a browser reads the very same names, values and
// address from the page, in the same order.
func TestFormIsOfferedAsItWasSent(t *testing.T) {
	t.Parallel()
	p, err := pages.New(pages.Options{})
	if err != nil {
		t.Fatal(err)
	}
	fields := []pages.FormField{
		{"z", "1"},
		{"a[]", "two\r\nlines\tand 'quotes' \"both\" <b> &amp; +%20"},
		{"a[]", ""},
		{"이름", "홍길동"},
		{"password", "correct horse"},
	}
	const action = "/orders/(1)?q='b'&x=%zz;y"
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/orders", nil)
	if err := p.Resubmit(w, r, pages.ResubmitPage{Action: action, Fields: fields, SignInURL: "/.auth/login"}); err != nil {
		t.Fatal(err)
	}
	if w.Code != http.StatusUnauthorized || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("answered with %d, Cache-Control %q", w.Code, w.Header().Get("Cache-Control"))
	}
	elements, _ := parse(t, w.Body.String())
	var got []pages.FormField
	for _, e := range elements {
		switch e.Name {
		case "form":
			if e.Attrs["action"] != action || e.Attrs["method"] != "post" {
				t.Errorf("the form goes to %q by %q", e.Attrs["action"], e.Attrs["method"])
			}
		case "input":
			got = append(got, pages.FormField{Name: e.Attrs["name"], Value: e.Attrs["value"]})
		case "a":
			if e.Attrs["target"] != "_blank" || e.Attrs["rel"] != "noopener" {
				t.Errorf("the sign-in does not open in a new tab: %v", e.Attrs)
			}
		}
	}
	if d := cmp.Diff(fields, got); d != "" {
		t.Errorf("the fields differ (-sent +offered):\n%s", d)
	}
}

// TestFragmentGoesAlongWithASignInPage: only a browser that says how it fetches
// gets the script, which the policy allows by its hash.
func TestFragmentGoesAlongWithASignInPage(t *testing.T) {
	t.Parallel()
	p, err := pages.New(pages.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[string]int{"navigate": 1, "": 0} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/.auth/login", nil)
		r.Header.Set("Sec-Fetch-Mode", mode)
		w := httptest.NewRecorder()
		if err := p.Login(w, r, 200, pages.LoginPage{Providers: []pages.ProviderChoice{{Name: "corp", Kind: pages.KindRedirect}}}); err != nil {
			t.Fatal(err)
		}
		scripts := scriptElement.FindAllStringSubmatch(w.Body.String(), -1)
		if len(scripts) != want {
			t.Fatalf("mode %q: %d scripts", mode, len(scripts))
		}
		for _, m := range scripts {
			sum := sha256.Sum256([]byte(m[1]))
			if !strings.Contains(w.Header().Get("Content-Security-Policy"), "script-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
				t.Errorf("the policy does not allow the script: %s", w.Header().Get("Content-Security-Policy"))
			}
		}
	}
}
