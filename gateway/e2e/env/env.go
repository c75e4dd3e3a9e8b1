//go:build e2e

// Package env starts the real components of the end-to-end tests: the built
// gateway, a browser, an OpenID provider, Valkey in its three layouts, and a
// network that fails between them. Each listens on loopback, is bounded
// in time, and ends with the test that started it. A component that is missing
// fails the test.
package env

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/porttest"
)

// startTimeout bounds the wait for a process to answer.
const startTimeout = 30 * time.Second

// outputTimeout bounds the wait for processes that hold the output of one that has ended.
const outputTimeout = 5 * time.Second

// Main builds the gateway for all tests of a package, which find its path in
// binary, runs them, and returns the exit code. The run fails where a secret of it is in
// anything that a gateway has written or answered to operators.
func Main(m *testing.M, binary *string) int {
	dir, err := os.MkdirTemp("", "sallyport")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	*binary = os.Getenv(builtVariable)
	if *binary == "" {
		*binary = filepath.Join(dir, "sallyport")
		cmd := exec.CommandContext(context.Background(), "go", "build", "-o", *binary, "github.com/sallyport/sallyport/cmd/sallyport")
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
			return 1
		}
	}
	seen := filepath.Join(dir, "seen")
	if err := os.Mkdir(seen, 0o700); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	run = NewScan(seen)
	return run.Report(os.Stderr, m.Run())
}

// builtVariable names a gateway that was built already.
const builtVariable = "SALLYPORT_E2E_BINARY"

// RunAgain runs one test of this package in a process of its own, by the same Main, and
// returns its exit code and what it wrote. environ tells the test that it is there.
func RunAgain(tb testing.TB, binary, test string, environ ...string) (code int, output string) {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), os.Args[0], "-test.run", "^"+test+"$", "-test.timeout", "2m")
	cmd.Env = append(append(os.Environ(), builtVariable+"="+binary), environ...)
	out, err := cmd.CombinedOutput()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		tb.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// BuildPackage compiles a program for one test and returns the binary.
func BuildPackage(tb testing.TB, pkg string, flags ...string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), filepath.Base(pkg))
	cmd := exec.CommandContext(tb.Context(), "go", append(append([]string{"build", "-o", path}, flags...), pkg)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// Process is one started component.
type Process struct {
	t    testing.TB
	name string
	cmd  *exec.Cmd
	out  *syncBuffer
	done chan struct{}
	err  error
}

// Start runs a command in dir with extra environment, and ends it with the test. What
// it has started in its turn ends when it does.
func Start(tb testing.TB, dir string, environ []string, name string, args ...string) *Process {
	tb.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		tb.Fatalf("%s is needed for this test: install it (make test does): %v", name, err)
	}
	p := &Process{t: tb, name: filepath.Base(name), out: &syncBuffer{}, done: make(chan struct{})}
	p.cmd = exec.Command(path, args...) //nolint:noctx // it is ended by pid below, also after the test's context
	p.cmd.Dir, p.cmd.Env = dir, append(os.Environ(), environ...)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.SysProcAttr, p.cmd.WaitDelay = ownGroup(), outputTimeout
	if err := p.cmd.Start(); err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	go func() { p.err = waitForGroup(p.cmd); close(p.done) }()
	tb.Cleanup(func() {
		p.end(syscall.SIGKILL)
		if p.name == "sallyport" {
			run.Output("the log of "+p.name+" in "+tb.Name(), p.out.String())
		}
		if tb.Failed() {
			tb.Logf("output of %s:\n%s", p.name, p.out)
		}
	})
	return p
}

// Stop asks the process to end and returns its exit code.
func (p *Process) Stop() int {
	p.t.Helper()
	return p.end(syscall.SIGTERM)
}

func (p *Process) end(signal syscall.Signal) int {
	_ = p.cmd.Process.Signal(signal) // it may have ended by itself
	select {
	case <-p.done:
	case <-time.After(startTimeout):
		_ = p.cmd.Process.Kill()
		<-p.done
		p.t.Errorf("%s did not end within %v", p.name, startTimeout)
	}
	return p.cmd.ProcessState.ExitCode()
}

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.done }

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Output returns what the process has written so far.
func (p *Process) Output() string { return p.out.String() }

// WaitHTTP polls url until something answers.
func (p *Process) WaitHTTP(url string) {
	p.t.Helper()
	client := &http.Client{Timeout: time.Second}
	ctx, cancel := context.WithTimeout(p.t.Context(), startTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			p.t.Fatal(err)
		}
		res, err := client.Do(req)
		if err == nil {
			_ = res.Body.Close()
			return
		}
		select {
		case <-p.done:
			p.t.Fatalf("%s ended (%v):\n%s", p.name, p.err, p.out)
		case <-ctx.Done():
			p.t.Fatalf("%s does not answer at %s: %v\n%s", p.name, url, err, p.out)
		case <-tick.C:
		}
	}
}

// Gateway is a running Sallyport.
type Gateway struct {
	*Process
	URL, AdminURL string
}

// Addresses are where one gateway listens; they can be used again after a
// restart.
type Addresses struct{ public, admin int }

// Reserve picks addresses for a gateway.
func Reserve(tb testing.TB) Addresses {
	tb.Helper()
	return Addresses{public: porttest.Free(tb), admin: porttest.Free(tb)}
}

// URL is the public URL.
func (a Addresses) URL() string { return "http://localhost:" + strconv.Itoa(a.public) }

// StartGateway runs the binary in dir, where config.yaml is, on these addresses.
func StartGateway(tb testing.TB, binary, dir string, a Addresses, environ ...string) *Gateway {
	tb.Helper()
	environ = append([]string{
		"SALLYPORT_LOG__LEVEL=debug", // where most could be said that should not
		fmt.Sprintf("SALLYPORT_SERVER__LISTEN=127.0.0.1:%d", a.public),
		fmt.Sprintf("SALLYPORT_ADMIN__LISTEN=127.0.0.1:%d", a.admin),
		"SALLYPORT_SERVER__PUBLIC_URL=" + a.URL(),
	}, environ...)
	g := &Gateway{
		Process: Start(tb, dir, environ, binary),
		URL:     a.URL(), AdminURL: fmt.Sprintf("http://127.0.0.1:%d", a.admin),
	}
	tb.Cleanup(func() { run.Answers(g.AdminURL, adminTokenOf(dir)); seen(tb, dir) })
	g.WaitHTTP(g.AdminURL + "/livez")
	g.WaitHTTP(g.URL + "/.auth/me")
	return g
}

// adminTokenOf is the token of the admin API, where the test has one in that file.
func adminTokenOf(dir string) string {
	text, err := os.ReadFile(filepath.Join(dir, "admin-token"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// WriteFile writes a file below dir and returns its path.
func WriteFile(tb testing.TB, dir, name, content string) string {
	tb.Helper()
	path := filepath.Join(dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
		tb.Fatal(err)
	}
	harvestFile(name, content)
	return path
}

// syncBuffer collects a process's output while a test may read it.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
