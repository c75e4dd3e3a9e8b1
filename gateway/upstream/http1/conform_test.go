package http1_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/upstream/http1"
)

// standard is net/http's transport with the same settings.
func standard(t testing.TB, o http1.Options) *http.Transport {
	t.Helper()
	tr := &http.Transport{
		DialContext:  (&net.Dialer{}).DialContext,
		MaxIdleConns: o.MaxIdle, MaxIdleConnsPerHost: o.MaxIdle, IdleConnTimeout: o.IdleTimeout,
		ResponseHeaderTimeout: o.HeaderTimeout, MaxResponseHeaderBytes: o.MaxHeaderBytes, DisableCompression: true,
	}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// outcome is what somebody sees of an exchange.
type outcome struct {
	Failed    bool
	Status    int
	Text      string
	Proto     string
	Header    http.Header
	Length    int64
	Transfer  []string
	Body      string
	BodyFails bool
	Cut       bool // in the middle
	Trailer   http.Header
	Hints     []string
}

func exchange(rt http.RoundTripper, r *http.Request) (o outcome) {
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			o.Hints = append(o.Hints, http.StatusText(code)+h.Get("Link"))
			return nil
		},
	}))
	res, err := rt.RoundTrip(r)
	if err != nil {
		return outcome{Failed: true}
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	o.Status, o.Text, o.Proto, o.Header, o.Length, o.Transfer = res.StatusCode, res.Status, res.Proto, res.Header, res.ContentLength, res.TransferEncoding
	o.Body, o.BodyFails, o.Cut, o.Trailer = string(text), err != nil, errors.Is(err, io.ErrUnexpectedEOF), res.Trailer
	return o
}

// TestAnswersAreReadAsNetHTTPReadsThem: what an upstream may say, and what it must
// not, has one meaning for both transports, also whether the connection is used again.
func TestAnswersAreReadAsNetHTTPReadsThem(t *testing.T) {
	for name, tt := range map[string]struct {
		method, answer string
		close          bool // the application hangs up after it
	}{
		"a length":                               {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\nX-A: 2\r\n\r\nhello", false},
		"no body":                                {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false},
		"chunks":                                 {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", false},
		"chunks with trailers":                   {"GET", "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n", false},
		"chunks and a length":                    {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", false},
		"to the end of the connection":           {"GET", "HTTP/1.1 200 OK\r\n\r\nuntil the end", true},
		"HTTP/1.0":                               {"GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false},
		"HTTP/1.0 that keeps the connection":     {"GET", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", true},
		"a connection that ends":                 {"GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", false},
		"HEAD":                                   {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false},
		"HEAD with chunks":                       {"HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false},
		"OPTIONS":                                {"OPTIONS", "HTTP/1.1 204 No Content\r\nAllow: GET\r\n\r\n", false},
		"204":                                    {"GET", "HTTP/1.1 204 No Content\r\n\r\n", false},
		"304 with a length":                      {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", false},
		"hints":                                  {"GET", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false},
		"continue that nobody asked for":         {"GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false},
		"a body that is cut off":                 {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", true},
		"chunks that are cut off":                {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", true},
		"a chunk without a size":                 {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n", true},
		"two lengths":                            {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", true},
		"the same length twice":                  {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", false},
		"a negative length":                      {"GET", "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello", true},
		"a length with a sign":                   {"GET", "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello", true},
		"an encoding that nobody knows":          {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello", true},
		"chunked twice":                          {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", true},
		"a header without a colon":               {"GET", "HTTP/1.1 200 OK\r\nX-A\r\n\r\n", true},
		"a space before the colon":               {"GET", "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok", true},
		"a header that goes on in the next line": {"GET", "HTTP/1.1 200 OK\r\nX-A: 1\r\n 2\r\nContent-Length: 2\r\n\r\nok", false},
		"line feeds alone":                       {"GET", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", false},
		"no status line":                         {"GET", "hello\r\n\r\n", true},
		"HTTP/2":                                 {"GET", "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok", true},
		"half a header":                          {"GET", "HTTP/1.1 200 OK\r\nContent-", true},
		"nothing":                                {"GET", "", true},
		"a header that is too large":             {"GET", "HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", 80<<10) + "\r\nContent-Length: 2\r\n\r\nok", false},
		"a header within the limit":              {"GET", "HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", 40<<10) + "\r\nContent-Length: 2\r\n\r\nok", false},
		"a body larger than all buffers":         {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + strings.Repeat("a", 300_000), false},
	} {
		t.Run(name, func(t *testing.T) {
			see := func(of func(http1.Options) http.RoundTripper) (outcome, int64) {
				var asked bool
				app := serve(t, func(c net.Conn, _ string) bool {
					if asked {
						return answers(ok)(c, "")
					}
					asked = true
					return answers(tt.answer)(c, "") && !tt.close
				})
				rt := of(options(app.addr))
				r := get(t.Context(), "/")
				r.Method, r.URL.Host = tt.method, app.addr
				first := exchange(rt, r)
				r = get(t.Context(), "/again")
				r.URL.Host = app.addr
				if again := exchange(rt, r); again.Body != "ok" {
					t.Errorf("the next request gets %+v", again)
				}
				return first, app.connections.Load()
			}
			want, connections := see(func(o http1.Options) http.RoundTripper { return standard(t, o) })
			got, own := see(func(o http1.Options) http.RoundTripper { return transport(t, o) })
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("net/http (-) sees another answer (+):\n%s", diff)
			}
			if own != connections {
				t.Errorf("two requests took %d connections, with net/http %d", own, connections)
			}
		})
	}
}

// FuzzAnswer has both transports read whatever an upstream may say before it hangs up.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		ok, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + ok,
		"HTTP/1.0 200 OK\r\n\r\nabc", "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
	} {
		f.Add(seed)
	}
	var said string
	app := serve(f, func(c net.Conn, _ string) bool {
		_, _ = io.WriteString(c, said) // the gateway may have seen enough
		return false
	})
	o := options(app.addr)
	o.MaxIdle = 0 // each answer on a connection of its own
	own := transport(f, o)
	std := standard(f, o)
	std.DisableKeepAlives = true
	f.Fuzz(func(t *testing.T, answer string) {
		said = answer
		ask := func(rt http.RoundTripper) outcome {
			r := get(t.Context(), "/")
			r.URL.Host = app.addr
			return exchange(rt, r)
		}
		want, got := ask(std), ask(own)
		if want.Status < 200 {
			want = outcome{Failed: true} // see the package: no such answer is final
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("net/http (-) sees another answer (+):\n%s", diff)
		}
	})
}
