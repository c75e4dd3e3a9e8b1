//go:build e2e

package packaging_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// container is a process that has of the machine what a container has: the file
// system of the image, read-only but for a volume, a network of its own, the
// user of the image, and no way to more privileges.
type container struct {
	*env.Process
	volume string
}

// isolate is run in new namespaces: $1 is the file system, $2 a folder for
// /etc/sallyport, $3 one for /run/secrets, $4 the volume; then comes the program.
const isolate = `set -e
root=$1 config=$2 secrets=$3 volume=$4; shift 4
ip link set lo up
mkdir -p "$root/run/secrets"
mount --bind "$root" "$root"
mount --bind "$config" "$root/etc/sallyport"
mount --bind "$secrets" "$root/run/secrets"
mount -o remount,bind,ro "$root"
mount -o remount,bind,ro "$root/etc/sallyport"
mount -o remount,bind,ro "$root/run/secrets"
mount --bind "$volume" "$root/var/lib/sallyport"
exec setpriv --no-new-privs unshare --root="$root" --wd=%s --setuid %d --setgid %d "$@"`

func (i *image) run(t *testing.T, config, secrets string) *container {
	t.Helper()
	volume := t.TempDir()
	for _, dir := range []string{config, secrets, volume} {
		mine(t, dir)
	}
	args := []string{"--mount", "--net", "--propagation", "private", "sh", "-c", fmt.Sprintf(isolate, i.config.WorkingDir, nobody, nobody), "isolate", i.root, config, secrets, volume}
	args = append(append(args, i.config.Entrypoint...), i.config.Cmd...)
	return &container{Process: env.Start(t, "", nil, "unshare", args...), volume: volume}
}

// mine gives a folder to the user of the image, as mounts of secrets have it.
func mine(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, nobody, nobody)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// exec runs a program of the image in the container.
func (c *container) exec(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return try(t, "nsenter", append([]string{"-t", strconv.Itoa(c.PID()), "--mount", "--net", "--root", "--wd", "-S", strconv.Itoa(nobody), "-G", strconv.Itoa(nobody)}, args...)...)
}

// curl asks for something at the container's own network.
func (c *container) curl(t *testing.T, args ...string) string {
	t.Helper()
	return output(t, "nsenter", append([]string{"-t", strconv.Itoa(c.PID()), "--net", "curl", "--silent", "--show-error", "--max-time", "10", "--noproxy", "*"}, args...)...)
}

func (i *image) runsReadOnly(t *testing.T) {
	config, secrets := t.TempDir(), t.TempDir()
	env.WriteFile(t, config, "config.yaml", read(t, deploy(t, "container", "config.yaml")))
	env.WriteFile(t, secrets, "oidc", "a client secret\n")
	c := i.run(t, config, secrets)

	health := i.config.Healthcheck.Test[1:]
	env.WaitUntil(t, "the health check succeeds", func() bool {
		said, err := c.exec(t, health...)
		return err == nil && said == "alive\n"
	})
	if said, err := c.exec(t, append(health, "--ready")...); err != nil || said != "ready\n" {
		t.Errorf("ready: %q, %v", said, err)
	}
	if said, err := c.exec(t, i.config.Entrypoint[0], "version"); err != nil || !strings.HasPrefix(said, "sallyport 1.2.3 (") {
		t.Errorf("version: %q, %v", said, err)
	}

	got := c.curl(t, "--include", "http://127.0.0.1:8080/reports", "-H", "Host: app.example.com")
	if !strings.HasPrefix(got, "HTTP/1.1 401 ") || !strings.Contains(got, `"reason":"no_credential"`) {
		t.Errorf("a program without a credential gets:\n%s", got)
	}
	got = c.curl(t, "--include", "http://127.0.0.1:8080/reports", "-H", "Host: app.example.com", "-H", "Sec-Fetch-Mode: navigate", "-H", "Accept: text/html")
	if !strings.HasPrefix(got, "HTTP/1.1 302 ") || !strings.Contains(got, "/.auth/login?return_to=%2Freports") {
		t.Errorf("a browser gets:\n%s", got)
	}

	status := read(t, fmt.Sprintf("/proc/%d/status", c.PID()))
	for _, want := range []string{"Uid:\t65532\t65532\t65532\t65532\n", "Gid:\t65532\t65532\t65532\t65532\n", "CapEff:\t0000000000000000\n", "NoNewPrivs:\t1\n"} {
		if !strings.Contains(status, want) {
			t.Errorf("the status of the process lacks %q:\n%s", want, status)
		}
	}
	if info, err := os.Stat(filepath.Join(c.volume, "sessions.db")); err != nil || info.Sys().(*syscall.Stat_t).Uid != nobody {
		t.Errorf("the sessions are not on the volume: %v", err)
	}

	if code := c.Stop(); code != 0 {
		t.Errorf("exit code after SIGTERM: %d", code)
	}
}
