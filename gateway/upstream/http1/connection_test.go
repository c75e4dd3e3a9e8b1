package http1_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestBytesAfterAnAnswerAreNobodysAnswer: an application that can be made to say more
// than one answer (response splitting, a body longer than its length) would answer
// the next request, which is that of another user (CWE-444).
func TestBytesAfterAnAnswerAreNobodysAnswer(t *testing.T) {
	const stolen = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen"
	for name, first := range map[string]string{
		"after a body":     ok,
		"after no body":    "HTTP/1.1 204 No Content\r\n\r\n",
		"after chunks":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"after a redirect": "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
	} {
		for _, together := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, together %v", name, together), func(t *testing.T) {
				read, said := make(chan struct{}), make(chan struct{})
				app := serve(t, func(c net.Conn, head string) bool {
					switch {
					case strings.HasPrefix(head, "GET /mine "):
						return answers(ok)(c, "")
					case together:
						return answers(first+stolen)(c, "")
					}
					_ = answers(first)(c, "")
					<-read
					_ = answers(stolen)(c, "")
					close(said)
					return true
				})
				tr := transport(t, options(app.addr))
				body(t, tr, get(t.Context(), "/other"))
				if !together {
					close(read)
					<-said
				}
				if got := body(t, tr, get(t.Context(), "/mine")); got != "ok" {
					t.Errorf("the answer is %q", got)
				}
				within(t, "the end of the connection in doubt", app.closed)
			})
		}
	}
}

// TestAConnectionThatTheUpstreamClosedIsNotUsed, and the request goes over another.
func TestAConnectionThatTheUpstreamClosedIsNotUsed(t *testing.T) {
	closed := make(chan struct{})
	app := serve(t, func(c net.Conn, head string) bool {
		if strings.HasPrefix(head, "GET /last ") {
			_ = answers(ok)(c, "")
			_ = c.Close()
			close(closed)
			return false
		}
		return answers(ok)(c, "")
	})
	tr := transport(t, options(app.addr))
	body(t, tr, get(t.Context(), "/"))
	body(t, tr, get(t.Context(), "/last"))
	<-closed
	body(t, tr, get(t.Context(), "/"))
	if app.connections.Load() != 2 || app.requests.Load() != 3 {
		t.Errorf("three requests took %d connections and were sent %d times", app.connections.Load(), app.requests.Load())
	}
}

// TestARequestThatMeetsAClosingConnectionIsSentOnceMore, and one whose answer has
// begun, or that was the first of its connection, is not.
func TestARequestThatMeetsAClosingConnectionIsSentOnceMore(t *testing.T) {
	for name, tt := range map[string]struct {
		kept bool
		said string
		sent int64 // the request in question
		fine bool
	}{
		"kept, and closed without an answer": {true, "", 2, true},
		"kept, and closed in an answer":      {true, "HTTP/1.1 200", 1, false},
		"new, and closed without an answer":  {false, "", 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			var failed bool
			app := serve(t, func(c net.Conn, head string) bool {
				if strings.HasPrefix(head, "GET /it ") && !failed {
					failed = true
					_ = answers(tt.said)(c, "")
					return false
				}
				return answers(ok)(c, "")
			})
			tr := transport(t, options(app.addr))
			if tt.kept {
				body(t, tr, get(t.Context(), "/"))
				app.requests.Store(0)
			}
			res, err := tr.RoundTrip(get(t.Context(), "/it"))
			if err == nil {
				_ = res.Body.Close()
			}
			if (err == nil) != tt.fine || app.requests.Load() != tt.sent {
				t.Errorf("it was sent %d times: %v", app.requests.Load(), err)
			}
		})
	}
}

func TestAClientThatLeavesEndsTheRequest(t *testing.T) {
	for name, said := range map[string]string{
		"before the answer": "",
		"in the header":     "HTTP/1.1 200 OK\r\nContent-",
		"in the body":       "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe",
		"between chunks":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			asked := make(chan struct{}, 10)
			app := serve(t, func(c net.Conn, head string) bool {
				if strings.HasPrefix(head, "GET /slow ") {
					_ = answers(said)(c, "")
					asked <- struct{}{}
					return true
				}
				return answers(ok)(c, "")
			})
			tr := transport(t, options(app.addr))
			body(t, tr, get(t.Context(), "/")) // the request goes over a connection that was kept
			ctx, cancel := context.WithCancel(t.Context())
			failed := make(chan error, 1)
			go func() {
				res, err := tr.RoundTrip(get(ctx, "/slow"))
				if err == nil {
					_, err = io.ReadAll(res.Body)
					_ = res.Body.Close()
				}
				failed <- err
			}()
			within(t, "the request", asked)
			cancel()
			if err := within(t, "the end of the request", failed); !errors.Is(err, context.Canceled) {
				t.Errorf("it ends with %v", err)
			}
			within(t, "the end of the connection", app.closed)
			if got := body(t, tr, get(t.Context(), "/")); got != "ok" || app.connections.Load() != 2 {
				t.Errorf("the next request gets %q, over connection %d", got, app.connections.Load())
			}
		})
	}
}

