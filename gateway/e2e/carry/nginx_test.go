//go:build e2e

package carry_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// nginxServer is a site as people run them: files, compressed on the way out, an
// error page, large headers, and connections that are used again.
const nginxServer = `
    root www;
    etag on;
    gzip on; gzip_min_length 100; gzip_types text/plain application/json; gzip_vary on;
    error_page 404 /missing.html;
    client_max_body_size 1m;
    large_client_header_buffers 4 32k;
    location /headers { add_header X-Large "$arg_large"; add_header X-Twice one; add_header X-Twice two; return 200 "connection $connection request $connection_requests"; }
    location /chunked { ssi on; ssi_types *; }
    location /moved { return 301 /elsewhere?a=b; }
    location /nothing { return 204; }
    location /teapot { return 418 "short and stout"; }
    location /broken { return 444; }
    location /uri { default_type text/plain; return 200 "$uri"; }
`

// startNginx starts nginx with files, and a gateway in front of it.
func startNginx(t *testing.T) (*env.Nginx, *gate) {
	t.Helper()
	dir := t.TempDir()
	env.WriteFile(t, dir, "www/index.html", "<h1>hello</h1>")
	env.WriteFile(t, dir, "www/page.txt", strings.Repeat("compress me, I am text. ", 5000))
	env.WriteFile(t, dir, "www/missing.html", "<h1>nobody knows this page</h1>")
	env.WriteFile(t, dir, "www/chunked/page.html", strings.Repeat("<!--# echo var='host' --> and so on. ", 500))
	if err := os.WriteFile(filepath.Join(dir, "www", "data.bin"), payload(3<<20).GetBody(), 0o600); err != nil {
		t.Fatal(err)
	}
	n := env.StartNginx(t, dir, nginxServer)
	g := start(t, plan{tls: true, routes: fmt.Sprintf("  - {name: nginx, upstream: %q, policy: authenticated}", n.URL)})
	return n, g
}

// exchange is what came of a request, but for what differs each time.
type exchange struct {
	status int
	header http.Header
	body   []byte
	length int64
	chunks []string
}

func ask(t *testing.T, client *http.Client, method, url, cookie string, header ...string) exchange {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Cookie", cookie)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	req.Host = req.Header.Get("Host")
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return exchange{res.StatusCode, res.Header, body, res.ContentLength, res.TransferEncoding}
}

// TestNginxAnswersAreTheSameThroughTheGateway asks nginx for the same with and
// without the gateway between.
func TestNginxAnswersAreTheSameThroughTheGateway(t *testing.T) {
	t.Parallel()
	n, g := startNginx(t)
	cookie := g.signIn(t, "alice")
	etag := ask(t, g.client, http.MethodGet, n.URL+"/data.bin", "").header.Get("ETag")
	if etag == "" {
		t.Fatal("nginx gave no ETag")
	}
	cases := map[string][]string{ // name: method, path, then headers
		"a page":                         {"GET", "/"},
		"a large file":                   {"GET", "/data.bin"},
		"a large file's head":            {"HEAD", "/data.bin"},
		"the head of a page":             {"HEAD", "/page.txt"},
		"the head of what is not there":  {"HEAD", "/none"},
		"compressed":                     {"GET", "/page.txt", "Accept-Encoding", "gzip"},
		"compressed, with other codings": {"GET", "/page.txt", "Accept-Encoding", "gzip, br;q=0.5, *;q=0"},
		"not compressed":                 {"GET", "/page.txt", "Accept-Encoding", "identity"},
		"a range":                        {"GET", "/data.bin", "Range", "bytes=100-65635"},
		"the end":                        {"GET", "/data.bin", "Range", "bytes=-100"},
		"a range that there is not":      {"GET", "/data.bin", "Range", "bytes=99999999-"},
		"a range of another version":     {"GET", "/data.bin", "Range", "bytes=0-9", "If-Range", `"other"`},
		"a range of this version":        {"GET", "/data.bin", "Range", "bytes=0-9", "If-Range", etag},
		"what has not changed":           {"GET", "/data.bin", "If-None-Match", etag},
		"what has not changed, head":     {"HEAD", "/data.bin", "If-None-Match", etag},
		"another version":                {"GET", "/data.bin", "If-Match", `"other"`},
		"of unknown length":              {"GET", "/chunked/page.html"},
		"an error page":                  {"GET", "/none"},
		"moved":                          {"GET", "/moved"},
		"nothing":                        {"GET", "/nothing"},
		"an odd status":                  {"GET", "/teapot"},
		"a method that is not allowed":   {"DELETE", "/page.txt"},
		"large headers":                  {"GET", "/headers?large=" + strings.Repeat("x", 6000), "X-Also-Large", strings.Repeat("y", 6000)},
	}
	for _, protocol := range []string{"http/1.1", "h2"} {
		client := g.speak(t, protocol)
		for _, name := range slices.Sorted(maps.Keys(cases)) {
			c := cases[name]
			t.Run(protocol+" "+name, func(t *testing.T) {
				header := append(c[2:len(c):len(c)], "Host", g.Host)
				want := ask(t, g.client, c[0], n.URL+c[1], "", header...)
				got := ask(t, client, c[0], g.URL+c[1], cookie, header...)
				if got.status != want.status || got.length != want.length && protocol == "http/1.1" {
					t.Errorf("%d with a length of %d instead of %d with %d", got.status, got.length, want.status, want.length)
				}
				if !bytes.Equal(got.body, want.body) && !strings.Contains(name, "large headers") && !strings.Contains(name, "unknown length") {
					t.Errorf("the bodies of %d and %d bytes differ at %d", len(got.body), len(want.body), difference(got.body, want.body))
				}
				if want.chunks != nil && len(got.body) == 0 {
					t.Error("nothing of a body of unknown length arrived")
				}
				for field, values := range want.header {
					if field != "Date" && field != "Connection" && field != "Keep-Alive" && !slices.Equal(got.header[field], values) {
						t.Errorf("%s: %q instead of %q", field, got.header[field], values)
					}
				}
				for field := range got.header {
					// What the gateway adds: whose answer it is, and that it is one person's.
					if _, ok := want.header[field]; !ok && field != "Cache-Control" && field != "X-Request-Id" {
						t.Errorf("%s: %q, which nginx did not send", field, got.header[field])
					}
				}
			})
		}
	}
}

