//go:build e2e

package carry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// counted is a body that knows how much of it was asked for.
type counted struct {
	io.Reader
	read atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.read.Add(int64(n))
	return n, err
}

// put sends a body of a known length.
func put(ctx context.Context, client *http.Client, url, cookie string, body io.Reader, size int64, header ...string) (status int, text string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url, body)
	if err != nil {
		return 0, "", err
	}
	req.ContentLength = size
	req.Header.Set("Cookie", cookie)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}

// TestBodyIsSentOnlyWhenItIsWelcome (RFC 9110, section 10.1.1): a client that
// waits for 100 Continue hears it from the application, and its body stays where
// it is when that answers at once.
func TestBodyIsSentOnlyWhenItIsWelcome(t *testing.T) {
	t.Parallel()
	expected := make(chan string, 1)
	app := application(t, func(w http.ResponseWriter, r *http.Request) {
		expected <- r.Header.Get("Expect")
		switch r.URL.Query().Get("as") {
		case "refused":
			http.Error(w, "not like this", http.StatusExpectationFailed)
		case "unauthorized":
			http.Error(w, "who are you", http.StatusUnauthorized)
		default:
			warehouse(w, r)
		}
	})
	routes := bothWays(app)
	plain, secure := start(t, plan{routes: routes}), start(t, plan{tls: true, routes: routes})
	const size = 1 << 20
	want, _, _ := digest(newBody(size))
	for _, way := range []struct {
		protocol string
		g        *gate
		path     string
	}{{"http/1.1", plain, "/one"}, {"http/1.1", secure, "/one"}, {"http/1.1", secure, "/two"}, {"h2", secure, "/one"}} {
		t.Run(fmt.Sprintf("%s to %s, TLS %v", way.protocol, way.path, way.g.CA != nil), func(t *testing.T) {
			client, cookie := way.g.speak(t, way.protocol), way.g.signIn(t, "alice")
			for as, status := range map[string]int{"refused": 417, "unauthorized": 401, "accepted": 200} {
				if way.protocol == "h2" {
					break // net/http keeps the expectation of HTTP/2 to itself: the gateway says 100
				}
				body := &counted{Reader: newBody(size)}
				got, text, err := put(t.Context(), client, way.g.URL+way.path+"?as="+as, cookie, body, size, "Expect", "100-continue")
				if err != nil || got != status {
					t.Fatalf("%s: %d %s, %v", as, got, text, err)
				}
				if e := <-expected; e != "100-continue" && way.path == "/one" { // an application in net/http, too
					t.Errorf("%s: the application was told to expect %q", as, e)
				}
				switch sent := body.read.Load(); {
				case status == 200 && !strings.HasPrefix(text, want):
					t.Errorf("the application got %s", text)
				case status != 200 && sent > 0:
					t.Errorf("%s: %d bytes of the body were sent", as, sent)
				}
			}
			// The gateway's own refusal comes before the body, too.
			body := &counted{Reader: newBody(size)}
			got, _, err := put(t.Context(), client, way.g.URL+way.path, "", body, size, "Expect", "100-continue")
			if err != nil || got != http.StatusUnauthorized || body.read.Load() > 0 {
				t.Errorf("without a credential: %d, %v, and %d bytes of the body", got, err, body.read.Load())
			}
		})
	}
}

// TestSlowBodyTakesTheTimeItTakes: no limit that is meant for heads and for idle
// connections cuts off a client with a slow line, or a slow application.
func TestSlowBodyTakesTheTimeItTakes(t *testing.T) {
	t.Parallel()
	app := application(t, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		tick := time.NewTicker(400 * time.Millisecond)
		defer tick.Stop()
		for _, c := range b { // as slowly as it came
			_, _ = w.Write([]byte{c})
			_ = http.NewResponseController(w).Flush()
			<-tick.C
		}
	})
	routes, limits := bothWays(app), "limits: {read_header_timeout: 1s, idle_timeout: 1s}"
	plain, secure := start(t, plan{routes: routes, server: limits}), start(t, plan{tls: true, routes: routes, server: limits})
	for name, way := range map[string]struct {
		protocol string
		g        *gate
		path     string
	}{"http/1.1": {"http/1.1", plain, "/one"}, "TLS": {"http/1.1", secure, "/two"}, "h2": {"h2", secure, "/one"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in, out := io.Pipe()
			go func() {
				tick := time.NewTicker(400 * time.Millisecond)
				defer tick.Stop()
				for _, c := range "slowly" {
					fmt.Fprint(out, string(c))
					<-tick.C
				}
				_ = out.Close()
			}()
			status, text, err := put(t.Context(), way.g.speak(t, way.protocol), way.g.URL+way.path, way.g.signIn(t, "alice"), in, -1)
			if err != nil || status != http.StatusOK || text != "slowly" {
				t.Errorf("%d %q, %v", status, text, err)
			}
		})
	}
}

