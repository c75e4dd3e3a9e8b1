package kubernetes_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sallyport/sallyport/gateway/config"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
)

// The values of Valkey arrive at Sallyport, each at its place.
func TestChartHandsOverEverySettingOfValkey(t *testing.T) {
	all, _ := installed(t, ciValues(t, "sentinel"))
	session := all.loaded(t).Session
	base := func(files ...*string) {
		for _, f := range files {
			*f = (*f)[strings.LastIndex(*f, "/")+1:]
		}
	}
	v := session.Valkey
	base(&v.PasswordFile, &v.SentinelPasswordFile, &v.TLS.CAFile, &v.TLS.CertFile, &v.TLS.KeyFile)
	if diff := cmp.Diff(config.Valkey{
		URLs:             []string{"valkeys://sentinel-0.valkey.svc", "valkeys://sentinel-1.valkey.svc", "valkeys://sentinel-2.valkey.svc"},
		SentinelMaster:   "sessions",
		Username:         "sallyport",
		PasswordFile:     "valkey-password",
		SentinelUsername: "watcher", SentinelPasswordFile: "valkey-sentinel-password",
		TLS:     config.ClientTLS{CAFile: "valkey-ca.crt", CertFile: "valkey-client.crt", KeyFile: "valkey-client.key", ServerName: "valkey.internal"},
		Timeout: 400 * time.Millisecond, KeyPrefix: "corp",
	}, v); diff != "" {
		t.Error(diff)
	}

	// Each of them comes out of the key of the Secret that was named.
	deployment, _ := all.theDeployment(t)
	from := map[string]string{}
	for _, volume := range deployment.Spec.Template.Spec.Volumes {
		if volume.Projected == nil {
			continue
		}
		for _, s := range volume.Projected.Sources {
			for _, item := range s.Secret.Items {
				from[item.Path] = s.Secret.Name + "/" + item.Key
			}
		}
	}
	if diff := cmp.Diff(map[string]string{
		"admin-token":   "sallyport/token",
		"session-key-0": "sallyport-keys/2026-11", "session-key-1": "sallyport-keys/2026-05",
		"github":          "sallyport-github/client-secret",
		"valkey-password": "sallyport-valkey/valkey", "valkey-sentinel-password": "sallyport-valkey/sentinels",
		"valkey-ca.crt": "sallyport-valkey-tls/ca.crt", "valkey-client.crt": "sallyport-valkey-tls/tls.crt", "valkey-client.key": "sallyport-valkey-tls/tls.key",
	}, from); diff != "" {
		t.Error(diff)
	}
	var keys []string
	for _, f := range session.KeysFiles {
		base(&f)
		keys = append(keys, f)
	}
	if !slices.Equal(keys, []string{"session-key-0", "session-key-1"}) {
		t.Errorf("the keys are %v: the first seals", keys)
	}
}

// Who leaves something out learns of all of it at once, and what to write.
func TestChartNamesEverythingThatIsMissingAtOnce(t *testing.T) {
	_, _, err := templated(t, values{})
	if err == nil {
		t.Fatal("the chart is installed with nothing")
	}
	for _, want := range []string{"image.repository", "config.server.public_url", "secrets.adminToken.existingSecret", "valkey.urls", "networkPolicy.from"} {
		if !strings.Contains(err.Error(), want+" is empty") {
			t.Errorf("nothing is said of %s: %v", want, err)
		}
	}
}

