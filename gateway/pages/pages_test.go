package pages_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/pages"
)

var update = flag.Bool("update", false, "write the golden files anew")

var (
	styleElement  = regexp.MustCompile(`(?s)<style>(.*?)</style>`)
	scriptElement = regexp.MustCompile(`(?s)<script>(.*?)</script>`)
	hashInPolicy  = regexp.MustCompile(`'sha256-([^']+)'`)
)

func TestPagesLookAsKept(t *testing.T) {
	t.Parallel()
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			w := s.serve(t, "", same)
			body := styleElement.ReplaceAllString(w.Body.String(), "<style>…</style>")
			got := strconv.Itoa(w.Code) + "\n" + body
			file := filepath.Join("testdata", s.name+".golden.html")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := fs.ReadFile(os.DirFS("testdata"), s.name+".golden.html")
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Errorf("page differs from %s (-want +got):\n%s", file, d)
			}
		})
	}
}

func TestEveryPageCarriesTheHeadersThatKeepItHarmless(t *testing.T) {
	t.Parallel()
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			w := s.serve(t, "", same)
			style := styleElement.FindAllStringSubmatch(w.Body.String(), -1)
			if len(style) != 1 {
				t.Fatalf("%d style elements, want 1", len(style))
			}
			sum := sha256.Sum256([]byte(style[0][1]))
			referrer, scripts := "same-origin", ""
			for _, m := range scriptElement.FindAllStringSubmatch(w.Body.String(), -1) {
				own := sha256.Sum256([]byte(m[1]))
				scripts = "; script-src 'sha256-" + base64.StdEncoding.EncodeToString(own[:]) + "'"
			}
			if s.name == "landed" {
				referrer = "no-referrer" // its URL holds the code
			}
			want := map[string]string{
				"Content-Type":           "text/html; charset=utf-8",
				"Content-Length":         strconv.Itoa(w.Body.Len()),
				"Cache-Control":          "no-store",
				"X-Content-Type-Options": "nosniff",
				"Referrer-Policy":        referrer,
				"Content-Security-Policy": "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
					"'; img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'" + scripts,
				"X-Frame-Options":            "DENY",
				"Cross-Origin-Opener-Policy": "same-origin",
			}
			for name, v := range want {
				if d := cmp.Diff([]string{v}, w.Header()[name]); d != "" {
					t.Errorf("%s (-want +got):\n%s", name, d)
				}
			}
		})
	}
}

func TestHeadHasTheHeadersOfThePageAndNoBody(t *testing.T) {
	t.Parallel()
	for _, s := range samples() {
		if s.method != "" {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			get, head := s.serve(t, http.MethodGet, same), s.serve(t, http.MethodHead, same)
			if head.Body.Len() != 0 {
				t.Errorf("HEAD has a body of %d bytes", head.Body.Len())
			}
			if d := cmp.Diff(get.Header(), head.Header()); d != "" || get.Code != head.Code {
				t.Errorf("HEAD is %d, GET %d; headers (-GET +HEAD):\n%s", head.Code, get.Code, d)
			}
		})
	}
}

func TestOneRendererDrawsManyPagesAtOnce(t *testing.T) {
	t.Parallel()
	p, err := pages.New(pages.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		for _, s := range samples() {
			wg.Go(func() {
				mark := fmt.Sprintf("-worker-%d-", i)
				w := s.serveFrom(t, p, "", func(v string) string { return v + mark })
				if alone := s.serve(t, "", func(v string) string { return v + mark }); alone.Body.String() != w.Body.String() {
					t.Errorf("%s: the page differs from the one drawn alone", s.name)
				}
			})
		}
	}
	wg.Wait()
}

func TestPrefixAndNameAreTheOperators(t *testing.T) {
	t.Parallel()
	p, err := pages.New(pages.Options{Prefix: "/_gate/x", Name: "Front Door"})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range samples() {
		body := s.serveFrom(t, p, "", func(v string) string { return strings.ReplaceAll(v, "/.auth", "/_gate/x") }).Body.String()
		if strings.Contains(body, "/.auth") || strings.Contains(body, "Sallyport") {
			t.Errorf("%s: default prefix or name on the page", s.name)
		}
		if !strings.Contains(body, " · Front Door</title>") {
			t.Errorf("%s: name missing in the title", s.name)
		}
	}
	for _, bad := range []string{"auth", "/", "/.auth/", "//evil.example", `/\evil.example`, "/a?b", "/a#b", "https://evil.example"} {
		if _, err := pages.New(pages.Options{Prefix: bad}); err == nil {
			t.Errorf("prefix %q is accepted", bad)
		}
	}
}

