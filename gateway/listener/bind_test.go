package listener_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/listener"
)

// socketPath is short: sockets allow 108 bytes.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sp") //nolint:usetesting // as above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "s.sock")
}

func TestUnixSocketHasItsModeAndGroupAndIsGoneAtTheEnd(t *testing.T) {
	path := socketPath(t)
	group := "0"
	if ids, err := os.Getgroups(); err == nil && len(ids) > 0 {
		if g, err := user.LookupGroupId(itoa(ids[len(ids)-1])); err == nil {
			group = g.Name
		}
	}
	g := serve(t, config.Server{Listen: "unix://" + path + "?mode=0620&group=" + group})
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o620 {
		t.Fatalf("%v, %v", info, err)
	}
	want, err := user.LookupGroup(group)
	if owner, ok := info.Sys().(*syscall.Stat_t); err == nil && ok && itoa(int(owner.Gid)) != want.Gid {
		t.Errorf("it belongs to group %d", owner.Gid)
	}
	if body, _ := ask(t, dial(t, path), get); body == "" {
		t.Error("it was not answered")
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

func TestAddressesThatCannotBeOpenedAreErrorsAndNothingStaysOpen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	busy := socketPath(t)
	lives, err := net.Listen("unix", busy)
	if err != nil {
		t.Fatal(err)
	}
	defer lives.Close()
	file := socketPath(t)
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for listen, want := range map[string]string{
		taken.Addr().String(): "address already in use: another program, perhaps another gateway, listens there",
		"192.0.2.1:0":         "this machine has no such address",
		"unix://" + busy:      "another process listens on it",
		"unix://" + file:      "address already in use",
		"unix://" + socketPath(t) + "?group=no-such-group": "no-such-group",
		"systemd":        "systemd has passed no socket",
		"systemd:public": "systemd has passed no socket",
		"nowhere":        "is not an address of the form host:port",
	} {
		first := socketPath(t)
		_, err := listener.Open(t.Context(), listener.NewBinder(), listener.Options{
			Server: config.Server{Listeners: []config.Listener{{Listen: "unix://" + first}, {Listen: listen}}},
			Log:    zap.NewNop(), Handler: http.NotFoundHandler(),
		})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "server.listeners[1].listen: ") {
			t.Errorf("%s: %v", listen, err)
		}
		if _, err := os.Stat(first); !os.IsNotExist(err) {
			t.Errorf("%s: the first one stayed open", listen)
		}
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "mine" {
		t.Errorf("the file that stood in the way is now %q, %v", text, err)
	}
}

// socketsOfSystemd is what the process below is told to listen on.
const socketsOfSystemd = "SALLYPORT_TEST_SOCKETS"

// TestMain is also the process that systemd would start: it serves what it is passed
// and tells systemd so.
func TestMain(m *testing.M) {
	listens := os.Getenv(socketsOfSystemd)
	if listens == "" {
		os.Exit(m.Run())
	}
	// systemd sets it between fork and exec.
	if err := os.Setenv("LISTEN_PID", itoa(os.Getpid())); err != nil {
		panic(err)
	}
	var server config.Server
	for listen := range strings.SplitSeq(listens, " ") {
		server.Listeners = append(server.Listeners, config.Listener{Name: listen, Listen: listen})
	}
	b := listener.NewBinder()
	g, err := listener.Open(context.Background(), b, listener.Options{Server: server, Handler: http.HandlerFunc(says), Log: zap.NewNop()})
	if err != nil {
		_, _ = os.Stdout.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	_, _ = os.Stdout.WriteString("unused: " + strings.Join(b.Close(), " ") + "\n")
	n := listener.NewNotifier(zap.NewNop())
	n.Ready()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	go n.Watch(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // until the test ends it
		n.Stopping()
		_ = g.Shutdown(ctx)
		cancel()
	}()
	if err := g.Serve(); err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

// activated starts such a process with sockets of these names.
func activated(t *testing.T, listen string, names []string, sockets ...*os.File) (*exec.Cmd, io.WriteCloser, *strings.Builder) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.ExtraFiles = sockets
	cmd.Env = append(os.Environ(), socketsOfSystemd+"="+listen, "LISTEN_FDS="+itoa(len(sockets)), "LISTEN_FDNAMES="+strings.Join(names, ":"))
	out := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = out, out
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	return cmd, in, out
}

func fileOf(t *testing.T, l interface{ File() (*os.File, error) }) *os.File {
	t.Helper()
	f, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func tcpListener(t *testing.T) *net.TCPListener {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestSocketsOfSystemdAreServedAndItIsTold(t *testing.T) {
	a, b, unused := tcpListener(t), tcpListener(t), tcpListener(t)
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: socketPath(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer notify.Close()
	cmd, in, out := activated(t, "systemd:public", []string{"public", "other", "public"}, fileOf(t, a), fileOf(t, unused), fileOf(t, b))
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+notify.LocalAddr().String(), "WATCHDOG_USEC=100000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var heard []string
	hear := func(want string) {
		t.Helper()
		if err := notify.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		for !slices.Contains(heard, want) {
			b := make([]byte, 256)
			n, err := notify.Read(b)
			if err != nil {
				t.Fatalf("%s: %v, after %v\n%s", want, err, heard, out)
			}
			heard = append(heard, string(b[:n]))
		}
	}
	hear("READY=1")
	for _, l := range []*net.TCPListener{a, b} {
		if body, _ := ask(t, dial(t, l.Addr().String()), get); body == "" {
			t.Error("a socket was not answered")
		}
	}
	heard = nil
	hear("WATCHDOG=1")
	heard = nil
	hear("WATCHDOG=1")
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	hear("STOPPING=1")
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v\n%s", err, out)
	}
	if !strings.Contains(out.String(), "unused: other") {
		t.Errorf("it says %s", out)
	}
}

func TestSocketsOfSystemdThatDoNotFitAreErrors(t *testing.T) {
	datagrams, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer datagrams.Close()
	for name, c := range map[string]struct {
		listen  string
		names   []string
		sockets []*os.File
		want    string
	}{
		"two names and none asked for": {"systemd", []string{"a", "b"}, []*os.File{fileOf(t, tcpListener(t)), fileOf(t, tcpListener(t))}, "write one of systemd:a, systemd:b"},
		"a name that there is not":     {"systemd:c", []string{"a"}, []*os.File{fileOf(t, tcpListener(t))}, "no socket with FileDescriptorName=c, only a"},
		"the same name twice":          {"systemd:a systemd:a", []string{"a"}, []*os.File{fileOf(t, tcpListener(t))}, "systemd has passed no socket"},
		"datagrams":                    {"systemd", []string{"a"}, []*os.File{fileOf(t, datagrams)}, "none that can be listened on (ListenStream=)"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd, _, out := activated(t, c.listen, c.names, c.sockets...)
			if err := cmd.Run(); err == nil || !strings.Contains(out.String(), c.want) {
				t.Errorf("it ended with %v, saying %s", err, out)
			}
		})
	}
}
