package kubernetes_test

import (
	"fmt"
	"slices"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/sallyport/sallyport/gateway/config"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// checkWiring wants everything that points at something else to find it.
func (all objects) checkWiring(t *testing.T, c *config.Config) {
	t.Helper()
	deployment, gateway := all.theDeployment(t)
	pod := labels.Set(deployment.Spec.Template.Labels)
	selects := func(what string, s *meta.LabelSelector) {
		selector, err := meta.LabelSelectorAsSelector(s)
		if err != nil || selector.Empty() || !selector.Matches(pod) {
			t.Errorf("%s selects %v, and the pod is %v (%v)", what, s, pod, err)
		}
	}
	selects("the Deployment", deployment.Spec.Selector)
	for _, b := range of[*policy.PodDisruptionBudget](all) {
		selects("the PodDisruptionBudget", b.Spec.Selector)
	}
	for _, s := range deployment.Spec.Template.Spec.TopologySpreadConstraints {
		selects("a topologySpreadConstraint", s.LabelSelector)
	}
	for _, h := range of[*autoscaling.HorizontalPodAutoscaler](all) {
		if to := h.Spec.ScaleTargetRef; to.Name != deployment.Name || to.Kind != "Deployment" || deployment.Spec.Replicas != nil {
			t.Errorf("the autoscaler is for %v, beside %v replicas", to, deployment.Spec.Replicas)
		}
	}
	if name := deployment.Spec.Template.Spec.ServiceAccountName; name != "" && name != "default" {
		found := of[*core.ServiceAccount](all)
		if len(found) != 1 || found[0].Name != name || found[0].AutomountServiceAccountToken == nil || *found[0].AutomountServiceAccountToken {
			t.Errorf("the service account %q is not there, or has a token", name)
		}
	}

	// The ports of the container are those that the configuration listens on.
	want := []string{"http " + c.Server.AllListeners()[0].Listen, "admin " + c.Admin.Listen}
	if c.ExtAuthz.Listen != "" {
		want = append(want, "grpc "+c.ExtAuthz.Listen)
	}
	var have []string
	for _, p := range gateway.Ports {
		have = append(have, fmt.Sprintf("%s :%d", p.Name, p.ContainerPort))
	}
	if !slices.Equal(have, want) {
		t.Errorf("the ports are %v, want %v", have, want)
	}
	exists := func(what string, port intstr.IntOrString) {
		if !slices.ContainsFunc(gateway.Ports, func(p core.ContainerPort) bool { return port.StrVal == p.Name }) {
			t.Errorf("%s names the port %s", what, port.String())
		}
	}
	for _, p := range of[*networking.NetworkPolicy](all) {
		selects("the NetworkPolicy", &p.Spec.PodSelector)
		if len(p.Spec.PolicyTypes) != 2 {
			t.Errorf("the NetworkPolicy is for %v", p.Spec.PolicyTypes)
		}
		for _, rule := range p.Spec.Ingress {
			if len(rule.From) == 0 || len(rule.Ports) == 0 {
				t.Error("the NetworkPolicy lets everybody in")
			}
			for _, port := range rule.Ports {
				exists("the NetworkPolicy", *port.Port)
			}
		}
	}
	reached := map[string]bool{}
	for _, s := range of[*core.Service](all) {
		selects("the Service "+s.Name, &meta.LabelSelector{MatchLabels: s.Spec.Selector})
		for _, p := range s.Spec.Ports {
			exists("the Service "+s.Name, p.TargetPort)
			reached[p.TargetPort.StrVal] = true
			if p.TargetPort.StrVal == "admin" && len(s.Spec.Ports) > 1 {
				t.Errorf("the Service %s has the admin listener beside others", s.Name)
			}
		}
	}
	for _, p := range gateway.Ports {
		if !reached[p.Name] && deployment.Name != "app" {
			t.Errorf("no Service reaches the port %s", p.Name)
		}
	}
	for _, m := range of[*monitoring.ServiceMonitor](all) {
		found := 0
		selector, err := meta.LabelSelectorAsSelector(&m.Spec.Selector)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range of[*core.Service](all) {
			if selector.Matches(labels.Set(s.Labels)) && all.servicePort(s, intstr.FromString(m.Spec.Endpoints[0].Port)) {
				found++
			}
		}
		if found != 1 {
			t.Errorf("the ServiceMonitor finds %d Services", found)
		}
	}
	for _, b := range all.backends(t) {
		if deployment.Namespace != b.namespace {
			continue // an application's
		}
		if !slices.ContainsFunc(of[*core.Service](all), func(s *core.Service) bool { return s.Name == b.name && all.servicePort(s, b.port) }) {
			t.Errorf("%s goes to the Service %s, port %s, which is not there", b.from, b.name, b.port.String())
		}
	}
}

func (objects) servicePort(s *core.Service, port intstr.IntOrString) bool {
	return slices.ContainsFunc(s.Spec.Ports, func(p core.ServicePort) bool {
		return port.Type == intstr.String && p.Name == port.StrVal || port.Type == intstr.Int && p.Port == port.IntVal
	})
}
