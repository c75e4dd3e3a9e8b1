package kubernetes_test

import (
	"crypto/rand"
	"encoding/base64"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/config"
	core "k8s.io/api/core/v1"
)

// loaded is what Sallyport makes of the configuration that is mounted into its
// container, with its environment, and with a file for each key of a Secret that is
// mounted there. What is not mounted is not there.
func (all objects) loaded(t *testing.T) *config.Config {
	t.Helper()
	deployment, gateway := all.theDeployment(t)
	root := t.TempDir()
	volumes := map[string]core.Volume{}
	for _, v := range deployment.Spec.Template.Spec.Volumes {
		volumes[v.Name] = v
	}
	moved := []string{}
	for _, m := range gateway.VolumeMounts {
		if !m.ReadOnly {
			t.Errorf("%s is mounted so that it can be written to", m.MountPath)
		}
		all.mount(t, volumes[m.Name], filepath.Join(root, m.MountPath))
		moved = append(moved, m.MountPath, filepath.Join(root, m.MountPath))
	}
	flag := slices.Index(gateway.Args, "-c")
	if flag < 0 || gateway.Args[0] != "serve" {
		t.Fatalf("it is started with %v", gateway.Args)
	}
	file := filepath.Join(root, gateway.Args[flag+1])
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// The mounts are elsewhere here.
	if err := os.WriteFile(file, []byte(strings.NewReplacer(moved...).Replace(string(data))), 0o600); err != nil {
		t.Fatal(err)
	}
	var environ []string
	for _, e := range gateway.Env {
		if e.ValueFrom == nil {
			environ = append(environ, e.Name+"="+e.Value)
		}
	}
	c, err := config.Load(file, environ)
	if err != nil {
		t.Fatalf("Sallyport refuses its configuration: %v\n%s", err, data)
	}
	return c
}

// mount lays the files of a volume into a folder.
func (all objects) mount(t *testing.T, v core.Volume, folder string) {
	t.Helper()
	files := map[string]string{}
	switch {
	case v.ConfigMap != nil:
		for _, m := range of[*core.ConfigMap](all) {
			if m.Name == v.ConfigMap.Name {
				maps.Copy(files, m.Data)
			}
		}
	case v.Projected != nil:
		if mode := v.Projected.DefaultMode; mode == nil || *mode != 0o440 {
			t.Errorf("the secrets have the mode %o", *mode)
		}
		for _, s := range v.Projected.Sources {
			for _, item := range s.Secret.Items {
				if files[item.Path] != "" {
					t.Errorf("two Secrets are mounted at %s", item.Path)
				}
				files[item.Path] = secret()
			}
		}
	case v.Secret != nil: // all of it
		for _, key := range []string{core.TLSCertKey, core.TLSPrivateKeyKey} {
			files[key] = secret()
		}
	}
	if len(files) == 0 {
		t.Fatalf("the volume %s is not there, or empty", v.Name)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// secret is one that passes for a key, a password or a token. What is in a
// certificate is judged when a gateway starts, and not here.
func secret() string {
	var key [32]byte
	_, _ = rand.Read(key[:])
	return base64.StdEncoding.EncodeToString(key[:])
}