// TestClientThatStopsUploadingStopsTheApplication: what it has of the body is not
// taken for the whole.
func TestClientThatStopsUploadingStopsTheApplication(t *testing.T) {
	t.Parallel()
	began, ended := make(chan struct{}, 1), make(chan error, 1)
	app := application(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadFull(r.Body, make([]byte, 1<<20))
		began <- struct{}{}
		_, err := io.Copy(io.Discard, r.Body)
		ended <- err
	})
	g := start(t, plan{tls: true, routes: bothWays(app)})
	cookie := g.signIn(t, "alice")
	for _, protocol := range []string{"http/1.1", "h2"} {
		for _, path := range []string{"/one", "/two"} {
			for _, size := range []int64{big, -1} {
				t.Run(fmt.Sprintf("%s to %s, length %d", protocol, path, size), func(t *testing.T) {
					ctx, leave := context.WithCancel(t.Context())
					defer leave()
					in, out := io.Pipe()
					defer out.Close()
					go func() { _, _ = io.Copy(out, newBody(2<<20)) }()
					failed := make(chan error, 1)
					go func() {
						_, _, err := put(ctx, g.speak(t, protocol), g.URL+path, cookie, in, size)
						failed <- err
					}()
					within(t, patience, "the application has some of the body", began)
					leave()
					_ = out.CloseWithError(errors.New("the client has left"))
					if err := within(t, once, "the application sees the end", ended); err == nil {
						t.Error("the application took a part for the whole")
					}
					within(t, patience, "the client is done", failed)
					env.WaitUntil(t, "the log says that the client left", func() bool {
						lines := strings.Split(strings.TrimSpace(g.Output()), "\n")
						return strings.Contains(lines[len(lines)-1], `"status":499`)
					})
				})
			}
		}
	}
}

// TestEarlyAnswerReachesTheClient: an application that has seen enough answers and
// reads no further. Its word counts, not what became of the rest of the body.
func TestEarlyAnswerReachesTheClient(t *testing.T) {
	t.Parallel()
	app := application(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("after") != "0" {
			_, _ = io.ReadFull(r.Body, make([]byte, 1<<20))
		}
		http.Error(w, "this is too much", http.StatusRequestEntityTooLarge)
	})
	routes := bothWays(app)
	plain, secure := start(t, plan{routes: routes}), start(t, plan{tls: true, routes: routes})
	for _, way := range []struct {
		protocol string
		g        *gate
	}{{"http/1.1", plain}, {"http/1.1", secure}, {"h2", secure}} {
		for _, path := range []string{"/one", "/two"} {
			t.Run(fmt.Sprintf("%s to %s, TLS %v", way.protocol, path, way.g.CA != nil), func(t *testing.T) {
				client, cookie := way.g.speak(t, way.protocol), way.g.signIn(t, "alice")
				for n := range 10 {
					status, text, err := put(t.Context(), client, fmt.Sprintf("%s%s?after=%d", way.g.URL, path, n%2), cookie, newBody(big), big)
					// A client of HTTP/1.1 that goes on writing may find the connection
					// closed before it has read the answer (RFC 9112, section 9.6): that is
					// between the two of them.
					if closed := err != nil && way.protocol == "http/1.1" && !errors.Is(err, context.DeadlineExceeded); closed {
						t.Logf("%d: %v", n, err)
						continue
					}
					if err != nil || status != http.StatusRequestEntityTooLarge || !strings.Contains(text, "too much") {
						t.Errorf("%d: %d %q, %v", n, status, text, err)
					}
				}
			})
		}
	}
}

// TestAnswerEndsThoughTheClientHasNotFinished: the application has said its last
// word, and the client waits for that before it says more.
func TestAnswerEndsThoughTheClientHasNotFinished(t *testing.T) {
	t.Parallel()
	app := application(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		_, _ = io.ReadFull(r.Body, make([]byte, 5))
		w.Header().Set("Trailer", checksum)
		fmt.Fprint(w, "enough")
		w.Header().Set(checksum, "abc")
	})
	routes := hintRoutes(app)
	plain, secure := start(t, plan{routes: routes}), start(t, plan{tls: true, routes: routes})
	for _, way := range []struct {
		protocol string
		g        *gate
	}{{"http/1.1", plain}, {"h2c", plain}, {"http/1.1", secure}, {"h2", secure}} {
		for _, path := range []string{"/one", "/two"} {
			t.Run(fmt.Sprintf("%s to %s, TLS %v", way.protocol, path, way.g.CA != nil), func(t *testing.T) {
				client, cookie := way.g.speak(t, way.protocol), way.g.signIn(t, "alice")
				for range 3 { // the connection is no worse for it
					ctx, cancel := context.WithTimeout(t.Context(), patience/2)
					in, out := io.Pipe()
					go func() { fmt.Fprint(out, "first") }()
					status, text, err := put(ctx, client, way.g.URL+path, cookie, in, -1)
					if err != nil || status != http.StatusOK || text != "enough" {
						t.Errorf("%d %q, %v", status, text, err)
					}
					_ = out.Close()
					cancel()
				}
			})
		}
	}
}