func TestARequestOfAClientThatHasLeftIsNotSent(t *testing.T) {
	app := serve(t, answers(ok))
	tr := transport(t, options(app.addr))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tr.RoundTrip(get(ctx, "/")); !errors.Is(err, context.Canceled) || app.connections.Load() != 0 {
		t.Errorf("%v, and %d connections", err, app.connections.Load())
	}
}

// TestClosingABodyFreesARead: that is how a stream is ended from outside.
func TestClosingABodyFreesARead(t *testing.T) {
	app := serve(t, answers("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n"))
	tr := transport(t, options(app.addr))
	res, err := tr.RoundTrip(get(t.Context(), "/"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(res.Body, make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	freed := make(chan error, 1)
	go func() {
		_, err := res.Body.Read(make([]byte, 2))
		freed <- err
	}()
	_ = res.Body.Close()
	if err := within(t, "the end of Read", freed); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("Read ends with %v", err)
	}
	within(t, "the end of the connection", app.closed)
	if _, err := res.Body.Read(make([]byte, 2)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("another Read ends with %v", err)
	}
}

// TestABodyThatIsNotReadTakesItsConnectionWithIt: what is left of it would be read as
// the next answer.
func TestABodyThatIsNotReadTakesItsConnectionWithIt(t *testing.T) {
	app := serve(t, func(c net.Conn, head string) bool {
		if strings.HasPrefix(head, "GET /long ") {
			return answers("HTTP/1.1 200 OK\r\nContent-Length: 45\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen")(c, "")
		}
		return answers(ok)(c, "")
	})
	tr := transport(t, options(app.addr))
	res, err := tr.RoundTrip(get(t.Context(), "/long"))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if got := body(t, tr, get(t.Context(), "/")); got != "ok" {
		t.Errorf("the answer is %q", got)
	}
}

func TestOneConnectionServesManyRequests(t *testing.T) {
	app := serve(t, answers(ok))
	tr := transport(t, options(app.addr))
	for range 50 {
		body(t, tr, get(t.Context(), "/"))
	}
	if app.connections.Load() != 1 {
		t.Errorf("50 requests took %d connections", app.connections.Load())
	}
}

func TestEverybodyGetsTheirOwnAnswer(t *testing.T) {
	app := serve(t, func(c net.Conn, head string) bool {
		path, _, _ := strings.Cut(strings.TrimPrefix(head, "GET "), " ")
		if len(path)%2 == 0 {
			return answers(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(path), path))(c, "")
		}
		return answers(fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(path), path))(c, "")
	})
	tr := transport(t, options(app.addr))
	var running sync.WaitGroup
	for i := range 16 {
		running.Go(func() {
			for n := range 100 {
				ctx, cancel := context.WithCancel(t.Context())
				path := fmt.Sprintf("/%d/%d", i, n*n)
				res, err := tr.RoundTrip(get(ctx, path))
				if err != nil {
					t.Error(err)
				} else if n%7 == 0 { // some leave early, one way or the other
					cancel()
					_ = res.Body.Close()
				} else if text, err := io.ReadAll(res.Body); err != nil || string(text) != path {
					t.Errorf("%s got %q: %v", path, text, err)
				}
				cancel()
			}
		})
	}
	running.Wait()
}

// over serves one connection of a pipe, for tests in a bubble of time.
func over(answer func(net.Conn)) func(context.Context) (net.Conn, error) {
	return func(context.Context) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			_, _ = theirs.Read(make([]byte, 4<<10)) // the request, in one piece
			answer(theirs)
		}()
		return ours, nil
	}
}

