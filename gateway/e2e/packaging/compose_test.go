//go:build e2e

package packaging_test

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// compose reads a composition as "docker compose" does: against the JSON schema of
// the specification, which knows no other keys, and with every reference resolved.
func compose(t *testing.T, content string) (*types.Project, error) {
	t.Helper()
	dir := deploy(t, "compose")
	return loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  dir,
		ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(dir, "compose.yaml"), Content: []byte(content)}},
		Environment: types.Mapping{},
	})
}

func loadCompose(t *testing.T) *types.Project {
	t.Helper()
	p, err := compose(t, read(t, deploy(t, "compose", "compose.yaml")))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestCompositionIsOfTheSpecification(t *testing.T) {
	loadCompose(t)
	text := read(t, deploy(t, "compose", "compose.yaml"))
	for name, change := range map[string][2]string{
		"a key that it does not have":     {"read_only: true", "write_only: true"},
		"a condition that does not exist": {"condition: service_healthy", "condition: service_well"},
		"a network that is not there":     {"networks: [store]", "networks: [stroe]"},
		"a secret that is not there":      {"secrets: [valkey]", "secrets: [walkey]"},
	} {
		if _, err := compose(t, strings.Replace(text, change[0], change[1], 1)); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestCompositionGivesEveryContainerAsLittleAsPossible(t *testing.T) {
	for name, s := range loadCompose(t).Services {
		if !s.ReadOnly || s.Privileged || len(s.CapAdd) > 0 || s.NetworkMode != "" || s.Pid != "" {
			t.Errorf("%s is not confined: read_only %t, privileged %t, cap_add %v, network_mode %q, pid %q", name, s.ReadOnly, s.Privileged, s.CapAdd, s.NetworkMode, s.Pid)
		}
		if !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s keeps privileges: cap_drop %v, security_opt %v", name, s.CapDrop, s.SecurityOpt)
		}
		_, version, pinned := strings.Cut(s.Image, ":")
		if s.Build == nil && (!pinned || strings.Count(version, ".") < 2) {
			t.Errorf("%s: the image %s has no version", name, s.Image)
		}
		// The application's image has nothing that could ask.
		if s.HealthCheck == nil && name != "app" {
			t.Errorf("%s has no health check", name)
		}
		for _, port := range s.Ports {
			if !net.ParseIP(port.HostIP).IsLoopback() {
				t.Errorf("%s is published to other machines: %v", name, port)
			}
		}
		for other, d := range s.DependsOn {
			want := types.ServiceConditionHealthy
			if other == "app" {
				want = types.ServiceConditionStarted
			}
			if d.Condition != want {
				t.Errorf("%s waits for %s to be %s", name, other, d.Condition)
			}
		}
		for _, v := range s.Volumes {
			if _, err := os.Stat(v.Source); v.Type == types.VolumeTypeBind && err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestApplicationIsReachedThroughSallyportAlone: whoever reaches it past the
// gateway writes its identity headers himself.
func TestApplicationIsReachedThroughSallyportAlone(t *testing.T) {
	p := loadCompose(t)
	app := p.Services["app"]
	if len(app.Ports) > 0 {
		t.Errorf("it is published: %v", app.Ports)
	}
	for network := range app.Networks {
		if !p.Networks[network].Internal {
			t.Errorf("its network %s leads outside", network)
		}
		if got := members(p, network); !slices.Equal(got, []string{"app", "sallyport"}) {
			t.Errorf("on its network are %v", got)
		}
	}
	if got := members(p, "store"); !slices.Equal(got, []string{"sallyport", "valkey"}) || !p.Networks["store"].Internal {
		t.Errorf("on the network of the sessions are %v (internal: %t)", got, p.Networks["store"].Internal)
	}
}

func members(p *types.Project, network string) []string {
	var names []string
	for name, s := range p.Services {
		if _, ok := s.Networks[network]; ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// TestConfigurationFitsTheComposition follows every name in it.
func TestConfigurationFitsTheComposition(t *testing.T) {
	p := loadCompose(t)
	own := p.Services["sallyport"]
	var secrets, used []string
	for _, s := range own.Secrets {
		secrets = append(secrets, "/run/secrets/"+s.Source)
	}
	cfg := composedConfig(t, nil)
	provider := cfg.Login.Providers[0]
	used = append(used, cfg.Session.KeysFiles...)
	used = append(used, cfg.Session.Valkey.PasswordFile, provider.ClientSecretFile)
	for i, file := range used {
		used[i] = "/run/secrets/" + filepath.Base(file)
	}
	slices.Sort(secrets)
	slices.Sort(used)
	if diff := cmp.Diff(used, secrets); diff != "" {
		t.Errorf("secrets of the service (-used in the configuration +given):\n%s", diff)
	}

	for _, at := range append(slices.Concat(cfg.Session.Valkey.URLs, cfg.Routes[0].Upstream), provider.BackChannelURL) {
		u, err := url.Parse(at)
		if err != nil {
			t.Fatal(err)
		}
		service, ok := p.Services[u.Hostname()]
		if !ok {
			t.Errorf("%s is no service", at)
			continue
		}
		if _, waits := own.DependsOn[service.Name]; !waits {
			t.Errorf("Sallyport does not wait for %s", service.Name)
		}
		shared := false
		for network := range service.Networks {
			_, both := own.Networks[network]
			shared = shared || both
		}
		if !shared {
			t.Errorf("Sallyport and %s share no network", service.Name)
		}
	}

	published := func(service string) string {
		ports := p.Services[service].Ports
		if len(ports) != 1 || ports[0].Published != fmt.Sprint(ports[0].Target) {
			t.Fatalf("ports of %s: %v", service, ports)
		}
		return "localhost:" + ports[0].Published
	}
	if got := cfg.Server.URL().Host; got != published("sallyport") || ":"+cfg.Server.URL().Port() != cfg.Server.Listen {
		t.Errorf("public_url is at %s, listen is %s, published is %s", got, cfg.Server.Listen, published("sallyport"))
	}
	if u, err := url.Parse(provider.Issuer); err != nil || u.Host != published("dex") {
		t.Errorf("browsers know the provider as %s, published is %s", provider.Issuer, published("dex"))
	}
	if !slices.Equal(own.HealthCheck.Test, []string{"CMD", "/usr/bin/sallyport", "health", "--ready"}) {
		t.Errorf("the health check is %v", own.HealthCheck.Test)
	}
	if grace := own.StopGracePeriod; grace == nil || int64(*grace) <= int64(cfg.Server.Drain.Delay+cfg.Server.Drain.Timeout) {
		t.Errorf("it is killed after %v, before its requests have ended", grace)
	}
}

// composedConfig is the configuration of the composition with other addresses, and
// with the secrets that up.sh makes.
func composedConfig(t *testing.T, moved map[string]string) *config.Config {
	t.Helper()
	file := filepath.Join(composedDir(t, moved), "config.yaml")
	cfg, err := config.Load(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := gateway.Check(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// composedDir is the folder after ./up.sh, where docker is only told what to do.
func composedDir(t *testing.T, moved map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"up.sh", "config.yaml", "compose.yaml", "dex.yaml"} {
		text := strings.ReplaceAll(read(t, deploy(t, "compose", name)), "/run/secrets", filepath.Join(dir, "secrets"))
		for from, to := range moved {
			text = strings.ReplaceAll(text, from, to)
		}
		env.WriteFile(t, dir, name, text)
	}
	bin := t.TempDir()
	docker := env.WriteFile(t, bin, "docker", "#!/bin/sh\necho \"$PWD: $*\" >>"+dir+"/docker\n")
	for _, program := range []string{docker, filepath.Join(dir, "up.sh")} {
		if err := os.Chmod(program, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	output(t, filepath.Join(dir, "up.sh"))
	return dir
}

func TestUpMakesSecretsOnceAndStartsEverything(t *testing.T) {
	dir := composedDir(t, nil)
	names := []string{"oidc", "session-key", "valkey"}
	secrets := map[string]string{}
	for _, name := range names {
		file := filepath.Join(dir, "secrets", name)
		secrets[read(t, file)] = file
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o644 {
			t.Errorf("%s: %v %v: the users of the containers can't read it", name, info.Mode(), err)
		}
	}
	if len(secrets) != len(names) {
		t.Error("two secrets are equal")
	}
	if info, err := os.Stat(filepath.Join(dir, "secrets")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("others get into the folder of the secrets: %v %v", info.Mode(), err)
	}
	output(t, filepath.Join(dir, "up.sh"), "--detach")
	for secret, file := range secrets {
		if read(t, file) != secret {
			t.Errorf("%s was made anew", file)
		}
	}
	want := fmt.Sprintf("%[1]s: compose up --build --wait\n%[1]s: compose up --build --wait --detach\n", dir)
	if diff := cmp.Diff(want, read(t, filepath.Join(dir, "docker"))); diff != "" {
		t.Errorf("docker is told (-want +got):\n%s", diff)
	}
}
