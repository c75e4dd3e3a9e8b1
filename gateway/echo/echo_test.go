package echo_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/echo"
)

var update = flag.Bool("update", false, "write the golden file anew")

var styleElement = regexp.MustCompile(`(?s)<style>(.*?)</style>`)

func request(tb testing.TB, method, target string, header http.Header) *http.Request {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), method, target, nil)
	r.Host = "app.example.com"
	r.Header = header
	return r
}

func answer(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	echo.New("/.auth").ServeHTTP(w, r)
	return w
}

// browser is what a browser sends when it loads a page.
func browser() http.Header {
	return http.Header{"Accept": {"text/html,*/*;q=0.8"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}}
}

func TestProgramsReadTheRequestAsItCame(t *testing.T) {
	t.Parallel()
	w := answer(request(t, http.MethodPut, "/a%20b//c;v=1?x=1&y=%zz;z", http.Header{
		"X-Forwarded-User": {"alice"}, "Accept": {"application/json"}, "X-Many": {"second", "first"},
	}))
	var got echo.Reply
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := echo.Reply{
		Method: "PUT", URL: "/a%20b//c;v=1?x=1&y=%zz;z", Host: "app.example.com",
		Headers: [][2]string{{"Accept", "application/json"}, {"X-Forwarded-User", "alice"}, {"X-Many", "second"}, {"X-Many", "first"}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("reply (-want +got):\n%s", d)
	}
	wantHeader := http.Header{
		"Content-Type": {"application/json"}, "Content-Length": {strconv.Itoa(w.Body.Len())},
		"Cache-Control": {"no-store"}, "X-Content-Type-Options": {"nosniff"},
	}
	if d := cmp.Diff(wantHeader, w.Header()); d != "" || w.Code != http.StatusOK {
		t.Errorf("%d, headers (-want +got):\n%s", w.Code, d)
	}
}

func TestARequestWithoutHeadersHasAnEmptyList(t *testing.T) {
	t.Parallel()
	if body := answer(request(t, http.MethodGet, "/", http.Header{})).Body.String(); !strings.Contains(body, `"headers":[]`) {
		t.Errorf("got %s", body)
	}
}

func TestPeopleGetAPageAndProgramsGetJSON(t *testing.T) {
	t.Parallel()
	html := []string{"text/html,*/*;q=0.8"}
	tests := map[string]struct {
		method string
		header http.Header
		page   bool
	}{
		"a browser that loads a page":          {"GET", browser(), true},
		"a browser that sends a form":          {"POST", browser(), true},
		"an old browser":                       {"GET", http.Header{"Accept": html}, true},
		"a browser with HEAD":                  {"HEAD", browser(), true},
		"fetch in a page":                      {"GET", http.Header{"Accept": {"*/*"}, "Sec-Fetch-Mode": {"cors"}}, false},
		"fetch that asks for HTML":             {"GET", http.Header{"Accept": html, "Sec-Fetch-Mode": {"cors"}}, false},
		"XMLHttpRequest that asks for HTML":    {"GET", http.Header{"Accept": html, "X-Requested-With": {"XMLHttpRequest"}}, false},
		"curl":                                 {"GET", http.Header{"Accept": {"*/*"}}, false},
		"a program that says nothing":          {"GET", http.Header{}, false},
		"a program that posts and takes pages": {"POST", http.Header{"Accept": html}, false},
		"a navigation that wants JSON":         {"GET", http.Header{"Accept": {"application/json"}, "Sec-Fetch-Mode": {"navigate"}}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := answer(request(t, tt.method, "/", tt.header))
			if got := w.Header().Get("Content-Type") == "text/html; charset=utf-8"; got != tt.page {
				t.Errorf("Content-Type %q", w.Header().Get("Content-Type"))
			}
			if (tt.method == http.MethodHead) != (w.Body.Len() == 0) {
				t.Errorf("%s has a body of %d bytes", tt.method, w.Body.Len())
			}
		})
	}
}

func page(t *testing.T) *httptest.ResponseRecorder {
	t.Helper()
	h := browser()
	h["X-Forwarded-User"] = []string{"alice"}
	h["X-Auth-Request-Email"] = []string{"alice@example.com"}
	h["Sallyport-Assertion"] = []string{"eyJh.eyJz.c2ln"}
	h["X-Many"] = []string{"one", "two"}
	return answer(request(t, http.MethodGet, "/reports?quarter=3&sort=desc", h))
}

func TestPageLooksAsKept(t *testing.T) {
	t.Parallel()
	got := styleElement.ReplaceAllString(page(t).Body.String(), "<style>…</style>")
	const file = "testdata/page.golden.html"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("page (-want +got):\n%s", d)
	}
}

