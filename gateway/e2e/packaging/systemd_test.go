//go:build e2e

package packaging_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/porttest"
	"github.com/sallyport/sallyport/gateway/tlstest"
)

// exposure is what "systemd-analyze security" may say at most, in tenths. 1.2 is
// what is left to a service that has the network and the root directory.
const exposure = "12"

func units() []string {
	return []string{"sallyport.service", "sallyport.socket", "sallyport-admin.socket"}
}

func TestUnitsAreUnderstoodBySystemd(t *testing.T) {
	root := unitRoot(t)
	out, err := try(t, "systemd-analyze", append([]string{"verify", "--man=no", "--root=" + root}, units()...)...)
	if err != nil || out != "" {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	// It would say so of a setting that it ignores.
	file := filepath.Join(root, "etc/systemd/system/sallyport.service")
	env.WriteFile(t, "", file, strings.Replace(read(t, file), "ProtectSystem=", "ProtectSytem=", 1))
	if out, _ := try(t, "systemd-analyze", "verify", "--man=no", "--root="+root, "sallyport.service"); !strings.Contains(out, "ProtectSytem") {
		t.Errorf("a misspelt setting passes: %q", out)
	}
}

// unitRoot is a machine where the units are installed.
func unitRoot(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, unit := range units() {
		env.WriteFile(t, root, "etc/systemd/system/"+unit, read(t, deploy(t, "systemd", unit)))
	}
	if err := os.CopyFS(filepath.Join(root, "usr/lib/systemd/system"), os.DirFS("/usr/lib/systemd/system")); err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{"usr/bin/sallyport", "bin/sh"} {
		if err := os.Chmod(env.WriteFile(t, root, program, "#!/bin/sh\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestServiceIsConfined(t *testing.T) {
	if out, err := try(t, "systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold="+exposure, deploy(t, "systemd", "sallyport.service")); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// unit reads the settings of a unit, each with all its values.
func unit(t *testing.T, name string) map[string][]string {
	t.Helper()
	settings := map[string][]string{}
	for line := range strings.Lines(read(t, deploy(t, "systemd", name))) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(key, "#") {
			settings[key] = append(settings[key], value)
		}
	}
	return settings
}

// activated is the service as systemd would start it: with the sockets of the
// socket units, with its credentials, and with somebody who wants to be told.
type activated struct {
	*env.Process
	public, admin string // host:port
	told          *net.UnixConn
	heard         []string
	ca            *tlstest.CA
}

func activate(t *testing.T) *activated {
	t.Helper()
	dir := t.TempDir()
	a := &activated{ca: tlstest.New(t)}
	pair := a.ca.Server("app.example.com")
	sources := map[string]string{"oidc": "a client secret\n", "admin": "a token\n", "tls.crt": read(t, pair.CertFile), "tls.key": read(t, pair.KeyFile)}
	service := unit(t, "sallyport.service")
	for _, credential := range service["LoadCredential"] {
		name, file, _ := strings.Cut(credential, ":")
		content, ok := sources[name]
		if !ok || file != "/etc/sallyport/secrets/"+name {
			t.Fatalf("LoadCredential=%s is of no file that the README tells to make", credential)
		}
		env.WriteFile(t, filepath.Join(dir, "credentials"), name, content)
	}
	state := filepath.Join(dir, "state")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("/run/credentials/sallyport.service", filepath.Join(dir, "credentials"), "/var/lib/"+service["StateDirectory"][0], state).
		Replace(read(t, deploy(t, "systemd", "config.yaml")))
	env.WriteFile(t, dir, "config.yaml", text)

	var err error
	socket := filepath.Join(notifyDir(t), "notify")
	if a.told, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: socket}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.told.Close() })

	args := []string{"-E", "NOTIFY_SOCKET=" + socket, "-E", "WATCHDOG_USEC=" + service["WatchdogSec"][0] + "000000"}
	var names []string
	for _, name := range []string{"sallyport.socket", "sallyport-admin.socket"} {
		listen := unit(t, name)
		at := fmt.Sprintf("127.0.0.1:%d", porttest.Free(t))
		if name == "sallyport.socket" {
			a.public = at
		} else {
			a.admin = at
		}
		args = append(args, "-l", at)
		names = append(names, listen["FileDescriptorName"][0])
		if len(listen["ListenStream"]) != 1 {
			t.Fatalf("%s listens on %v", name, listen["ListenStream"])
		}
	}
	command := strings.Fields(service["ExecStart"][0])
	if !slices.Equal(command, []string{"/usr/bin/sallyport", "serve", "-c", "/etc/sallyport/config.yaml"}) {
		t.Fatalf("the service is started by %q", command)
	}
	args = append(args, "--fdname="+strings.Join(names, ":"), sallyport, "serve", "-c", filepath.Join(dir, "config.yaml"))
	a.Process = env.Start(t, dir, nil, "systemd-socket-activate", args...)
	return a
}

// notifyDir is not the test's own: the path of a socket has 107 bytes at most.
func notifyDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "notify") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// transport goes to the public socket, whatever the name.
func (a *activated) transport() *http.Transport {
	return &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: a.ca.Pool()},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, a.public)
		},
	}
}

