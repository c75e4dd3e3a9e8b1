//go:build e2e

package env

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/porttest"
)

const (
	doTimeout  = 5 * time.Second // bounds one command that is sent to a server
	askTimeout = time.Second     // and one that asks a server that may be frozen
)

// Valkey is a real server on loopback, with the faults that servers have. The
// fault methods are for one goroutine at a time; Do and TryDo are for any.
type Valkey struct {
	Addr   string // host:port
	Port   int
	Socket string // the unix socket, with ValkeyUnixSocket

	t       testing.TB
	dir     string
	binary  string
	args    []string
	cli     []string // what valkey-cli needs to be let in
	tls     bool
	process *Process
}

// ValkeyOption changes how a server is started.
type ValkeyOption func(*Valkey)

// ValkeyArgs adds to the server's command line; what comes later wins.
func ValkeyArgs(args ...string) ValkeyOption {
	return func(v *Valkey) { v.args = append(v.args, args...) }
}

// ValkeyPassword protects the server with a password of the default user.
func ValkeyPassword(password string) ValkeyOption {
	return func(v *Valkey) {
		Secret("Valkey password", password)
		v.args = append(v.args, "--requirepass", password, "--primaryauth", password)
		v.cli = append(v.cli, "--no-auth-warning", "-a", password)
	}
}

// ValkeyACL gives the server an ACL file of these lines ("user name on ...").
// Do and TryDo sign in as the named user.
func ValkeyACL(user, password string, lines ...string) ValkeyOption {
	return func(v *Valkey) {
		path := WriteFile(v.t, v.dir, "users.acl", strings.Join(lines, "\n")+"\n")
		v.args = append(v.args, "--aclfile", path)
		v.cli = append(v.cli, "--no-auth-warning", "--user", user, "-a", password)
	}
}

// ValkeyUnixSocket makes the server listen on a unix socket as well.
func ValkeyUnixSocket() ValkeyOption {
	return func(v *Valkey) {
		// Not below the test's own directory: the path of a socket has 107 bytes at most.
		dir, err := os.MkdirTemp("", "valkey")
		if err != nil {
			v.t.Fatal(err)
		}
		v.t.Cleanup(func() { _ = os.RemoveAll(dir) })
		v.Socket = filepath.Join(dir, "s")
		v.args = append(v.args, "--unixsocket", v.Socket)
	}
}

// ValkeyDebug allows the DEBUG command.
func ValkeyDebug() ValkeyOption { return ValkeyArgs("--enable-debug-command", "local") }

// ValkeyPort makes the server listen on this port.
func ValkeyPort(port int) ValkeyOption { return func(v *Valkey) { v.Port = port } }

// StartValkey starts a server that keeps nothing on disk and waits until it
// answers.
func StartValkey(tb testing.TB, options ...ValkeyOption) *Valkey {
	tb.Helper()
	v := newValkey(tb, "valkey-server", options)
	listen := []string{"--port", strconv.Itoa(v.Port)}
	if v.tls {
		listen = []string{"--port", "0", "--tls-port", strconv.Itoa(v.Port)}
	}
	v.args = slices.Concat(listen, []string{"--bind", "127.0.0.1", "--dir", v.dir, "--save", "", "--appendonly", "no"}, v.args)
	v.start()
	return v
}

// newValkey applies the options, and starts nothing.
func newValkey(tb testing.TB, binary string, options []ValkeyOption) *Valkey {
	tb.Helper()
	v := &Valkey{t: tb, dir: tb.TempDir(), binary: binary}
	for _, option := range options {
		option(v)
	}
	if v.Port == 0 {
		v.Port = porttest.Free(tb)
	}
	v.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(v.Port))
	return v
}

func (v *Valkey) start() {
	v.t.Helper()
	v.process = Start(v.t, v.dir, nil, v.binary, v.args...)
	var last error
	defer func() {
		if v.t.Failed() {
			v.t.Logf("%s at %s: %v", v.binary, v.Addr, last)
		}
	}()
	WaitUntil(v.t, v.binary+" answers", func() bool {
		if !v.Running() {
			v.t.Fatalf("%s ended (%v):\n%s", v.binary, v.process.err, v.process.Output())
		}
		_, last = v.TryDo("PING")
		return last == nil
	})
}

// URL is the server's address in the form that configurations have, without
// credentials.
func (v *Valkey) URL() string {
	if v.tls {
		return "valkeys://" + v.Addr
	}
	return "valkey://" + v.Addr
}

// Pid is the process id of the running server.
func (v *Valkey) Pid() int { return v.process.cmd.Process.Pid }

// Running tells whether the process exists; a frozen one does.
func (v *Valkey) Running() bool {
	select {
	case <-v.process.done:
		return false
	default:
		return true
	}
}

// Output returns what the server has logged since it was started.
func (v *Valkey) Output() string { return v.process.Output() }

// Kill ends the server at once, as a crash does.
func (v *Valkey) Kill() {
	v.t.Helper()
	v.process.end(syscall.SIGKILL)
}

// Shutdown ends the server in order.
func (v *Valkey) Shutdown() {
	v.t.Helper()
	if v.Running() {
		v.Thaw() // a frozen process would never see that it should end
	}
	v.process.Stop()
}

// Restart starts the server again on the same port with the same arguments,
// after Shutdown if it still runs. It has data only if they say appendonly.
func (v *Valkey) Restart() {
	v.t.Helper()
	v.Shutdown()
	v.start()
}

// Freeze stops the server without closing anything: connections stay open and
// new ones are accepted by the kernel, but nothing is answered.
func (v *Valkey) Freeze() {
	v.t.Helper()
	v.signal(syscall.SIGSTOP)
}

// Thaw lets a frozen server go on.
func (v *Valkey) Thaw() {
	v.t.Helper()
	v.signal(syscall.SIGCONT)
}

func (v *Valkey) signal(signal syscall.Signal) {
	v.t.Helper()
	if err := v.process.cmd.Process.Signal(signal); err != nil {
		v.t.Fatalf("%s: %v: %v", v.binary, signal, err)
	}
}

// Do sends a command and returns the answer as valkey-cli prints it. An error
// fails the test.
func (v *Valkey) Do(args ...string) string {
	v.t.Helper()
	out, err := v.TryDo(args...)
	if err != nil {
		v.t.Fatalf("%s at %s: %s: %v", v.binary, v.Addr, strings.Join(args, " "), err)
	}
	return out
}

// TryDo sends a command and returns the answer, or the error that the server
// answered, or that it did not answer.
func (v *Valkey) TryDo(args ...string) (string, error) {
	return v.tryWithin(doTimeout, args...)
}

func (v *Valkey) tryWithin(timeout time.Duration, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return v.runCLI(ctx, slices.Concat([]string{"-e"}, args)) // -e: an error is an error
}

// runCLI runs valkey-cli with this server's address and credentials.
func (v *Valkey) runCLI(ctx context.Context, args []string) (string, error) {
	all := slices.Concat([]string{"-h", "127.0.0.1", "-p", strconv.Itoa(v.Port)}, v.cli, args)
	cmd := exec.CommandContext(ctx, "valkey-cli", all...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		return "", errors.New(strings.TrimSpace(fmt.Sprintf("%v: %s %s", err, stderr.String(), stdout.String())))
	}
	return strings.TrimSuffix(stdout.String(), "\n"), nil
}

// WaitUntil polls until ok says so, and fails the test when that takes too long.
func WaitUntil(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	deadline := time.Now().Add(startTimeout)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			tb.Fatalf("not within %v: %s", startTimeout, what)
		}
		<-tick.C
	}
}
