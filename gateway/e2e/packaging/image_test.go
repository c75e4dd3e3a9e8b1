//go:build e2e

package packaging_test

import (
	"debug/elf"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

const (
	nobody     = 65532
	imageLimit = 64 << 20 // bytes of the whole image
)

// image is what the Containerfile makes, unpacked.
type image struct {
	root   string // the file system, as a container would have it
	config imageConfig
}

// imageConfig is the part that the tests read of the configuration of an image.
type imageConfig struct {
	User, WorkingDir string
	Env              []string
	Entrypoint, Cmd  []string
	ExposedPorts     map[string]any
	Volumes          map[string]any
	Labels           map[string]string
	Healthcheck      struct{ Test []string }
}

// buildImage builds the Containerfile as it stands. In the place of the official
// Go image, which is on a registry, stands one that has nothing but the Go and the
// shell of this machine: it mounts /usr.
func buildImage(t *testing.T) *image {
	t.Helper()
	if _, err := exec.LookPath("buildah"); err != nil {
		t.Fatal("buildah is needed for this test: make test installs it")
	}
	store := t.TempDir()
	global := []string{"--storage-driver", "vfs", "--root", filepath.Join(store, "root"), "--runroot", filepath.Join(store, "run")}
	buildah := func(args ...string) string { return output(t, "buildah", append(slices.Clone(global), args...)...) }
	caches := goEnv(t, "GOMODCACHE", "GOCACHE")
	output(t, "go", "mod", "download") // what the build downloads without a cache
	bud := []string{"bud", "--isolation", "chroot", "--format", "docker", "-v", "/usr:/usr:ro", "-v", caches[0] + ":/go/pkg/mod", "-v", caches[1] + ":/go/cache"}
	buildah("bud", "--isolation", "chroot", "--format", "docker", "-t", "localhost/toolchain", toolchain(t))
	buildah(append(bud, "--build-arg", "GO_IMAGE=localhost/toolchain", "--build-arg", "VERSION=1.2.3",
		"-f", deploy(t, "container", "Containerfile"), "-t", "localhost/sallyport", deploy(t, ".."))...)

	var inspected struct {
		Docker struct {
			Config imageConfig `json:"config"`
		}
	}
	if err := json.Unmarshal([]byte(buildah("inspect", "--type", "image", "localhost/sallyport")), &inspected); err != nil {
		t.Fatal(err)
	}
	container := lastLine(buildah("from", "localhost/sallyport"))
	return &image{root: lastLine(buildah("mount", container)), config: inspected.Docker.Config}
}

// toolchain makes the folder of the image that stands for the official one.
func toolchain(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	env.WriteFile(t, root, "etc/ssl/certs/ca-certificates.crt", read(t, "/etc/ssl/certs/ca-certificates.crt"))
	for _, name := range []string{"tmp", "usr"} {
		if err := os.MkdirAll(filepath.Join(root, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"bin", "lib", "lib64"} {
		if err := os.Symlink("usr/"+name, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	env.WriteFile(t, dir, "Containerfile", `FROM scratch
COPY root /
ENV PATH=`+filepath.Join(goEnv(t, "GOROOT")[0], "bin")+`:/usr/bin GOPROXY=off GOTOOLCHAIN=local GOFLAGS=-mod=readonly GOMODCACHE=/go/pkg/mod GOCACHE=/go/cache
`)
	return dir
}

func goEnv(t *testing.T, names ...string) []string {
	t.Helper()
	return strings.Split(strings.TrimSpace(output(t, "go", append([]string{"env"}, names...)...)), "\n")
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

func TestImage(t *testing.T) {
	if os.Geteuid() != 0 {
		// Only root changes file systems and users. Who is not becomes it for himself.
		t.Log(output(t, "buildah", "unshare", os.Args[0], "-test.v", "-test.run=^TestImage$"))
		return
	}
	image := buildImage(t)
	t.Run("says how it is run", image.saysHowItIsRun)
	t.Run("holds the gateway and nothing else", image.holdsTheGatewayAlone)
	t.Run("runs as nobody where nothing else can be written", image.runsReadOnly)
}

func (i *image) saysHowItIsRun(t *testing.T) {
	c := i.config
	got := map[string]any{
		"user": c.User, "directory": c.WorkingDir, "entrypoint": c.Entrypoint, "command": c.Cmd, "health": c.Healthcheck.Test,
		"ports": len(c.ExposedPorts), "title": c.Labels["org.opencontainers.image.title"], "version": c.Labels["org.opencontainers.image.version"],
	}
	want := map[string]any{
		"user": "65532:65532", "directory": "/etc/sallyport", "entrypoint": []string{"/usr/bin/sallyport"}, "command": []string{"serve"},
		"health": []string{"CMD", "/usr/bin/sallyport", "health"}, "ports": 1, "title": "Sallyport", "version": "1.2.3",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("configuration of the image (-want +got):\n%s", diff)
	}
	if _, ok := c.ExposedPorts["8080/tcp"]; !ok {
		t.Errorf("ports are %v", c.ExposedPorts)
	}
	if _, ok := c.Volumes["/var/lib/sallyport"]; !ok {
		t.Errorf("volumes are %v", c.Volumes)
	}
}

func (i *image) holdsTheGatewayAlone(t *testing.T) {
	var files []string
	var size int64
	err := filepath.WalkDir(i.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, i.root)
		if !d.IsDir() {
			files = append(files, name)
			size += info.Size()
		}
		owner := uint32(0)
		if strings.HasPrefix(name, "/var/lib/sallyport") {
			owner = nobody
		}
		if s := info.Sys().(*syscall.Stat_t); s.Uid != owner || s.Gid != owner {
			t.Errorf("%s is of %d:%d, want %d", name, s.Uid, s.Gid, owner)
		}
		if info.Mode()&(fs.ModeSetuid|fs.ModeSetgid) != 0 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// No shell, no package manager, no other program.
	want := []string{"/etc/ssl/certs/ca-certificates.crt", "/usr/bin/sallyport", "/var/lib/sallyport/.keep"}
	if diff := cmp.Diff(want, files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if size > imageLimit {
		t.Errorf("the image has %d bytes, more than %d", size, imageLimit)
	}
	binary, err := elf.Open(filepath.Join(i.root, "usr/bin/sallyport"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = binary.Close() }()
	if libraries, err := binary.ImportedLibraries(); len(libraries) > 0 {
		t.Errorf("the binary needs %v (%v)", libraries, err)
	}
	if slices.ContainsFunc(binary.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		t.Error("the binary needs a dynamic linker")
	}
}
