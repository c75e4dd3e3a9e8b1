package http1_test

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestRequestsAreWrittenAsNetHTTPWritesThem, line by line but for their order, and
// what it refuses to send is not sent.
func TestRequestsAreWrittenAsNetHTTPWritesThem(t *testing.T) {
	heads := make(chan string, 2)
	app := serve(t, func(c net.Conn, head string) bool {
		heads <- head
		return answers("HTTP/1.1 204 No Content\r\n\r\n")(c, "")
	})
	own, std := transport(t, options(app.addr)), standard(t, options(app.addr))
	name := rapid.OneOf(
		rapid.SampledFrom([]string{
			"Accept", "Cookie", "User-Agent", "X_Odd", "X-Forwarded-For", "Host", "Content-Length", "Transfer-Encoding", "Trailer", "Te", "x-lower", "", "X A", "X:A", "X\r\nA",
		}),
		rapid.StringMatching(`[A-Za-z0-9!#$%&'*+.^_|~-]{1,12}`))
	value := rapid.OneOf(
		rapid.SampledFrom([]string{"", " ", "a", " a ", "\ta\t", "a\r\nX-Forwarded-User: admin", "a\nb", "a\x00b", "a\x7fb", "ä", "\xff", "a\tb"}),
		rapid.StringN(0, 10, 40))
	rapid.Check(t, func(rt *rapid.T) {
		h := http.Header(rapid.MapOfN(name, rapid.SliceOfN(value, 0, 3), 0, 6).Draw(rt, "headers"))
		target := url.URL{Scheme: "http", Host: app.addr, Path: "/" + rapid.String().Draw(rt, "path"), RawQuery: rapid.StringMatching(`[!-~]{0,10}`).Draw(rt, "query")}
		if rapid.Bool().Draw(rt, "opaque") {
			target.Opaque = "/" + rapid.StringMatching(`[!-~]{0,10}`).Draw(rt, "raw")
		}
		method := rapid.SampledFrom([]string{"GET", "HEAD", "OPTIONS"}).Draw(rt, "method")
		ask := func(tr http.RoundTripper) (lines []string) {
			u := target
			r := (&http.Request{Method: method, URL: &u, Host: "app.example.test:8080", Header: h.Clone()}).WithContext(t.Context())
			res, err := tr.RoundTrip(r)
			if err != nil {
				return []string{"refused"}
			}
			_ = res.Body.Close()
			lines = strings.Split(<-heads, "\r\n")
			slices.Sort(lines[1:])
			return lines
		}
		if want, got := ask(std), ask(own); !slices.Equal(want, got) {
			rt.Errorf("net/http sends\n%q\nand this package\n%q", want, got)
		}
	})
}
