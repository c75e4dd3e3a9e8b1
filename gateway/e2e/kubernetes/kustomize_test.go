package kubernetes_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/config"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

const manifests = "../../../deploy/kubernetes"

// kustomized is what kustomize makes of a folder of deploy/kubernetes.
func kustomized(t *testing.T, folder string) []byte {
	t.Helper()
	made, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(manifests, folder))
	if err != nil {
		t.Fatal(err)
	}
	stream, err := made.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// folders are the base and all overlays.
func folders(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(manifests, "overlays"))
	if err != nil || len(entries) < 6 {
		t.Fatalf("%d overlays, %v", len(entries), err)
	}
	all := []string{"base"}
	for _, e := range entries {
		all = append(all, "overlays/"+e.Name())
	}
	return all
}

func TestKustomizationsAreAcceptedAndWork(t *testing.T) {
	for _, folder := range folders(t) {
		t.Run(folder, func(t *testing.T) {
			all := newServer(t).admitted(t, kustomized(t, folder))
			c := all.loaded(t)
			all.checkPods(t, c)
			all.checkWiring(t, c)
			all.checkReferences(t)
			all.checkAsks(t, c)
			all.checkHeaders(t, c)
		})
	}
}

// An ingress gets the endpoint of its own dialect, and no other.
func TestAnOverlayServesItsOwnIngressAlone(t *testing.T) {
	for folder, want := range map[string]string{
		"overlays/traefik": "traefik", "overlays/ingress-nginx": "nginx", "overlays/envoy-gateway": "envoy", "overlays/gateway-api": "envoy",
		"overlays/envoy-gateway-grpc": "", "overlays/sidecar": "",
	} {
		c := newServer(t).admitted(t, kustomized(t, folder)).loaded(t)
		if got := strings.Join(c.ForwardAuth.Enabled, " "); got != want {
			t.Errorf("%s: forward_auth is for %q, want %q", folder, got, want)
		}
		if grpc := c.ExtAuthz.Listen != ""; grpc != strings.HasSuffix(folder, "grpc") {
			t.Errorf("%s: ext_authz listens on %q", folder, c.ExtAuthz.Listen)
		}
	}
}

// Nobody gets past a sidecar: the Service leads to it, and it to the application on
// loopback.
func TestSidecarStandsInFrontOfTheApplication(t *testing.T) {
	all := newServer(t).admitted(t, kustomized(t, "overlays/sidecar"))
	deployment, _ := all.theDeployment(t)
	pod := deployment.Spec.Template.Spec
	if first := pod.InitContainers[0]; first.Name != "sallyport" || first.RestartPolicy == nil || *first.RestartPolicy != core.ContainerRestartPolicyAlways {
		t.Errorf("the sidecar is %+v", first)
	}
	app := pod.Containers[0]
	if len(app.Ports) > 0 || app.Env[0].Value != "127.0.0.1:3000" {
		t.Errorf("the application is at %v, %v", app.Ports, app.Env)
	}
	if to := all.loaded(t).Routes[0].Upstream; !slices.Equal(to, config.Upstreams{"http://127.0.0.1:3000"}) {
		t.Errorf("Sallyport forwards to %v", to)
	}
}

// The clear text of a secret is nowhere in the manifests.
func TestNoKustomizationHoldsASecret(t *testing.T) {
	for _, folder := range folders(t) {
		if secrets := of[*core.Secret](newServer(t).admitted(t, kustomized(t, folder))); len(secrets) > 0 {
			t.Errorf("%s has the Secret %s", folder, secrets[0].Name)
		}
	}
}