func TestAnUpstreamThatSaysNothingIsGivenUp(t *testing.T) {
	for name, said := range map[string]string{
		"nothing":       "",
		"half a header": "HTTP/1.1 200 OK\r\nContent-",
		"only hints":    "HTTP/1.1 103 Early Hints\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := options("")
				o.HeaderTimeout = time.Minute
				o.Dial = over(func(c net.Conn) {
					_, _ = io.WriteString(c, said)
					_, _ = c.Read(make([]byte, 1)) // until the gateway hangs up
				})
				tr := transport(t, o)
				start := time.Now()
				_, err := tr.RoundTrip(get(t.Context(), "/"))
				var slow net.Error
				if !errors.As(err, &slow) || !slow.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Minute {
					t.Errorf("%v after %v", err, time.Since(start))
				}
				synctest.Wait()
			})
		})
	}
}

// TestABodyMayTakeItsTime: the limit is for the header alone.
func TestABodyMayTakeItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options("")
		o.HeaderTimeout = time.Second
		o.Dial = over(func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
			for range 4 {
				time.Sleep(time.Minute) //nolint:forbidigo // of the bubble
				_, _ = io.WriteString(c, "a")
			}
			_, _ = c.Read(make([]byte, 1))
		})
		if got := body(t, transport(t, o), get(t.Context(), "/")); got != "aaaa" {
			t.Errorf("the body is %q", got)
		}
		synctest.Wait()
	})
}

// TestWhatThePackageIsNotMadeForGoesToTheFallback.
func TestWhatThePackageIsNotMadeForGoesToTheFallback(t *testing.T) {
	app := serve(t, answers(ok))
	tr := transport(t, options(app.addr))
	for name, change := range map[string]func(*http.Request){
		"a body":                    func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("x")), 1 },
		"a body of unknown length":  func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("x")), -1 },
		"a length without a body":   func(r *http.Request) { r.ContentLength = 1 },
		"POST":                      func(r *http.Request) { r.Method = http.MethodPost },
		"DELETE":                    func(r *http.Request) { r.Method = http.MethodDelete },
		"a method of somebody's":    func(r *http.Request) { r.Method = "GET / HTTP/1.1\r\nX:" },
		"an upgrade":                func(r *http.Request) { r.Header.Set("Upgrade", "websocket"); r.Header.Set("Connection", "Upgrade") },
		"Expect":                    func(r *http.Request) { r.Header.Set("Expect", "100-continue") },
		"trailers":                  func(r *http.Request) { r.Trailer = http.Header{"X": nil} },
		"a transfer encoding":       func(r *http.Request) { r.TransferEncoding = []string{"chunked"} },
		"a connection that ends":    func(r *http.Request) { r.Close = true },
		"a Connection of its own":   func(r *http.Request) { r.Header.Set("Connection", "x-a") },
		"TLS":                       func(r *http.Request) { r.URL.Scheme = "https" },
		"a host that is not ASCII":  func(r *http.Request) { r.Host = "bücher.example" },
		"a host with a zone":        func(r *http.Request) { r.Host = "[fe80::1%eth0]" },
		"a host with two lines":     func(r *http.Request) { r.Host = "a\r\nX-Forwarded-User: admin" },
		"a host with a path":        func(r *http.Request) { r.Host = "a/b" },
		"a host with a space in it": func(r *http.Request) { r.Host = "a b" },
	} {
		t.Run(name, func(t *testing.T) {
			r := get(t.Context(), "/")
			change(r)
			if _, err := tr.RoundTrip(r); !errors.Is(err, errFallback) {
				t.Errorf("it was carried: %v", err)
			}
		})
	}
	if app.connections.Load() != 0 {
		t.Errorf("there were %d connections", app.connections.Load())
	}
}

func TestAnUpstreamThatCannotBeReached(t *testing.T) {
	o := options("")
	failure := errors.New("no way")
	o.Dial = func(context.Context) (net.Conn, error) { return nil, failure }
	if _, err := transport(t, o).RoundTrip(get(t.Context(), "/")); !errors.Is(err, failure) {
		t.Error(err)
	}
}

// TestAnUpstreamThatSwitchesProtocolsUnasked would own the connection from then on.
func TestAnUpstreamThatSwitchesProtocolsUnasked(t *testing.T) {
	for _, said := range []string{
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "HTTP/1.1 099 Odd\r\n\r\n", "HTTP/1.1 000 Odd\r\n\r\n",
	} {
		app := serve(t, answers(said))
		if _, err := transport(t, options(app.addr)).RoundTrip(get(t.Context(), "/")); err == nil {
			t.Errorf("%q is an answer", said)
		}
		within(t, "the end of the connection", app.closed)
	}
}
