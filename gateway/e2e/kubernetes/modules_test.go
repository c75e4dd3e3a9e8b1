package kubernetes_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// source is a release of another project, whose definitions are read from the files
// of its module. It cannot be a requirement of ours: its own are too many.
type source struct{ module, version, sum string }

var (
	kubernetes = source{"k8s.io/kubernetes", "v1.37.2", "h1:A2VDEiObzkYqFTKhSsn0ZEb0RlLEXpHWj93gi2HqEwE="}
	// 1.7.0 needs a later Go than ours.
	gatewayAPI   = source{"sigs.k8s.io/gateway-api", "v1.6.3", "h1:lKpJa5bGlraC/QeACvCpsHLdmO6y0iKfzVl6gzaFEYc="}
	envoyGateway = source{"github.com/envoyproxy/gateway", "v1.9.1", "h1:vAVp6/AlBXJ1aOhp1mxL7fNEzVEfjADUguUhm2wzxQY="}
	traefik      = source{"github.com/traefik/traefik/v3", "v3.7.13", "h1:T8wy9KuaFzCkmXCqAzDy7t73pBDR1DHrJe3pqXpNXTw="}
)

// file reads a file of the release, which is fetched when this machine has not got it.
func (s source) file(t *testing.T, name string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", s.module+"@"+s.version)
	cmd.Dir = t.TempDir() // outside any module
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod", "GOSUMDB=off")
	out, err := cmd.Output()
	var got struct{ Dir, Sum, Error string }
	if jsonErr := json.Unmarshal(out, &got); jsonErr != nil || err != nil || got.Error != "" {
		t.Fatalf("the module %s %s cannot be had: %v %s", s.module, s.version, err, got.Error)
	}
	if got.Sum != s.sum {
		t.Fatalf("%s %s has the sum %s, want %s", s.module, s.version, got.Sum, s.sum)
	}
	data, err := os.ReadFile(filepath.Join(got.Dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}
