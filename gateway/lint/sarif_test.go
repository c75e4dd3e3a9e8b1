package lint_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/lint"
)

// everything is a report with each kind of thing that a report can have.
func everything(t *testing.T) *lint.Report {
	t.Helper()
	cfg, err := config.Parse("folder/my config.yaml", []byte(lint.Complete(`session: {idle_timeout: 10h, absolute_timeout: 720h}
lint: {ignore: [{code: SP023, path: session, reason: a kiosk}]}
login: {providers: [{name: corp, type: oidc, issuer: "https://id.example.com", client_id: app}]}
`)), []string{"SALLYPORT_LOG__LEVEL=debug"})
	if err != nil {
		t.Fatal(err)
	}
	findings := lint.Silence(cfg, lint.Check(cfg), func(string) bool { return true })
	findings = append(findings, lint.Finding{Code: "loose_text", Severity: lint.Warning, File: "/etc/sallyport.yaml", Line: 3, Path: "policies[0]", Problem: "p", Why: "w", Fix: "f"})
	lint.Sort(findings)
	faults := config.Faults{{File: "folder/my config.yaml", Line: 2, Path: "routes", Problem: "there are none", Fix: "write one"}, {File: "no.yaml", Problem: "the file is empty"}}
	live := []lint.LiveResult{
		{Subject: "provider corp", Check: "discovery", State: lint.LiveFailing, Path: "login.providers[0].issuer", Detail: "refused", Fix: "start it"},
		{Subject: "session store", Check: "eviction", State: lint.LiveWeak, Path: "session.valkey.urls", Detail: "allkeys-lru", Fix: "set it"},
		{Subject: "provider corp", Check: "redirect_uri", State: lint.LiveUnknown, Path: "login.providers[0].issuer", Detail: "a page"},
	}
	return lint.NewReport("folder/my config.yaml", faults, findings, live)
}

func TestSARIFIsValid(t *testing.T) {
	text, err := os.ReadFile("testdata/sarif-schema-2.1.0.json")
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("sarif.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("sarif.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]*lint.Report{"everything": everything(t), "nothing": lint.NewReport("config.yaml", nil, nil, nil)} {
		var out bytes.Buffer
		if err := r.SARIF(&out, "1.2.3"); err != nil {
			t.Fatal(err)
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(out.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(v); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSARIFHasWhatTheReportHas(t *testing.T) {
	r := everything(t)
	var out bytes.Buffer
	if err := r.SARIF(&out, "1.2.3"); err != nil {
		t.Fatal(err)
	}
	var log struct {
		Runs []struct {
			Tool struct {
				Driver struct {
					Rules []struct{ ID, HelpURI string }
				}
			}
			Results []struct {
				RuleID    string
				RuleIndex int
				Level     string
				Message   struct{ Text string }
				Locations []struct {
					PhysicalLocation *struct {
						ArtifactLocation struct{ URI string }
						Region           *struct{ StartLine int }
					}
					LogicalLocations []struct{ FullyQualifiedName string }
				}
				Suppressions []struct{ Justification string }
			}
		}
	}
	if err := json.Unmarshal(out.Bytes(), &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	if want := len(r.Faults) + len(r.Findings) + 2; len(run.Results) != want {
		t.Fatalf("%d results, want %d: what can't be found out is none", len(run.Results), want)
	}
	seen := map[string]bool{}
	for _, one := range run.Results {
		seen[one.RuleID] = true
		if run.Tool.Driver.Rules[one.RuleIndex].ID != one.RuleID {
			t.Errorf("%s points at the rule %s", one.RuleID, run.Tool.Driver.Rules[one.RuleIndex].ID)
		}
		at := one.Locations[0]
		switch one.RuleID {
		case "SP009":
			if at.PhysicalLocation != nil || at.LogicalLocations[0].FullyQualifiedName != "log.level" {
				t.Errorf("what the environment has set is at %+v", at)
			}
		case "SP022":
			if at.PhysicalLocation.ArtifactLocation.URI != "folder/my%20config.yaml" || at.PhysicalLocation.Region.StartLine != 1 || len(one.Suppressions) > 0 {
				t.Errorf("SP022 is %+v", one)
			}
		case "SP023":
			if len(one.Suppressions) != 1 || one.Suppressions[0].Justification != "a kiosk" {
				t.Errorf("SP023 is %+v", one)
			}
		case "loose_text":
			if at.PhysicalLocation.ArtifactLocation.URI != "file:///etc/sallyport.yaml" {
				t.Errorf("an absolute name is %q", at.PhysicalLocation.ArtifactLocation.URI)
			}
		case "fault":
			if one.Level != "error" || !strings.Contains(one.Message.Text, "there are none") && !strings.Contains(one.Message.Text, "empty") {
				t.Errorf("a fault is %+v", one)
			}
		}
	}
	for _, id := range []string{"fault", "live", "SP009", "SP022", "SP023", "SP043", "loose_text"} {
		if !seen[id] {
			t.Errorf("there is no %s", id)
		}
	}
}

func TestReportsCountWhatTheyHave(t *testing.T) {
	r := everything(t)
	want := lint.Summary{Faults: 2, Warnings: 3, Notes: 1, Silenced: 1, Weak: 1, Failing: 1}
	if r.Summary != want || !r.Weak() {
		t.Errorf("got %+v, want %+v", r.Summary, want)
	}
	if quiet := lint.NewReport("a", nil, []lint.Finding{{Code: "SP044", Severity: lint.Note}, {Code: "SP001", Severity: lint.Warning, Silenced: "meant"}}, nil); quiet.Weak() {
		t.Error("notes and what is silenced count as weak")
	}
}