func TestNothingIsWrittenWhenAPageCannotBeDrawn(t *testing.T) {
	t.Parallel()
	p, err := pages.New(pages.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]func(w http.ResponseWriter, r *http.Request) error{
		"a provider of an unknown kind": func(w http.ResponseWriter, r *http.Request) error {
			return p.Login(w, r, 200, pages.LoginPage{Providers: []pages.ProviderChoice{{Name: "corp"}}})
		},
		"a status that is none": func(w http.ResponseWriter, r *http.Request) error { return p.Login(w, r, 0, pages.LoginPage{}) },
		"onward to a script":    func(w http.ResponseWriter, r *http.Request) error { return p.Onward(w, r, "javascript:alert(1)") },
		"a fragment page to a script": func(w http.ResponseWriter, r *http.Request) error {
			return p.Fragment(w, r, "javascript:alert(1)", "/")
		},
		"a fragment page to a bare host":  func(w http.ResponseWriter, r *http.Request) error { return p.Fragment(w, r, "//evil.example/", "/") },
		"a landing at a script":           func(w http.ResponseWriter, r *http.Request) error { return p.Landed(w, r, "javascript:alert(1)") },
		"a landing at a backslash":        func(w http.ResponseWriter, r *http.Request) error { return p.Landed(w, r, `/\evil.example`) },
		"a landing at somebody's account": func(w http.ResponseWriter, r *http.Request) error { return p.Landed(w, r, "https://app@evil.example/") },
		"a form that runs a script": func(w http.ResponseWriter, r *http.Request) error {
			return p.Resubmit(w, r, pages.ResubmitPage{Action: "javascript:alert(1)", Fields: []pages.FormField{{Name: "a"}}})
		},
		"onward to a bare path": func(w http.ResponseWriter, r *http.Request) error { return p.Onward(w, r, "//evil.example/") },
		"onward without a host": func(w http.ResponseWriter, r *http.Request) error { return p.Onward(w, r, "https:///x") },
		"onward with a line feed": func(w http.ResponseWriter, r *http.Request) error {
			return p.Onward(w, r, "https://id.example/\r\nX: y")
		},
	}
	for name, draw := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			if err := draw(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)); err == nil {
				t.Error("no error")
			}
			if w.Body.Len() > 0 || len(w.Header()) > 0 {
				t.Errorf("written: %v %q", w.Header(), w.Body)
			}
		})
	}
}

func TestErrorAnswersWithTheHeadersOfTheErrorOnce(t *testing.T) {
	t.Parallel()
	p, err := pages.New(pages.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	w.Header().Set("Retry-After", "7") // as a caller does who sets e.Header itself
	w.Header().Add("Set-Cookie", "theirs=1")
	e := &httperr.Error{Code: 503, Header: http.Header{
		"Retry-After": {"7"}, "Set-Cookie": {"ours=1"}, "Content-Security-Policy": {"default-src *"},
	}}
	if err := p.Error(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil), e, "id", ""); err != nil {
		t.Fatal(err)
	}
	want := http.Header{"Retry-After": {"7"}, "Set-Cookie": {"theirs=1", "ours=1"}}
	got := http.Header{"Retry-After": w.Header()["Retry-After"], "Set-Cookie": w.Header()["Set-Cookie"]}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("headers (-want +got):\n%s", d)
	}
	if csp := w.Header()["Content-Security-Policy"]; len(csp) != 1 || !hashInPolicy.MatchString(csp[0]) {
		t.Errorf("an error can weaken the policy of its page: %q", csp)
	}
}

func TestInternalCauseNeverShows(t *testing.T) {
	t.Parallel()
	p, err := pages.New(pages.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range []int{0, 200, 302, 400, 401, 403, 404, 418, 421, 429, 499, 500, 502, 503, 504, 599, 600, 1000} {
		w := httptest.NewRecorder()
		e := &httperr.Error{Code: code, Err: errors.New("dial tcp 10.1.2.3:6379: refused")}
		if err := p.Error(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil), e, "id", "token"); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(w.Body.String(), "10.1.2.3") {
			t.Errorf("%d: the page shows the cause", code)
		}
		if w.Code < 400 {
			t.Errorf("%d: answered %d, which is no error", code, w.Code)
		}
	}
	w := httptest.NewRecorder()
	if err := p.Error(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil), nil, "id", ""); err != nil || w.Code != 500 {
		t.Errorf("no error at all: %d, %v", w.Code, err)
	}
}

