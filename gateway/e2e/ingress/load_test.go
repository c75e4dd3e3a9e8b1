//go:build e2e

package ingress_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// load is what came of a load.
type load struct {
	requests, expired, left, sockets int
	failures                         []string
}

func (l *load) String() string {
	return fmt.Sprintf("%d requests (%d after the end of a session), %d WebSockets, %d clients that left, %d failures", l.requests, l.expired, l.sockets, l.left, len(l.failures))
}

// visitor is one kind of client, and the status that it gets.
type visitor struct {
	method, path string
	user         string // "" = nobody
	status       int
	leaves       bool // before the answer
	socket       bool
}

func visitors() []visitor {
	return []visitor{
		{method: "GET", path: "/x", user: "alice", status: http.StatusOK},
		{method: "GET", path: "/x", user: "carol", status: http.StatusForbidden},
		{method: "GET", path: "/x", status: http.StatusUnauthorized},
		{method: "HEAD", path: "/x", user: "alice", status: http.StatusOK},
		{method: "HEAD", path: "/x", user: "carol", status: http.StatusForbidden},
		{method: "HEAD", path: "/x", status: http.StatusUnauthorized},
		{method: "POST", path: "/upload", user: "alice", status: http.StatusOK},
		{method: "GET", path: "/assets/x", status: http.StatusOK},
		{method: "GET", path: "/x", user: "alice", leaves: true},
		{method: "GET", path: "/ws", user: "alice", socket: true},
	}
}

// load sends requests at a rate, of each kind in turn, whatever became of those
// before. Sessions that have ended are begun again.
func (s *site) load(t *testing.T, life time.Duration, perSecond int) *load {
	t.Helper()
	var mu sync.Mutex
	l := &load{}
	fail := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		l.failures = append(l.failures, fmt.Sprintf(format, args...))
	}
	cookies := map[string]string{"": "", "alice": s.signIn(t, "alice"), "carol": s.signIn(t, "carol")}
	var wait sync.WaitGroup
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	kinds := visitors()
	for n, until := 0, time.Now().Add(life); time.Now().Before(until); n++ {
		<-tick.C
		v := kinds[n%len(kinds)]
		mu.Lock()
		cookie := cookies[v.user]
		mu.Unlock()
		wait.Go(func() {
			got, err := s.visit(t.Context(), v, cookie)
			mu.Lock()
			l.requests++
			if v.leaves {
				l.left++
			}
			if v.socket {
				l.sockets++
			}
			over := v.user != "" && got == http.StatusUnauthorized // as sessions do
			if over {
				l.expired++
			}
			first := over && cookies[v.user] == cookie
			mu.Unlock()
			switch {
			case over && first:
				renewed := s.signIn(t, v.user)
				mu.Lock()
				cookies[v.user] = renewed
				mu.Unlock()
			case over, v.leaves:
			case err != nil:
				fail("%s %s of %q: %v", v.method, v.path, v.user, err)
			case got != v.status:
				fail("%s %s of %q: %d", v.method, v.path, v.user, got)
			}
		})
	}
	wait.Wait()
	for i, failure := range l.failures {
		if i < 10 {
			t.Error(failure)
		}
	}
	return l
}

// visit returns the status; 0 for a WebSocket that worked.
func (s *site) visit(ctx context.Context, v visitor, cookie string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if v.socket {
		return s.visitSocket(ctx, cookie)
	}
	if v.leaves {
		leave := time.AfterFunc(500*time.Microsecond, cancel)
		defer leave.Stop()
	}
	body := io.Reader(http.NoBody)
	if v.method == http.MethodPost {
		body = strings.NewReader(strings.Repeat("x", 100_000))
	}
	req, err := http.NewRequestWithContext(ctx, v.method, s.url+v.path, body)
	if err != nil {
		return 0, err
	}
	if cookie != "" {
		req.Header.Set("Cookie", cookie)
	}
	res, err := s.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}

func (s *site) visitSocket(ctx context.Context, cookie string) (int, error) {
	c, res, err := websocket.Dial(ctx, s.url+"/ws", &websocket.DialOptions{HTTPClient: s.client, HTTPHeader: http.Header{"Cookie": {cookie}, "Origin": {s.url}}})
	if res != nil && res.StatusCode == http.StatusUnauthorized {
		return res.StatusCode, nil
	}
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.CloseNow() }()
	if _, greeting, err := c.Read(ctx); err != nil || string(greeting) != "alice" {
		return 0, fmt.Errorf("greeted with %q: %w", greeting, err)
	}
	return 0, c.Close(websocket.StatusNormalClosure, "")
}