func TestChartRefusesValuesThatCannotWorkTogether(t *testing.T) {
	for name, c := range map[string]struct{ ci, values, want string }{
		"several gateways with sessions of their own":    {"minimal", `replicaCount: 2`, "valkey.urls is empty"},
		"any number of gateways with their own sessions": {"minimal", `autoscaling: {enabled: true}`, "valkey.urls is empty"},
		"shared sessions without shared keys":            {"traefik", `secrets: {sessionKeys: {existingSecret: ""}}`, "secrets.sessionKeys.existingSecret is empty"},
		"a certificate without its key":                  {"sentinel", `valkey: {tls: {keyKey: ""}}`, "valkey.tls.keyKey is empty"},
		"a network policy that lets nobody in":           {"traefik", `networkPolicy: {from: []}`, "networkPolicy.from is empty"},
		"an ingress for no host":                         {"traefik", `ingress: {hosts: []}`, "ingress.hosts is empty"},
		"a route at no gateway":                          {"envoy", `httpRoute: {parentRefs: []}`, "httpRoute.parentRefs is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := templated(t, with(t, ciValues(t, c.ci), c.values)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A change of the configuration is a rollout, and nothing else is.
func TestChartRollsOutChangesOfTheConfiguration(t *testing.T) {
	sum := func(text string) string {
		all, _ := installed(t, with(t, ciValues(t, "traefik"), text))
		deployment, _ := all.theDeployment(t)
		return deployment.Spec.Template.Annotations["checksum/config"]
	}
	same := sum(`replicaCount: 2`)
	if len(same) != 64 || sum(`replicaCount: 3`) != same {
		t.Errorf("the checksum %q is not of the configuration alone", same)
	}
	for _, change := range []string{`config: {log: {level: debug}}`, `valkey: {timeout: 300ms}`, `drain: {delaySeconds: 5}`} {
		if sum(change) == same {
			t.Errorf("%s changes nothing", change)
		}
	}
}

// What was set for Kubernetes is what Kubernetes gets.
func TestChartHandsOverWhatIsKubernetes(t *testing.T) {
	all, _ := installed(t, ciValues(t, "everything"))
	deployment, gateway := all.theDeployment(t)
	pod := deployment.Spec.Template
	if deployment.Name != "gate-of-corp" || pod.Labels["app.kubernetes.io/name"] != "gate" || pod.Labels["team"] != "platform" || pod.Annotations["example.com/scrape"] != "true" {
		t.Errorf("%s has the labels %v and annotations %v", deployment.Name, pod.Labels, pod.Annotations)
	}
	if pod.Spec.NodeSelector["kubernetes.io/os"] != "linux" || pod.Spec.Tolerations[0].Key != "gateways" || pod.Spec.Affinity.NodeAffinity == nil ||
		pod.Spec.PriorityClassName != "system-cluster-critical" || pod.Spec.ImagePullSecrets[0].Name != "registry" || pod.Spec.ServiceAccountName != "gate" {
		t.Errorf("the pod is %+v", pod.Spec)
	}
	if gateway.Image != "registry.example.com/sallyport:main" || gateway.ImagePullPolicy != core.PullAlways {
		t.Errorf("the image is %s, %s", gateway.Image, gateway.ImagePullPolicy)
	}
	for _, s := range of[*core.Service](all) {
		if s.Name == "gate-of-corp" && (s.Spec.Type != core.ServiceTypeLoadBalancer || s.Spec.Ports[0].Port != 443 || *s.Spec.Ports[0].AppProtocol != "https" || s.Annotations["example.com/internal"] != "true") {
			t.Errorf("the Service is %+v", s)
		}
	}
	if *pod.Spec.TerminationGracePeriodSeconds != 100 || all.loaded(t).Log.Level != "debug" {
		t.Errorf("it has %d seconds to end, and logs at %s", *pod.Spec.TerminationGracePeriodSeconds, all.loaded(t).Log.Level)
	}
	if n := len(of[*policy.PodDisruptionBudget](all)) + len(of[*networking.NetworkPolicy](all)); n > 0 {
		t.Errorf("%d objects that were turned off are there", n)
	}
	if len(of[*core.ConfigMap](all)) != 2 {
		t.Error("the extra object is not there")
	}
}

// A large number stays a whole one on its way.
func TestChartKeepsNumbersOfTheConfiguration(t *testing.T) {
	all, _ := installed(t, ciValues(t, "traefik"))
	if limit := all.loaded(t).Routes[1].MaxBodyBytes; limit == nil || *limit != 1<<30 {
		t.Errorf("the limit is %v", limit)
	}
}

func TestChartOpensNoMoreThanWasAskedFor(t *testing.T) {
	all, _ := installed(t, ciValues(t, "envoy"))
	p := of[*networking.NetworkPolicy](all)[0]
	if len(p.Spec.Ingress) != 2 || len(p.Spec.Ingress[0].Ports) != 2 || p.Spec.Ingress[1].Ports[0].Port.StrVal != "admin" {
		t.Errorf("ingress is %+v", p.Spec.Ingress)
	}
	all, _ = installed(t, ciValues(t, "minimal"))
	p = of[*networking.NetworkPolicy](all)[0]
	if len(p.Spec.Ingress) != 1 || len(p.Spec.Ingress[0].Ports) != 1 {
		t.Errorf("without gRPC and metrics, ingress is %+v", p.Spec.Ingress)
	}
	for _, rule := range p.Spec.Egress {
		for _, port := range rule.Ports {
			if port.Port.IntVal == 6379 {
				t.Error("it may reach Valkey, which it has not got")
			}
		}
	}
}

// The notes say where an ingress asks and what to register at the provider.
func TestChartNotesSayWhatToDoNext(t *testing.T) {
	for name, want := range map[string][]string{
		"traefik": {
			"https://auth.example.com/.auth/callback/corp",
			"http://release-sallyport.sallyport.svc.cluster.local:8080/.auth/check/traefik",
		},
		"envoy":   {"release-sallyport.sallyport.svc.cluster.local:9191"},
		"minimal": {"everybody signs in again"},
	} {
		_, notes := installed(t, ciValues(t, name))
		for _, w := range want {
			if !strings.Contains(notes, w) {
				t.Errorf("%s: the notes do not say %s:\n%s", name, w, notes)
			}
		}
	}
}