// wait returns when systemd would know that the service is in a state.
func (a *activated) wait(t *testing.T, state string) {
	t.Helper()
	if err := a.told.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	for !slices.Contains(a.heard, state) {
		n, err := a.told.Read(buf)
		if err != nil {
			t.Fatalf("systemd is not told %s: %v\n%s", state, err, a.Output())
		}
		a.heard = append(a.heard, strings.Split(string(buf[:n]), "\n")...)
	}
}

// TestSocketActivation starts the service by its first connection, and that
// connection is answered.
func TestSocketActivation(t *testing.T) {
	a := activate(t)
	// Nothing runs before somebody comes.
	if strings.Contains(a.Output(), "Sallyport") {
		t.Errorf("it was started before the first connection:\n%s", a.Output())
	}
	var first *http.Response
	client := &http.Client{Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Transport: a.transport()}
	env.WaitUntil(t, "the socket is open", func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://app.example.com/reports", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Sec-Fetch-Mode", "navigate")
		first, err = client.Do(req)
		return err == nil
	})
	_ = first.Body.Close()
	if first.StatusCode != http.StatusFound || !strings.HasPrefix(first.Header.Get("Location"), "/.auth/login") {
		t.Errorf("the first visitor gets %s, Location %q", first.Status, first.Header.Get("Location"))
	}
	a.wait(t, "READY=1")
	a.wait(t, "WATCHDOG=1")

	// The command of the README.
	if said, err := try(t, sallyport, "health", "--ready", "--url", "http://"+a.admin); err != nil || said != "ready\n" {
		t.Errorf("health: %q, %v", said, err)
	}
	if code := a.Stop(); code != 0 {
		t.Errorf("exit code after SIGTERM: %d\n%s", code, a.Output())
	}
	a.wait(t, "STOPPING=1")
}

// TestServiceIsNotStartedAgainWhenItsConfigurationIsFaulty: the exit code of the
// program and that of the unit are the same one.
func TestServiceIsNotStartedAgainWhenItsConfigurationIsFaulty(t *testing.T) {
	file := env.WriteFile(t, t.TempDir(), "config.yaml", strings.Replace(read(t, deploy(t, "systemd", "config.yaml")), "routes:", "rutes:", 1))
	err := exec.CommandContext(t.Context(), sallyport, "serve", "-c", file).Run()
	exit, ok := err.(*exec.ExitError) //nolint:errorlint // nothing wraps it
	if want := unit(t, "sallyport.service")["RestartPreventExitStatus"]; !ok || !slices.Equal(want, []string{fmt.Sprint(exit.ExitCode())}) {
		t.Errorf("it ends with %v, the unit expects %v", err, want)
	}
}

// TestServiceIsToldToEndLaterThanItsRequests, or systemd would kill it.
func TestServiceIsToldToEndLaterThanItsRequests(t *testing.T) {
	drain := config.Default().Server.Drain
	stop, err := time.ParseDuration(unit(t, "sallyport.service")["TimeoutStopSec"][0] + "s")
	if err != nil || stop <= drain.Delay+drain.Timeout || strings.Contains(read(t, deploy(t, "systemd", "config.yaml")), "drain:") {
		t.Errorf("TimeoutStopSec is %v, requests have %v", stop, drain.Delay+drain.Timeout)
	}
}