func TestLinksComeBackToWhereThePersonWas(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		code           int
		method, target string
		want           string // the link of the page, or "" for none
	}{
		"denied on a page":                                        {403, "GET", "/admin?a=1&b=c%20d%26", "/.auth/login?return_to=%2Fadmin%3Fa%3D1%26b%3Dc%2520d%2526&switch=1"},
		"denied on a form: the path alone":                        {403, "POST", "/admin?a=1", "/.auth/login?return_to=%2Fadmin&switch=1"},
		"an escaped path stays escaped":                           {403, "GET", "/a%3Fb", "/.auth/login?return_to=%2Fa%253Fb&switch=1"},
		"a callback is no place to return to, nor is its code":    {403, "GET", "/.auth/callback/corp?code=secret", "/.auth/login?switch=1"},
		"a name that only begins like the prefix is a place":      {403, "GET", "/.authors", "/.auth/login?return_to=%2F.authors&switch=1"},
		"two slashes would be another host":                       {403, "GET", "//evil.example/x", "/.auth/login?switch=1"},
		"an outage on a page: the same again":                     {503, "GET", "/a?b=1", "/a?b=1"},
		"an outage on a form: sending it twice is not for a link": {503, "POST", "/a", ""},
		"an outage of a callback: a new sign-in":                  {503, "GET", "/.auth/callback/corp?code=secret", "/.auth/login"},
		"a broken callback: a new sign-in":                        {400, "GET", "/.auth/callback/corp?code=secret", "/.auth/login"},
		"a broken request: the start page":                        {400, "GET", "/a", "/"},
		"nothing there: the start page":                           {404, "GET", "/a", "/"},
		"not signed in":                                           {401, "GET", "/a?b=1", "/.auth/login?return_to=%2Fa%3Fb%3D1"},
		"not signed in, sending a form":                           {401, "POST", "/a", "/.auth/login"},
	}
	link := regexp.MustCompile(`<a class="button" href="([^"]*)"`)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := errorSample(name, tt.method, tt.target, "", httperr.Error{Code: tt.code})
			got := ""
			if m := link.FindStringSubmatch(s.serve(t, "", same).Body.String()); m != nil {
				got = strings.ReplaceAll(m[1], "&amp;", "&")
			}
			if got != tt.want {
				t.Errorf("link %q, want %q", got, tt.want)
			}
		})
	}
}

func TestCancelOfASignOutStaysOnThisSite(t *testing.T) {
	t.Parallel()
	p, err := pages.New(pages.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for returnTo, want := range map[string]string{
		"": "/", "/a?b=1": "/a?b=1", "//evil.example": "/", `/\evil.example`: "/", "https://evil.example": "/", "javascript:alert(1)": "/",
	} {
		w := httptest.NewRecorder()
		if err := p.ConfirmLogout(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/.auth/logout", nil), pages.LogoutPage{ReturnTo: returnTo}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(w.Body.String(), `<a class="button quiet" href="`+want+`">`) {
			t.Errorf("return_to %q: cancel does not lead to %q", returnTo, want)
		}
	}
}

func TestWhatProgramsPostComesFromTheForms(t *testing.T) {
	t.Parallel()
	field := regexp.MustCompile(`<input[^>]* name="([^"]+)"`)
	tests := map[string][]string{
		"login_password": {"return_to", "csrf", "provider", "username", "password"},
		"login_pick":     {"return_to", "csrf", "provider", "username", "return_to", "csrf", "provider", "username"},
		"logout_confirm": {"return_to", "csrf"},
		"error_403":      {"csrf"},
	}
	for _, s := range samples() {
		want, ok := tests[s.name]
		if !ok {
			continue
		}
		var got []string
		for _, m := range field.FindAllStringSubmatch(s.serve(t, "", same).Body.String(), -1) {
			got = append(got, m[1])
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: fields %q, want %q", s.name, got, want)
		}
	}
}