func TestPageCarriesTheHeadersThatKeepItHarmless(t *testing.T) {
	t.Parallel()
	w := page(t)
	style := styleElement.FindStringSubmatch(w.Body.String())
	if style == nil {
		t.Fatal("no style")
	}
	sum := sha256.Sum256([]byte(style[1]))
	want := http.Header{
		"Content-Type": {"text/html; charset=utf-8"}, "Content-Length": {strconv.Itoa(w.Body.Len())},
		"Cache-Control": {"no-store"}, "X-Content-Type-Options": {"nosniff"}, "Referrer-Policy": {"same-origin"},
		"X-Frame-Options": {"DENY"}, "Cross-Origin-Opener-Policy": {"same-origin"},
		"Content-Security-Policy": {"default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
			"'; img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'"},
	}
	if d := cmp.Diff(want, w.Header()); d != "" {
		t.Errorf("headers (-want +got):\n%s", d)
	}
}

// TestMarkupInTheRequestStaysText puts markup wherever a request has room for
// it. An echo that drew it would be script injection on the application's host.
func TestMarkupInTheRequestStaysText(t *testing.T) {
	t.Parallel()
	for _, payload := range []string{
		`<script>alert(1)</script>`, `" onload="alert(1)`, `</title></style><svg onload=alert(1)>`, `</td></table><form action=//evil.example>`,
		`<!-- --><![CDATA[`, "\xff<b>", `{{.CSS}}`,
	} {
		draw := func(v string) *httptest.ResponseRecorder {
			h := browser()
			h["X-Forwarded-User"], h["X-Other"] = []string{"u" + v}, []string{"o" + v}
			h["X-Forwarded-"+v+"-Name"], h["Name-"+v] = []string{"v"}, []string{"v"}
			r := request(t, http.MethodGet, "/", h)
			r.RequestURI, r.Host = "/?"+v, "host"+v
			return answer(r)
		}
		benign, hostile := skeleton(t, draw("x").Body.String()), skeleton(t, draw(payload).Body.String())
		if d := cmp.Diff(benign, hostile); d != "" {
			t.Errorf("%s changed the page (-without +with):\n%s", payload, d)
		}
	}
}

// skeleton lists the elements of a page with the names of their attributes.
func skeleton(t *testing.T, body string) []string {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(strings.ToValidUTF8(body, "")))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var all []string
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("not well formed: %v", err)
		}
		if e, ok := tok.(xml.StartElement); ok {
			line := e.Name.Local
			for _, a := range e.Attr {
				line += " " + a.Name.Local
			}
			all = append(all, line)
		}
	}
}

func TestLargeBodyIsReadOnlyInPart(t *testing.T) {
	t.Parallel()
	body := strings.NewReader(strings.Repeat("x", 3<<20))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", body)
	if w := answer(r); w.Code != http.StatusOK {
		t.Errorf("status %d", w.Code)
	}
	if read := 3<<20 - body.Len(); read < 1<<20 || read > 2<<20 {
		t.Errorf("%d bytes read, want about 1 MiB", read)
	}
}

func TestOneHandlerServesManyAtOnce(t *testing.T) {
	t.Parallel()
	h := echo.New("/.auth")
	var wg sync.WaitGroup
	for i := range 16 {
		header := http.Header{"X-N": {strconv.Itoa(i)}}
		if i%2 == 0 {
			header = browser()
			header.Set("X-N", "worker-"+strconv.Itoa(i))
		}
		r := request(t, http.MethodGet, "/", header)
		wg.Go(func() {
			for range 20 {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if !strings.Contains(w.Body.String(), header.Get("X-N")) {
					t.Errorf("worker %d got another's answer", i)
				}
			}
		})
	}
	wg.Wait()
}

// discard is a ResponseWriter that costs nothing.
type discard struct{ h http.Header }

func (d discard) Header() http.Header       { return d.h }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}

// proxied is about what the gateway forwards for a browser's fetch.
func proxied(tb testing.TB) *http.Request {
	tb.Helper()
	return request(tb, http.MethodGet, "/api/items?page=2", http.Header{
		"Accept": {"*/*"}, "Accept-Encoding": {"gzip"}, "User-Agent": {"bench"}, "X-Forwarded-For": {"203.0.113.7"}, "X-Forwarded-Proto": {"https"},
		"X-Forwarded-User": {"alice"}, "X-Forwarded-Email": {"alice@example.com"}, "X-Forwarded-Groups": {"staff,admin"},
	})
}

func BenchmarkEcho(b *testing.B) {
	h, w, r := echo.New("/.auth"), discard{http.Header{}}, proxied(b)
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}
