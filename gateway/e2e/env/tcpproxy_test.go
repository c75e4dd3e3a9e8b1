//go:build e2e

package env_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// line is a connection over which Valkey's inline commands are sent.
type line struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func dial(t *testing.T, addr string) *line {
	t.Helper()
	return dialNetwork(t, "tcp", addr)
}

func dialUnix(t *testing.T, path string) *line {
	t.Helper()
	return dialNetwork(t, "unix", path)
}

func dialNetwork(t *testing.T, network, addr string) *line {
	t.Helper()
	conn, err := net.DialTimeout(network, addr, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &line{t, conn, bufio.NewReader(conn)}
}

func (l *line) send(command string) {
	l.t.Helper()
	if _, err := fmt.Fprintf(l.conn, "%s\r\n", command); err != nil {
		l.t.Fatal(err)
	}
}

// answer reads one line within d.
func (l *line) answer(d time.Duration) (string, error) {
	l.conn.SetReadDeadline(time.Now().Add(d))
	text, err := l.r.ReadString('\n')
	return strings.TrimSpace(text), err
}

// ask sends a command and wants this answer.
func (l *line) ask(command, want string) {
	l.t.Helper()
	l.send(command)
	l.want(want)
}

func (l *line) want(want string) {
	l.t.Helper()
	if got, err := l.answer(5 * time.Second); err != nil || got != want {
		l.t.Fatalf("got %q, %v; want %q", got, err, want)
	}
}

func (l *line) wantSilence() {
	l.t.Helper()
	if got, err := l.answer(300 * time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) || got != "" {
		l.t.Fatalf("got %q, %v; want a time-out", got, err)
	}
}

func (l *line) wantReset() {
	l.t.Helper()
	if got, err := l.answer(5 * time.Second); !errors.Is(err, syscall.ECONNRESET) {
		l.t.Fatalf("got %q, %v; want a reset", got, err)
	}
}

func TestTCPProxyBlackHolesAndHeals(t *testing.T) {
	v := env.StartValkey(t)
	p := env.StartTCPProxy(t, v.Addr)
	before := dial(t, p.Addr)
	before.ask("PING", "+PONG")

	p.BlackHole()
	before.send("SET a 1")
	before.wantSilence()
	during := dial(t, p.Addr)
	during.send("SET b 1")
	during.wantSilence()
	if n := v.DBSize(); n != 0 {
		t.Errorf("%d keys were written through a black hole", n)
	}

	p.Heal()
	before.want("+OK")
	during.want("+OK")
	if n := v.DBSize(); n != 2 {
		t.Errorf("%d of 2 keys arrived after healing", n)
	}
}

func TestTCPProxyBlackHolesOnlyExistingConnections(t *testing.T) {
	p := env.StartTCPProxy(t, env.StartValkey(t).Addr)
	before := dial(t, p.Addr)
	before.ask("PING", "+PONG")
	p.BlackHoleExisting()
	before.send("PING")
	before.wantSilence()
	dial(t, p.Addr).ask("PING", "+PONG")
	p.Heal()
	before.want("+PONG")
}

func TestTCPProxyPassesNoCloseThroughABlackHole(t *testing.T) {
	v := env.StartValkey(t)
	p := env.StartTCPProxy(t, v.Addr)
	l := dial(t, p.Addr)
	l.ask("PING", "+PONG")
	p.BlackHole()
	v.Kill()
	l.wantSilence()
	p.Heal()
	if _, err := l.answer(5 * time.Second); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("after healing: %v; want the close", err)
	}

	v.Restart()
	dial(t, p.Addr).ask("PING", "+PONG")
}

func TestTCPProxyCutsRefusesAndDelays(t *testing.T) {
	p := env.StartTCPProxy(t, env.StartValkey(t).Addr)
	held := dial(t, p.Addr)
	held.ask("PING", "+PONG")
	p.BlackHoleExisting()
	open := dial(t, p.Addr)
	open.ask("PING", "+PONG")
	p.Cut()
	open.wantReset()
	held.wantReset()
	if n := p.Connections(); n != 0 {
		t.Errorf("%d connections are left", n)
	}

	p.Refuse()
	// The reset can be there before the dialer has seen that it was connected.
	if conn, err := net.DialTimeout("tcp", p.Addr, 5*time.Second); err == nil {
		(&line{t, conn, bufio.NewReader(conn)}).wantReset()
		conn.Close()
	} else if !errors.Is(err, syscall.ECONNRESET) {
		t.Fatal(err)
	}
	p.Accept()
	l := dial(t, p.Addr)
	l.ask("PING", "+PONG")

	p.Delay(100 * time.Millisecond)
	start := time.Now()
	l.ask("PING", "+PONG")
	if took := time.Since(start); took < 200*time.Millisecond {
		t.Errorf("a round trip took %v with a delay of 100ms in each direction", took)
	}
	p.Delay(0)
	start = time.Now()
	l.ask("PING", "+PONG")
	if took := time.Since(start); took > 150*time.Millisecond {
		t.Errorf("a round trip took %v without a delay", took)
	}
}

// A sender that is faster than the receiver waits: what does not fit in the
// buffers is not lost and is not collected in memory.
func TestTCPProxyForwardsALotInOrder(t *testing.T) {
	v := env.StartValkey(t)
	p := env.StartTCPProxy(t, v.Addr)
	l := dial(t, p.Addr)
	l.ask("PING", "+PONG")
	p.BlackHole()
	const size = 32 << 20
	sent := make(chan error, 1)
	go func() {
		_, err := fmt.Fprintf(l.conn, "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$%d\r\n%s\r\n", size, strings.Repeat("x", size))
		sent <- err
	}()
	select {
	case err := <-sent:
		t.Fatalf("32 MiB fitted into a black hole (%v)", err)
	case <-time.After(300 * time.Millisecond):
	}
	p.Heal()
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	l.want("+OK")
	if got := v.Do("STRLEN", "a"); got != fmt.Sprint(size) {
		t.Errorf("%s bytes arrived; want %d", got, size)
	}
}

func TestTCPProxyEndsWithItsTest(t *testing.T) {
	v := env.StartValkey(t)
	leaks := goleak.IgnoreCurrent()
	t.Run("it", func(t *testing.T) {
		p := env.StartTCPProxy(t, v.Addr)
		dial(t, p.Addr).ask("PING", "+PONG")
		p.BlackHole()
		dial(t, p.Addr).send("PING")
	})
	goleak.VerifyNone(t, leaks)
}