// TestCompressedAnswerIsNotTouched: the bytes of nginx's own gzip, which
// unpack to the page.
func TestCompressedAnswerIsNotTouched(t *testing.T) {
	t.Parallel()
	_, g := startNginx(t)
	got := ask(t, g.client, http.MethodGet, g.URL+"/page.txt", g.signIn(t, "alice"), "Accept-Encoding", "gzip")
	if got.header.Get("Content-Encoding") != "gzip" || len(got.body) > 5000 {
		t.Fatalf("%d bytes, %v", len(got.body), got.header)
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(got.body))
	if err != nil {
		t.Fatal(err)
	}
	if page, err := io.ReadAll(unpacked); err != nil || string(page) != strings.Repeat("compress me, I am text. ", 5000) {
		t.Errorf("unpacked to %d bytes, %v", len(page), err)
	}
}

// TestConnectionsToNginxAreUsedAgain, also after errors, and one that nginx closes
// without a word is 502.
func TestConnectionsToNginxAreUsedAgain(t *testing.T) {
	t.Parallel()
	_, g := startNginx(t)
	cookie := g.signIn(t, "alice")
	seen := map[string]int{}
	for n := range 50 {
		if n%10 == 9 {
			ask(t, g.client, http.MethodGet, g.URL+"/none", cookie)
		}
		got := ask(t, g.client, http.MethodGet, g.URL+"/headers", cookie)
		connection, _, ok := strings.Cut(strings.TrimPrefix(string(got.body), "connection "), " request ")
		if !ok {
			t.Fatalf("nginx says %q", got.body)
		}
		seen[connection]++
	}
	if len(seen) > 2 {
		t.Errorf("50 requests in a row took %d connections to nginx", len(seen))
	}
	if got := ask(t, g.client, http.MethodGet, g.URL+"/broken", cookie); got.status != http.StatusBadGateway {
		t.Errorf("a connection that is closed without an answer is %d", got.status)
	}
	if status, text, err := put(t.Context(), g.client, g.URL+"/page.txt", cookie, newBody(64<<20), 64<<20); err == nil && status != http.StatusRequestEntityTooLarge {
		t.Errorf("more than nginx takes: %d %s", status, text)
	}
}

// TestNginxReadsThePathThatWasJudged: nginx decodes targets in its own way, and
// must come to the path that routes and policies saw, but for what the gateway
// takes for parameters of segments, which nginx does not know.
func TestNginxReadsThePathThatWasJudged(t *testing.T) {
	t.Parallel()
	token := env.WriteFile(t, t.TempDir(), "token", "operator")
	n := env.StartNginx(t, t.TempDir(), `location / { default_type text/plain; return 200 "$uri"; }`)
	g := start(t, plan{admin: fmt.Sprintf(", token_file: %q", token), routes: fmt.Sprintf("  - {name: nginx, upstream: %q, public: true}", n.URL)})
	parameters := regexp.MustCompile(`;[^/]*`)
	passed := 0
	for _, a := range []string{"a", "a%20b", "%41", "a+b", "%7Euser", "~", "%C3%A9", "\xc3\xa9", "a%25b", "a%2525", "a;b=c", "a%3Bb", "...", "a..b", "%2Ea", "[a]", "a|b", "%22", "<a>", "a%2Fb", "..", "%2e%2e", "a%00"} {
		for _, pattern := range []string{"/%s", "/x/%s/", "//%s", "/x//%s/y", "/%s;p=1/y", "/%s?q=%%2F", "///x/./%s", "/%s%%2f..", "/%s/y;"} {
			target := fmt.Sprintf(pattern, a)
			c := g.dial(t)
			fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", target, g.Host)
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatalf("%q: %v", target, err)
			}
			read, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			if res.StatusCode == http.StatusBadRequest {
				continue
			}
			passed++
			if judged := parameters.ReplaceAllString(g.explain(t, target), ""); judged != parameters.ReplaceAllString(string(read), "") {
				t.Errorf("%q: judged as %q, and nginx reads %q", target, judged, read)
			}
		}
	}
	t.Logf("nginx got %d targets", passed)
	if passed < 90 {
		t.Errorf("only %d targets passed", passed)
	}
}

// explain asks the gateway which path it sees in a target.
func (g *gate) explain(t *testing.T, target string) string {
	t.Helper()
	ask, err := json.Marshal(map[string]string{"method": http.MethodGet, "url": target})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.AdminURL+"/api/v1/explain", bytes.NewReader(ask))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer operator")
	res, err := g.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var x struct{ Path string }
	if err := json.NewDecoder(res.Body).Decode(&x); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("explain %q: %s, %v", target, res.Status, err)
	}
	return x.Path
}
