package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/porttest"
)

// replica is a gateway in a process of its own.
type replica struct {
	t           *testing.T
	port, admin string
	file        string
	cmd         *exec.Cmd
	out         *strings.Builder
	ready       atomic.Bool // as a balancer sees it
}

func newReplica(t *testing.T, drain string) *replica {
	t.Helper()
	r := &replica{t: t, file: filepath.Join(t.TempDir(), "config.yaml")}
	for _, port := range []*string{&r.port, &r.admin} {
		*port = strconv.Itoa(porttest.Free(t))
	}
	text := fmt.Sprintf(`
server: {listen: "127.0.0.1:%s", drain: %s}
admin: {listen: "127.0.0.1:%s"}
session: {embedded: {path: ""}}
log: {level: error}
routes: [{name: app, upstream: "builtin:echo", public: true}]
`, r.port, drain, r.admin)
	if err := os.WriteFile(r.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *replica) start() {
	r.t.Helper()
	r.out = &strings.Builder{}
	r.cmd = exec.CommandContext(r.t.Context(), "sallyport", "serve", "-c", r.file)
	r.cmd.Stdout, r.cmd.Stderr = r.out, r.out
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.await("it to be ready", r.asks)
	r.ready.Store(true)
}

// asks is the balancer's look at readiness.
func (r *replica) asks() bool {
	answer, err := get(r.t.Context(), "http://127.0.0.1:"+r.admin+"/readyz", nil)
	return err == nil && answer.status == "200"
}

func (r *replica) await(what string, done func() bool) {
	r.t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			r.t.Fatalf("still waiting for %s", what)
		}
	}
}

func (r *replica) signal() {
	r.t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		r.t.Fatal(err)
	}
}

// post sends a request that no client library sends twice: it has a body that can't
// be had again, so that a connection that is closed at the wrong moment shows.
func post(ctx context.Context, client *http.Client, port string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://127.0.0.1:"+port+"/", io.NopCloser(strings.NewReader("a")))
	if err != nil {
		return err
	}
	req.Host, req.ContentLength = "localhost:8080", 1
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	return nil
}

// TestRollingRestartFailsNobody: clients that keep connections alive, a balancer that
// looks at /readyz, and two gateways that go away and come back in turn.
func TestRollingRestartFailsNobody(t *testing.T) {
	replicas := []*replica{newReplica(t, "{delay: 1s, timeout: 10s}"), newReplica(t, "{delay: 1s, timeout: 10s}")}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	var sent, failed atomic.Int64
	for _, r := range replicas {
		r.start()
		running.Go(func() {
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
					r.ready.Store(r.asks())
				}
			}
		})
	}
	const clients = 8
	for i := range clients {
		running.Go(func() {
			client := &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
			defer client.CloseIdleConnections()
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for n := i; ; n++ {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				r := replicas[n%len(replicas)]
				if !r.ready.Load() {
					r = replicas[(n+1)%len(replicas)]
				}
				sent.Add(1)
				if err := post(context.WithoutCancel(ctx), client, r.port); err != nil && failed.Add(1) < 10 {
					t.Errorf("a request failed: %v", err)
				}
			}
		})
	}
	for range 2 {
		for _, r := range replicas {
			before := sent.Load()
			r.signal()
			if err := r.cmd.Wait(); err != nil {
				t.Errorf("it ended with %v\n%s", err, r.out)
			}
			r.start()
			r.await("some traffic", func() bool { return sent.Load() > before+200 })
		}
	}
	stop()
	running.Wait()
	t.Logf("%d of %d requests failed", failed.Load(), sent.Load())
	for _, r := range replicas {
		r.signal()
		if err := r.cmd.Wait(); err != nil {
			t.Errorf("it ended with %v\n%s", err, r.out)
		}
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	r := newReplica(t, "{delay: 1h}")
	r.start()
	r.signal()
	r.await("it not to be ready", func() bool { return !r.asks() })
	ended := make(chan error, 1)
	go func() { ended <- r.cmd.Wait() }()
	var err error
	r.await("its end", func() bool { // the first signals after the first may come too early to count
		_ = r.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err = <-ended:
			return true
		default:
			return false
		}
	})
	if status, ok := r.cmd.ProcessState.Sys().(syscall.WaitStatus); err == nil || !ok || !status.Signaled() || status.Signal() != syscall.SIGTERM {
		t.Errorf("it ended with %v\n%s", err, r.out)
	}
}
