//go:build e2e

package env

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

var installing sync.Mutex //nolint:gochecknoglobals // one process runs the tests of one package

// NPM installs what dir/package-lock.json names, into a cache that later runs find
// again, and returns the folder that holds node_modules.
func NPM(tb testing.TB, dir string) string {
	tb.Helper()
	lock, err := os.ReadFile(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		tb.Fatal(err)
	}
	manifest, err := os.ReadFile(filepath.Join(dir, "package.json"))
	if err != nil {
		tb.Fatal(err)
	}
	sum := sha256.Sum256(append(lock, manifest...))
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = tb.TempDir() // there is no home: it is installed for this run alone
	}
	installed := filepath.Join(cache, "sallyport-e2e", hex.EncodeToString(sum[:8]))
	installing.Lock() // for all who wait for the same packages
	defer installing.Unlock()
	if _, err := os.Stat(installed); err == nil {
		return installed
	}
	if err := os.MkdirAll(filepath.Dir(installed), 0o700); err != nil {
		tb.Fatal(err)
	}
	fresh, err := os.MkdirTemp(filepath.Dir(installed), "installing-") //nolint:usetesting // it is renamed, within one file system
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(fresh) }) // what a failure left
	WriteFile(tb, fresh, "package.json", string(manifest))
	WriteFile(tb, fresh, "package-lock.json", string(lock))
	cmd := exec.CommandContext(tb.Context(), "npm", "ci", "--no-audit", "--no-fund")
	cmd.Dir = fresh
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("npm ci: %v (make test installs npm)\n%s", err, out)
	}
	if err := os.Rename(fresh, installed); err != nil {
		if _, other := os.Stat(installed); other != nil { // another run was not quicker
			tb.Fatal(err)
		}
	}
	return installed
}
