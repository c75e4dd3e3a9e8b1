//go:build e2e

package carry_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// curl runs curl as alice and returns what it says, the body first and then what
// -w asks for.
func (g *gate) curl(t *testing.T, cookie string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	args = append([]string{"--disable", "--silent", "--show-error", "--noproxy", "*", "--header", "Cookie: " + cookie}, args...)
	if g.CA != nil {
		args = append(args, "--cacert", g.CA.CertFile)
	}
	var out, complaints bytes.Buffer
	cmd := exec.CommandContext(ctx, "curl", args...)
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		t.Errorf("curl %q: %v: %s", args, err, complaints.String())
	}
	return out.String()
}

// mirror says what of a request arrived.
func mirror(w http.ResponseWriter, r *http.Request) {
	h := sha256.New()
	n, err := io.Copy(h, r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("X-User", r.Header.Get("X-Forwarded-User"))
	if strings.HasPrefix(r.URL.Path, "/stream") { // of unknown length, in pieces
		for i := range 100 {
			fmt.Fprintf(w, "piece %d\n", i)
			_ = http.NewResponseController(w).Flush()
		}
		return
	}
	fmt.Fprintf(w, "%s %s %d %s", r.Method, r.RequestURI, n, hex.EncodeToString(h.Sum(nil))[:8])
}

// TestCurlInEveryVersionOfHTTP asks, streams and uploads.
func TestCurlInEveryVersionOfHTTP(t *testing.T) {
	t.Parallel()
	routes := fmt.Sprintf("  - {name: app, upstream: %q, policy: authenticated}", application(t, mirror))
	plain, secure := start(t, plan{routes: routes}), start(t, plan{tls: true, routes: routes})
	const size = 5 << 20
	sum, _, _ := digest(newBody(size))
	body, _ := io.ReadAll(newBody(size))
	file := env.WriteFile(t, t.TempDir(), "upload", string(body))
	var stream strings.Builder
	for i := range 100 {
		fmt.Fprintf(&stream, "piece %d\n", i)
	}
	for _, way := range []struct {
		g       *gate
		version string
		want    string // what curl calls it
	}{
		{plain, "--http1.0", "1"},
		{plain, "--http1.1", "1.1"},
		{plain, "--http2", "1.1"},
		{plain, "--http2-prior-knowledge", "2"},
		{secure, "--http1.0", "1"},
		{secure, "--http1.1", "1.1"},
		{secure, "--http2", "2"},
	} {
		t.Run(fmt.Sprintf("%s, TLS %v", way.version, way.g.CA != nil), func(t *testing.T) {
			t.Parallel()
			cookie := way.g.signIn(t, "alice")
			alpn := "--alpn"
			if way.version == "--http1.0" {
				alpn = "--no-alpn" // those who speak it have never heard of that
			}
			const report = " %{http_code} %{http_version} %header{x-user}"
			is := func(what, got, want string) {
				t.Helper()
				want = fmt.Sprintf("%s 200 %s alice", want, way.want)
				if got != want {
					t.Errorf("%s: got %.300q instead of %.300q", what, got, want)
				}
			}
			curl := func(path string, args ...string) string {
				t.Helper()
				return way.g.curl(t, cookie, append(args, way.version, alpn, "--write-out", report, way.g.URL+path)...)
			}
			is("GET", curl("/a?b=c;d"), "GET /a?b=c;d 0 e3b0c442")
			is("stream", curl("/stream"), stream.String())
			is("HEAD", curl("/", "--head", "--output", "/dev/null"), "")
			is("upload", curl("/up", "--upload-file", file), fmt.Sprintf("PUT /up %d %s", size, sum[:8]))
			is("POST", curl("/form", "--data", "a=b"), fmt.Sprintf("POST /form 3 %x", sha256.Sum256([]byte("a=b")))[:21])
			if way.version != "--http1.0" { // which has no chunks
				is("chunked upload", curl("/up", "--header", "Transfer-Encoding: chunked", "--upload-file", file), fmt.Sprintf("PUT /up %d %s", size, sum[:8]))
			}
			if way.version != "--http2-prior-knowledge" { // which curl 7.88 cannot do twice on a connection
				is("two on a connection", curl("/1", way.g.URL+"/2"), "GET /2 0 e3b0c442"+fmt.Sprintf(" 200 %s alice", way.want)+"GET /1 0 e3b0c442")
			}
			is("compressed", curl("/", "--compressed"), "GET / 0 e3b0c442")
		})
	}
}

// TestCurlPathAsIs sends targets that curl would otherwise tidy up. The application
// gets these very bytes, or the gateway refuses.
func TestCurlPathAsIs(t *testing.T) {
	t.Parallel()
	g := start(t, plan{tls: true, routes: fmt.Sprintf("  - {name: app, upstream: %q, policy: authenticated}", application(t, mirror))})
	cookie := g.signIn(t, "alice")
	var urls []string
	targets := []string{
		"/a//b", "//a", "/a;b=c/d", "/a%20b", "/%41", "/a%2Bb+c", "/~a", "/a%7Eb", "/%E4%BD%A0", "/a?b=%2F;c=%zz", "/a?b=c?d", "/a?", "/a'b(c)!*", "/a:b@c$d,e=f&g",
		"/a/../b", "/a/%2e%2e/b", "/a/./b", "/a%2Fb", "/a%5Cb", "/a%00b", "/a%3Fb", "/a%23b", "/..;/a", "/a%ff", "/a/..",
	}
	for _, target := range targets {
		urls = append(urls, g.URL+target)
	}
	for _, version := range []string{"--http1.1", "--http2"} {
		args := append([]string{version, "--path-as-is", "--globoff", "--write-out", "<%{http_code}>"}, urls...)
		answers := strings.Split(g.curl(t, cookie, args...), ">")
		if len(answers) != len(targets)+1 {
			t.Fatalf("curl got %q", answers)
		}
		passed := 0
		for i, target := range targets {
			body, status, _ := strings.Cut(answers[i], "<")
			switch {
			case status == "400" && strings.Contains(body, `"status":400`):
			case status == "200" && strings.HasPrefix(body, "GET "+target+" 0 "):
				passed++
			default:
				t.Errorf("%s %s: %s %q", version, target, status, body)
			}
		}
		if passed < 14 {
			t.Errorf("%s: only %d of %d targets passed", version, passed, len(targets))
		}
	}
}

// TestCurlAndNginx: a page that nginx compresses and curl unpacks, parts of a file,
// and a file that curl has already.
func TestCurlAndNginx(t *testing.T) {
	t.Parallel()
	_, g := startNginx(t)
	cookie, tag := g.signIn(t, "alice"), filepath.Join(t.TempDir(), "etag")
	page, data := strings.Repeat("compress me, I am text. ", 5000), string(payload(3<<20).GetBody())
	for _, version := range []string{"--http1.1", "--http2"} {
		curl := func(path string, args ...string) string {
			t.Helper()
			return g.curl(t, cookie, append(args, version, g.URL+path)...)
		}
		if got := curl("/page.txt", "--compressed"); got != page {
			t.Errorf("%s: compressed, a page of %d bytes instead of %d", version, len(got), len(page))
		}
		if got := curl("/data.bin", "--range", "1000000-2000000"); got != data[1000000:2000001] {
			t.Errorf("%s: a range of %d bytes", version, len(got))
		}
		if got := curl("/data.bin", "--range", "-10"); got != data[len(data)-10:] {
			t.Errorf("%s: %d bytes instead of the last 10", version, len(got))
		}
		if got := curl("/page.txt", "--head"); !strings.Contains(strings.ToLower(got), fmt.Sprintf("\ncontent-length: %d\r\n", len(page))) {
			t.Errorf("%s: the head is %q", version, got)
		}
		if got := curl("/data.bin", "--etag-save", tag); got != data {
			t.Errorf("%s: a file of %d bytes", version, len(got))
		}
		if got := curl("/data.bin", "--etag-compare", tag, "--write-out", "%{http_code}"); got != "304" {
			t.Errorf("%s: what has not changed is %.100q", version, got)
		}
	}
}
