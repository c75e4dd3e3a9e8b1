package kubernetes_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// theDeployment returns the one Deployment of an installation, and in its pods the
// container that is Sallyport, wherever it stands.
func (all objects) theDeployment(t *testing.T) (*apps.Deployment, core.Container) {
	t.Helper()
	deployments := of[*apps.Deployment](all)
	if len(deployments) != 1 {
		t.Fatalf("there are %d Deployments", len(deployments))
	}
	pod := deployments[0].Spec.Template.Spec
	for _, c := range containers(pod) {
		if c.Name == "sallyport" {
			return deployments[0], c
		}
	}
	t.Fatal("no container is called sallyport")
	return nil, core.Container{}
}

func containers(pod core.PodSpec) []core.Container {
	return slices.Concat(pod.InitContainers, pod.Containers)
}

// checkPods wants pods that the strictest profile of Pod Security lets in, and that
// have no more than they need.
func (all objects) checkPods(t *testing.T, c *config.Config) {
	t.Helper()
	deployment, gateway := all.theDeployment(t)
	template := deployment.Spec.Template
	profiles, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	if got := policy.AggregateCheckResults(profiles.EvaluatePod(restricted, &template.ObjectMeta, &template.Spec)); !got.Allowed {
		t.Errorf("Pod Security refuses the pod: %s", got.ForbiddenDetail())
	}
	if template.Spec.AutomountServiceAccountToken == nil || *template.Spec.AutomountServiceAccountToken {
		t.Error("the pod gets a token of its service account")
	}
	if user := template.Spec.SecurityContext.RunAsUser; user == nil || *user != 65532 {
		t.Errorf("it runs as %v", user)
	}
	for _, container := range containers(template.Spec) {
		if s := container.SecurityContext; s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
			t.Errorf("%s can write to its file system", container.Name)
		}
		if !strings.Contains(container.Image, "@") && (!strings.Contains(container.Image, ":") || strings.HasSuffix(container.Image, ":latest")) {
			t.Errorf("%s has the image %q, which can be another one tomorrow", container.Name, container.Image)
		}
	}

	memory := slices.ContainsFunc(gateway.Env, func(e core.EnvVar) bool {
		return e.Name == "GOMEMLIMIT" && e.ValueFrom.ResourceFieldRef.Resource == "limits.memory" && e.ValueFrom.ResourceFieldRef.ContainerName == gateway.Name
	})
	if memory == gateway.Resources.Limits.Memory().IsZero() {
		t.Errorf("GOMEMLIMIT is there: %v, and the limit of memory is %s", memory, gateway.Resources.Limits.Memory())
	}
	for probe, path := range map[*core.Probe]string{gateway.StartupProbe: "/livez", gateway.LivenessProbe: "/livez", gateway.ReadinessProbe: "/readyz"} {
		if probe == nil || probe.HTTPGet.Path != path || probe.HTTPGet.Port.StrVal != "admin" {
			t.Errorf("a probe is %+v, want %s at the admin listener", probe, path)
		}
	}
	grace := time.Duration(*template.Spec.TerminationGracePeriodSeconds) * time.Second
	if need := lasts(template.Spec) + c.Server.Drain.Delay + c.Server.Drain.Timeout; grace <= need {
		t.Errorf("the pod has %s to end, and needs %s", grace, need)
	}
	if len(template.Spec.TopologySpreadConstraints) == 0 {
		t.Error("all pods may be on one node")
	}
}

// lasts is how long the applications wait before they end, which a sidecar outlasts.
func lasts(pod core.PodSpec) time.Duration {
	var longest int64
	for _, c := range pod.Containers {
		if c.Lifecycle != nil && c.Lifecycle.PreStop != nil {
			longest = max(longest, c.Lifecycle.PreStop.Sleep.Seconds)
		}
	}
	return time.Duration(longest) * time.Second
}
