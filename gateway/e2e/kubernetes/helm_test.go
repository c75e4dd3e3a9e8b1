package kubernetes_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	"sigs.k8s.io/yaml"
)

const chartDir = "../../../deploy/helm/sallyport"

// values are those of a file in ci/, or of a text.
type values = map[string]any

func ciValues(t *testing.T, name string) values {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(chartDir, "ci", name+"-values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return parsed(t, string(data))
}

func parsed(t *testing.T, text string) values {
	t.Helper()
	var v values
	if err := yaml.UnmarshalStrict([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// with is v with what a text says laid over it.
func with(t *testing.T, v values, text string) values {
	t.Helper()
	return chartutil.CoalesceTables(parsed(t, text), v)
}

// ciNames are the names of the files in ci/.
func ciNames(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(chartDir, "ci", "*-values.yaml"))
	if err != nil || len(files) < 5 {
		t.Fatalf("%d files of values, %v", len(files), err)
	}
	var names []string
	for _, f := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(f), "-values.yaml"))
	}
	return names
}

// templated is what helm template makes of the chart: the manifests, and the notes.
func templated(t *testing.T, v values) (manifests []byte, notes string, err error) {
	t.Helper()
	chart, err := loader.Load(chartDir)
	if err != nil {
		t.Fatal(err)
	}
	release := chartutil.ReleaseOptions{Name: "release", Namespace: "sallyport", IsInstall: true, Revision: 1}
	capabilities := chartutil.DefaultCapabilities.Copy()
	capabilities.KubeVersion = chartutil.KubeVersion{Version: kubernetes.version, Major: "1", Minor: "37"}
	if !chartutil.IsCompatibleRange(chart.Metadata.KubeVersion, capabilities.KubeVersion.Version) {
		t.Fatalf("the chart is not for Kubernetes %s", kubernetes.version)
	}
	all, err := chartutil.ToRenderValues(chart, v, release, capabilities) // the schema is checked here
	if err != nil {
		return nil, "", err
	}
	files, err := engine.Engine{Strict: true}.Render(chart, all)
	if err != nil {
		return nil, "", err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		switch filepath.Ext(name) {
		case ".yaml":
			manifests = append(append(manifests, "---\n"...), files[name]...)
		case ".txt":
			notes = files[name]
		}
	}
	return manifests, notes, nil
}

func installed(t *testing.T, v values) (objects, string) {
	t.Helper()
	manifests, notes, err := templated(t, v)
	if err != nil {
		t.Fatal(err)
	}
	return newServer(t).admitted(t, manifests), notes
}

func TestChartIsAcceptedAndWorksWithEachFileOfValues(t *testing.T) {
	for _, name := range ciNames(t) {
		t.Run(name, func(t *testing.T) {
			all, _ := installed(t, ciValues(t, name))
			c := all.loaded(t)
			all.checkPods(t, c)
			all.checkWiring(t, c)
			for _, o := range all {
				if o.raw.GetNamespace() != "sallyport" {
					t.Errorf("%s is in another namespace", o)
				}
				if o.raw.GetKind() == "Secret" {
					t.Errorf("the chart makes a Secret: %s", o)
				}
			}
		})
	}
}

// As helm lint --strict: a warning is a failure.
func TestChartPassesHelmLint(t *testing.T) {
	for _, name := range append(ciNames(t), "") {
		v := values{}
		if name != "" {
			v = ciValues(t, name)
		}
		for _, m := range lint.AllWithKubeVersion(chartDir, v, "sallyport", &chartutil.KubeVersion{Version: kubernetes.version, Major: "1", Minor: "37"}).Messages {
			if m.Severity >= support.WarningSev {
				t.Errorf("with %q: %s", name, m)
			}
		}
	}
}
