package gateway_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/sallyport/sallyport/"

// allowed is who may import whom among our own packages. A package that is not
// in the table fails the test, so that its place is decided and not drifted to.
func allowed() map[string][]string {
	return map[string][]string{
		"policy":                    {},
		"policy/authorizer":         {"policy"},
		"policy/authorizer/opatest": {},
		"policy/policytest":         {"policy"},
		"gateway/identity":          {},
		"gateway/config":            {},
		"gateway/httperr":           {},
		"gateway/followed":          {},
		"gateway/jose":              {},
		"gateway/telemetry":         {"gateway/config"},
		"gateway/auditlog":          {"gateway/config"},
		"gateway/tracing":           {"gateway/config", "gateway/telemetry"},
		"gateway/tracing/otlptest":  {},
		"gateway/jwks":              {"gateway/jose", "gateway/config", "gateway/telemetry"},

		"gateway/assertion": {"gateway/jose", "gateway/identity", "gateway/config"},

		"gateway/session":             {"gateway/identity", "gateway/config"},
		"gateway/session/embedded":    {"gateway/session", "gateway/config", "gateway/telemetry"},
		"gateway/session/valkeystore": {"gateway/session", "gateway/config", "gateway/telemetry"},
		"gateway/session/sessiontest": {"gateway/session", "gateway/identity", "gateway/config", "gateway/telemetry"},

		"gateway/sealing": {"gateway/session", "gateway/followed"},

		"gateway/lock":     {"gateway/session", "gateway/identity"},
		"gateway/headers":  {"gateway/identity", "gateway/config"},
		"gateway/applogin": {"gateway/identity", "gateway/config"},
		"gateway/authn":    {"gateway/identity", "gateway/session", "gateway/jose", "gateway/jwks", "gateway/config", "gateway/telemetry"},
		"gateway/shield":   {"gateway/config", "gateway/headers"},
		"gateway/route":    {"gateway/authn", "gateway/headers", "gateway/shield", "policy", "gateway/config"},
		"gateway/guard":    {"gateway/lock", "gateway/route", "gateway/authn", "gateway/headers", "gateway/identity", "policy"},

		// Front ends never import one another, and never login.
		"gateway/frontend":    {"gateway/guard", "gateway/headers", "gateway/httperr", "gateway/telemetry"},
		"gateway/proxy":       {"gateway/frontend", "gateway/guard", "gateway/httperr", "gateway/telemetry", "gateway/config", "gateway/session", "gateway/upstream"},
		"gateway/forwardauth": {"gateway/frontend", "gateway/guard", "gateway/httperr", "gateway/telemetry", "gateway/config"},
		"gateway/extauthz":    {"gateway/slots", "gateway/frontend", "gateway/guard", "gateway/httperr", "gateway/telemetry"},
		"gateway/compat":      {"gateway/identity", "gateway/config", "gateway/httperr"},
		"gateway/upstream":    {"gateway/config", "gateway/followed", "gateway/upstream/http1"},

		"gateway/upstream/http1": {},

		"gateway/slots":   {},
		"gateway/carried": {},

		"gateway/listener":      {"gateway/config", "gateway/followed", "gateway/slots"},
		"gateway/listener/acme": {"gateway/config"},

		"gateway/listener/acme/acmetest": {},

		"gateway/login":          {"gateway/session", "gateway/identity", "gateway/jose", "gateway/jwks", "gateway/pages", "gateway/httperr", "gateway/telemetry", "gateway/config"},
		"gateway/login/oidctest": {"gateway/jose"},
		"gateway/admin":          {"gateway/session", "gateway/identity", "gateway/jose", "gateway/jwks", "gateway/pages", "gateway/palette", "gateway/shield", "gateway/upstream", "gateway/guard", "policy", "gateway/httperr", "gateway/telemetry", "gateway/config"},
		"gateway/pages":          {"gateway/identity", "gateway/config", "gateway/httperr", "gateway/palette"},
		"gateway/echo":           {"gateway/identity", "gateway/config", "gateway/httperr", "gateway/palette"},
		"gateway/palette":        {},
		"gateway/cost":           {"gateway/identity", "gateway/config", "gateway/httperr", "gateway/jose", "gateway/session", "gateway/chart"},
		"gateway/chart":          {},
		"gateway/localca":        {},
		"gateway/devpanel":       {"gateway/httperr", "gateway/palette"},
		"gateway/lint":           {"gateway/config", "gateway/route", "policy"},

		"gateway":                  {"*"},
		"gateway/e2e":              {"*"},
		"gateway/e2e/env":          {"gateway/tlstest", "gateway/porttest", "gateway/tracing/otlptest"},
		"gateway/e2e/carry":        {"gateway/porttest"},
		"gateway/e2e/ingress":      {"gateway/porttest"},
		"gateway/e2e/compare":      {"gateway/e2e/env", "gateway/porttest", "gateway/jose", "gateway/chart"},
		"gateway/e2e/compare/bare": {},
		"gateway/e2e/packaging":    {},
		"gateway/tlstest":          {},
		"gateway/porttest":         {},
		"cmd/sallyport":            {"gateway", "gateway/auditlog", "gateway/compat", "gateway/config", "gateway/lint", "gateway/localca", "gateway/telemetry", "policy", "policy/policytest"},
	}
}

// owners are the only importers of the libraries that are kept behind one package.
func owners() map[string]string {
	return map[string]string{
		"github.com/lestrrat-go/jwx/":    "gateway/jose",
		"github.com/spf13/viper":         "gateway/config",
		"go.etcd.io/bbolt":               "gateway/session/embedded",
		"github.com/valkey-io/valkey-go": "gateway/session/valkeystore",

		"github.com/caddyserver/certmagic": "gateway/listener/acme",

		"github.com/envoyproxy/go-control-plane/": "gateway/extauthz",
		"google.golang.org/grpc":                  "gateway/extauthz gateway/tracing gateway/tracing/otlptest", // OTLP's exporter takes its credentials
		"go.opentelemetry.io/":                    "gateway/tracing gateway/tracing/otlptest",

		"github.com/coreos/go-systemd/":  "gateway/listener",
		"github.com/pires/go-proxyproto": "gateway/listener",
	}
}

type listedPackage struct {
	ImportPath string
	Doc        string
	Imports    []string
}

func listPackages(t *testing.T) []listedPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Doc,Imports", "-tags", "e2e", "../...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var list []listedPackage
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p listedPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		p.ImportPath = strings.TrimPrefix(p.ImportPath, module)
		list = append(list, p)
	}
}

func TestPackagesImportOnlyWhatTheTableAllows(t *testing.T) {
	table := allowed()
	for _, p := range listPackages(t) {
		may, known := table[p.ImportPath]
		if !known {
			t.Errorf("%s is not in the table: decide what it may import", p.ImportPath)
			continue
		}
		for _, imported := range p.Imports {
			if own, ok := strings.CutPrefix(imported, module); ok && !slices.Contains(may, own) && !slices.Contains(may, "*") {
				t.Errorf("%s imports %s", p.ImportPath, own)
			}
			for library, owner := range owners() {
				if strings.HasPrefix(imported, library) && !slices.Contains(strings.Fields(owner), p.ImportPath) {
					t.Errorf("%s imports %s, which is kept behind %s", p.ImportPath, imported, owner)
				}
			}
		}
	}
}

func TestEveryPackageSaysWhatItOwns(t *testing.T) {
	for _, p := range listPackages(t) {
		if p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}
