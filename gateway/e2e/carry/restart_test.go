//go:build e2e

package carry_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/tlstest"
)

// balancer sends requests to gateways in turn, as a Service of Kubernetes does:
// to those whose /readyz said 200 when it last looked.
type balancer struct {
	gates []*gate
	ready []atomic.Bool
	next  atomic.Int64
}

// look looks after the gateways until stop is called.
func (b *balancer) look() (stop func()) {
	done := make(chan struct{})
	var wait sync.WaitGroup
	for i, g := range b.gates {
		wait.Go(func() {
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			client := http.Client{Timeout: time.Second}
			for {
				res, err := client.Get(g.AdminURL + "/readyz")
				b.ready[i].Store(err == nil && res.StatusCode == http.StatusOK)
				if err == nil {
					_ = res.Body.Close()
				}
				select {
				case <-done:
					return
				case <-tick.C:
				}
			}
		})
	}
	return func() { close(done); wait.Wait() }
}

func (b *balancer) pick() *gate {
	for range b.gates {
		if i := int(b.next.Add(1)) % len(b.gates); b.ready[i].Load() {
			return b.gates[i]
		}
	}
	return nil
}

func (b *balancer) readyGates() (n int) {
	for i := range b.ready {
		if b.ready[i].Load() {
			n++
		}
	}
	return n
}

// TestRollingRestartLosesNoRequest restarts three gateways one after the other,
// while 500 requests arrive in each second: pages, forms, which nobody may send
// again by themselves, and answers that take a while. Not one fails.
func TestRollingRestartLosesNoRequest(t *testing.T) {
	b, cookie := startRow(t)
	defer b.look()()
	env.WaitUntil(t, "all gateways are ready", func() bool { return b.readyGates() == len(b.gates) })
	clients := []*http.Client{b.gates[0].speak(t, "http/1.1"), b.gates[0].speak(t, "h2")}

	const rate = 500
	var wait sync.WaitGroup
	var mu sync.Mutex
	var failures []string
	var took []time.Duration
	send := func(n int) {
		begin := time.Now()
		err := one(t.Context(), b.pick(), clients[n%10/9], cookie, n)
		mu.Lock()
		defer mu.Unlock()
		took = append(took, time.Since(begin))
		if err != nil {
			failures = append(failures, fmt.Sprintf("%d: %v", n, err))
		}
	}
	stop := make(chan struct{})
	var generator sync.WaitGroup
	generator.Go(func() {
		tick := time.NewTicker(time.Second / rate)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			case <-tick.C:
				wait.Go(func() { send(n) })
			}
		}
	})

	begin := time.Now()
	for i, g := range b.gates {
		if code := g.Stop(); code != 0 {
			t.Errorf("gateway %d ended with %d", i, code)
		}
		g.launch(t)
		env.WaitUntil(t, "the gateway is ready again", func() bool { return b.readyGates() == len(b.gates) })
	}
	close(stop)
	generator.Wait()
	wait.Wait()
	slices.Sort(took)
	t.Logf("%d requests in %v, %d failed; median %v, p99 %v, worst %v", len(took), time.Since(begin).Round(time.Millisecond), len(failures),
		took[len(took)/2], took[len(took)*99/100], took[len(took)-1])
	if len(failures) > 0 {
		t.Errorf("failed:\n%s", strings.Join(failures[:min(10, len(failures))], "\n"))
	}
	if len(took) < rate {
		t.Errorf("only %d requests were sent", len(took))
	}
}

// startRow starts three gateways over one Valkey, and signs alice in.
func startRow(t *testing.T) (b *balancer, cookie string) {
	t.Helper()
	store, ca := env.StartValkey(t), tlstest.New(t)
	app := application(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		if r.URL.Path == "/slow" {
			time.Sleep(300 * time.Millisecond) //nolint:forbidigo // the application thinks
		}
		fmt.Fprintf(w, "%s %s of %d bytes by %s", r.Method, r.URL.Path, len(body), r.Header.Get("X-Forwarded-User"))
	})
	key := make([]byte, 32)
	rand.Read(key)
	file := env.WriteFile(t, t.TempDir(), "key", base64.StdEncoding.EncodeToString(key))
	b = &balancer{ready: make([]atomic.Bool, 3)}
	for range b.ready {
		b.gates = append(b.gates, start(t, plan{
			tls: true, ca: ca, routes: fmt.Sprintf("  - {name: app, upstream: %q, policy: authenticated}", app),
			session: fmt.Sprintf("{store: valkey, valkey: {urls: [%q]}, keys_files: [%q]}", store.URL(), file),
			server:  "drain: {delay: 1s, timeout: 10s}",
		}))
	}
	return b, b.gates[0].signIn(t, "alice")
}

// one sends one request, which no client may repeat unseen.
func one(ctx context.Context, g *gate, client *http.Client, cookie string, n int) error {
	if g == nil {
		return errors.New("no gateway is ready")
	}
	method, path, body := http.MethodGet, "/page", []byte(nil)
	switch {
	case n%50 == 0:
		path = "/slow"
	case n%2 == 0:
		method, path, body = http.MethodPost, "/form", payload(1000).GetBody()
	}
	connections := 0
	ctx, cancel := context.WithTimeout(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connections++ },
	}), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, g.URL+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Cookie", cookie)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if want := fmt.Sprintf("%s %s of %d bytes by alice", method, path, len(body)); err != nil || string(got) != want {
		return fmt.Errorf("%s %s: %s %q, %w", method, path, res.Status, got, err)
	}
	if connections != 1 {
		return fmt.Errorf("%s %s: sent %d times", method, path, connections)
	}
	return nil
}
