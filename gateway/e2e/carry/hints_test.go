//go:build e2e

package carry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"testing"
)

const (
	hint     = "</style.css>; rel=preload; as=style"
	checksum = "X-Checksum" // the trailer field that routes list
)

// hinting answers 103 first, waits until the client has that, then answers with
// trailer fields: announced, unannounced, and some that must not pass. What arrived
// of the request's own trailer fields is in the answer.
func hinting(t *testing.T, seen <-chan struct{}) string {
	t.Helper()
	return application(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Query().Has("hint") {
			w.Header().Set("Link", hint)
			w.Header().Add("Set-Cookie", "early=1")
			w.WriteHeader(http.StatusEarlyHints)
			select {
			case <-seen:
			case <-r.Context().Done():
				return
			}
			w.Header().Del("Set-Cookie")
		}
		w.Header().Set("Trailer", checksum+", X-Other")
		fmt.Fprintf(w, "trailer fields of the request: %v", r.Trailer)
		_ = http.NewResponseController(w).Flush()
		w.Header().Set(checksum, "abc")
		w.Header().Set("X-Other", "not listed")
		w.Header().Set(http.TrailerPrefix+"X-Unannounced", "not listed")
		w.Header().Set(http.TrailerPrefix+"Set-Cookie", "late=1")
	})
}

func hintRoutes(app string) string {
	return strings.ReplaceAll(bothWays(app), "policy: authenticated}", "policy: authenticated, trailers: ["+checksum+", X-Sent]}")
}

// TestEarlyHintsAndTrailersPass: 103 before the answer, and after it the trailer
// fields that the route lists, in both versions of HTTP on both sides.
func TestEarlyHintsAndTrailersPass(t *testing.T) {
	t.Parallel()
	seen := make(chan struct{}, 1)
	routes := hintRoutes(hinting(t, seen))
	plain, secure := start(t, plan{routes: routes}), start(t, plan{tls: true, routes: routes})
	for _, way := range []struct {
		protocol string
		g        *gate
	}{{"http/1.1", plain}, {"h2c", plain}, {"http/1.1", secure}, {"h2", secure}} {
		for _, path := range []string{"/one", "/two"} {
			t.Run(fmt.Sprintf("%s to %s, TLS %v", way.protocol, path, way.g.CA != nil), func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				var early []string
				ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
					if code == http.StatusEarlyHints {
						early = append(early, fmt.Sprint(h))
						seen <- struct{}{}
					}
					return nil
				}})
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, way.g.URL+path+"?hint", struct{ io.Reader }{strings.NewReader("body")})
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Cookie", way.g.signIn(t, "alice"))
				req.Trailer = http.Header{"X-Sent": {"after the body"}, "X-Forwarded-User": {"root"}, "X-Other": {"not listed"}}
				res, err := way.g.speak(t, way.protocol).Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				body, err := io.ReadAll(res.Body)
				if err != nil {
					t.Fatal(err)
				}
				if want := []string{fmt.Sprint(http.Header{"Link": {hint}})}; !slices.Equal(early, want) {
					t.Errorf("103 with %q instead of %q", early, want)
				}
				if want := "trailer fields of the request: map[X-Sent:[after the body]]"; string(body) != want {
					t.Errorf("the application says %q instead of %q", body, want)
				}
				if got := fmt.Sprint(res.Trailer); got != fmt.Sprint(http.Header{checksum: {"abc"}}) {
					t.Errorf("the trailer fields of the answer are %s", got)
				}
				if len(res.Header["Set-Cookie"]) > 0 {
					t.Errorf("a cookie of the early hint is in the answer: %q", res.Header)
				}
			})
		}
	}
}

// TestCurlSeesHintsAndTrailers has a client that is not net/http.
func TestCurlSeesHintsAndTrailers(t *testing.T) {
	t.Parallel()
	seen := make(chan struct{})
	close(seen) // curl has nobody to tell
	g := start(t, plan{tls: true, routes: hintRoutes(hinting(t, seen))})
	cookie := g.signIn(t, "alice")
	for _, version := range []string{"--http1.1", "--http2"} {
		for _, path := range []string{"/one", "/two"} {
			got := strings.ToLower(strings.ReplaceAll(g.curl(t, cookie, version, "--include", g.URL+path+"?hint"), "\r", ""))
			early, final, ok := strings.Cut(got, "\n\n")
			if !ok || !strings.Contains(early, " 103") || !strings.Contains(early, "\nlink: "+hint) || strings.Contains(early, "cookie") {
				t.Errorf("%s %s: first came %q", version, path, early)
			}
			if !strings.Contains(final, " 200") || !strings.Contains(final, "x-checksum: abc") ||
				strings.Contains(final, "not listed") || strings.Contains(final, "late=1") || strings.Contains(final, "early=1") {
				t.Errorf("%s %s: then came %q", version, path, final)
			}
		}
	}
}

// TestAnswerThatBreaksOffIsNotTakenForAWholeOne: an application that dies amid its
// answer leaves the client with an error, however the length was to be known.
func TestAnswerThatBreaksOffIsNotTakenForAWholeOne(t *testing.T) {
	t.Parallel()
	app := application(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("length") {
			w.Header().Set("Content-Length", "1000")
		}
		w.Header().Set("Trailer", checksum)
		fmt.Fprint(w, strings.Repeat("x", 500))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	routes := hintRoutes(app)
	plain, secure := start(t, plan{routes: routes}), start(t, plan{tls: true, routes: routes})
	for _, way := range []struct {
		protocol string
		g        *gate
	}{{"http/1.1", plain}, {"http/1.1", secure}, {"h2", secure}} {
		for _, target := range []string{"/one", "/two", "/one?length", "/two?length"} {
			res := get(t.Context(), t, way.g.speak(t, way.protocol), way.g.URL+target, way.g.signIn(t, "alice"))
			if body, err := io.ReadAll(res.Body); err == nil || errors.Is(err, io.EOF) || len(body) > 500 {
				t.Errorf("%s to %s: %d bytes, %v", way.protocol, target, len(body), err)
			}
			res.Body.Close()
		}
	}
}
