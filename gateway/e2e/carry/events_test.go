//go:build e2e

package carry_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestEachEventArrivesBeforeTheNextIsSent is what streaming means: the application
// says nothing more until the client has got what it said last. The contract wants
// each there within 20 ms.
func TestEachEventArrivesBeforeTheNextIsSent(t *testing.T) {
	t.Parallel()
	const events, line = 100, "data: 0123\n\n"
	got := make(chan struct{}) // one for the head of the answer and for each event that the client has
	app := application(t, func(w http.ResponseWriter, r *http.Request) {
		kind := r.URL.Query().Get("type")
		if kind != "" {
			w.Header().Set("Content-Type", kind)
		}
		if r.URL.Query().Has("length") {
			w.Header().Set("Content-Length", fmt.Sprint(events*len(line)))
		}
		arrived := func() bool {
			_ = http.NewResponseController(w).Flush()
			select {
			case <-got:
				return true
			case <-r.Context().Done():
				return false
			}
		}
		// An answer of unknown length is there before anything is in it: EventSource
		// tells a page so.
		if !r.URL.Query().Has("length") && !arrived() {
			return
		}
		for n := range events {
			if fmt.Fprintf(w, "data: %04d\n\n", n); !arrived() {
				return
			}
		}
	})
	routes := bothWays(app)
	plain, secure := start(t, plan{routes: routes}), start(t, plan{tls: true, routes: routes})
	for _, way := range []struct {
		protocol string
		g        *gate
		path     string
	}{
		{"http/1.1", plain, "/one"}, {"h2c", plain, "/two"}, {"http/1.1", secure, "/two"}, {"h2", secure, "/one"}, {"h2", secure, "/two"},
	} {
		client, cookie := way.g.speak(t, way.protocol), way.g.signIn(t, "alice")
		for _, query := range []string{
			"type=text/event-stream", "type=application/x-ndjson", "type=text/plain", "type=video/mp4", "type=", "type=text/plain&length",
		} {
			t.Run(fmt.Sprintf("%s to %s, %s", way.protocol, way.path, query), func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				res := get(ctx, t, client, way.g.URL+way.path+"?"+query, cookie)
				defer res.Body.Close()
				if !strings.HasSuffix(query, "length") {
					got <- struct{}{}
				}
				in := bufio.NewReader(res.Body)
				var took []time.Duration
				begin := time.Now()
				for n := range events {
					event := make([]byte, len(line))
					if _, err := io.ReadFull(in, event); err != nil {
						t.Fatalf("event %d did not come: %v", n, err)
					}
					if want := fmt.Sprintf("data: %04d\n\n", n); string(event) != want {
						t.Fatalf("got %q instead of %q", event, want)
					}
					took = append(took, time.Since(begin))
					begin = time.Now()
					got <- struct{}{}
				}
				slices.Sort(took)
				t.Logf("median %v, p99 %v, worst %v", took[events/2], took[events*99/100], took[events-1])
				if took[events/2] > 20*time.Millisecond || took[events-1] > time.Second {
					t.Errorf("events took %v in the median, %v at worst", took[events/2], took[events-1])
				}
			})
		}
	}
}

// TestLeavingClientCancelsTheApplication, at whatever point of the answer it
// leaves.
func TestLeavingClientCancelsTheApplication(t *testing.T) {
	t.Parallel()
	began, left := make(chan struct{}, 1), make(chan error, 1)
	app := application(t, func(w http.ResponseWriter, r *http.Request) {
		defer func() { <-r.Context().Done(); left <- r.Context().Err() }()
		begun := func() { began <- struct{}{} }
		flush := http.NewResponseController(w).Flush
		switch r.URL.Query().Get("leave") {
		case "before the answer":
			begun()
		case "amid events":
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "data: 1\n\n")
			_ = flush()
			begun()
		case "amid a download":
			w.Header().Set("Content-Length", "1000000000")
			fmt.Fprint(w, "and so on")
			_ = flush()
			begun()
		case "while it is not reading":
			begun()
			for range 1 << 10 { // more than what is kept on the way
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}
	})
	routes := bothWays(app)
	g := start(t, plan{tls: true, routes: routes})
	cookie := g.signIn(t, "alice")
	for _, protocol := range []string{"http/1.1", "h2"} {
		for _, path := range []string{"/one", "/two"} {
			for _, when := range []string{"before the answer", "amid events", "amid a download", "while it is not reading"} {
				t.Run(protocol+" to "+path+", "+when, func(t *testing.T) {
					client := g.speak(t, protocol)
					ctx, leave := context.WithCancel(t.Context())
					defer leave()
					gone := make(chan struct{})
					go func() {
						defer close(gone)
						req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.URL+path+"?leave="+strings.ReplaceAll(when, " ", "+"), http.NoBody)
						if err != nil {
							t.Error(err)
							return
						}
						req.Header.Set("Cookie", cookie)
						if res, err := client.Do(req); err == nil {
							<-ctx.Done()
							res.Body.Close()
						}
					}()
					within(t, patience, "the application is asked", began)
					begin := time.Now()
					leave()
					if err := within(t, once, "the application sees it", left); err == nil {
						t.Error("the application saw no end")
					}
					t.Logf("%v after the client had left", time.Since(begin))
					<-gone
				})
			}
		}
	}
}

// get asks for a page as somebody who is signed in.
func get(ctx context.Context, t *testing.T, client *http.Client, url, cookie string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Cookie", cookie)
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", url, res.Status)
	}
	return res
}
