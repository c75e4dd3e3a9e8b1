package policytest_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/policy"
	"github.com/sallyport/sallyport/policy/policytest"
)

// mixed is a run with a case of each outcome.
func mixed(t *testing.T) policytest.Reports {
	t.Helper()
	return policytest.Reports{
		asked(t, staff(t), `
  - {name: staff come in, identity: {groups: [staff]}, client: {address: 10.0.0.1}, expect: {effect: allow, rule: staff}}
  - {name: "finance\e[31m <too>", identity: {groups: [finance], acr: silver, auth_time: 1m}, expect: allow}
  - {name: no such policy, policy: other, expect: deny}
`),
		asked(t, staff(t), "  - {name: sales stay out, identity: {groups: [sales]}, expect: deny}\n"),
	}
}

func TestTheTableShowsWhatFailedAndWhy(t *testing.T) {
	var out strings.Builder
	if err := mixed(t).WriteTable(&out, false); err != nil {
		t.Fatal(err)
	}
	want := `FAILED staff.yaml:5: finance�[31m <too>
  asked    staff: GET / by alice at 2026-03-02T10:00:00Z
  effect   wanted allow, got step_up
  decided  step_up, rule finance, reason insufficient_user_authentication, asks for acr: gold, max_age: 5m, shadow step_up, shadow rule finance
  deny rule annex: does not fit
    no  cidr  wants 10.9.0.0/16; has not known
  allow rule staff: does not fit
    no  groups  wants staff; has finance
  allow rule finance: fits, and asks for another sign-in
    yes  groups   wants finance; has finance
    no   require  wants acr: gold, max_age: 5m; has acr: silver, age: 1m
  deny rule contractors: does not fit (in shadow)
    no  when  wants identity.claims.?kind.orValue("") == "contractor"; has identity.claims["kind"] = no such claim

FAILED staff.yaml:6: no such policy
  asked        other: GET / by alice at 2026-03-02T10:00:00Z
  no decision  no policy is called other

FAILED  staff.yaml  1 of 3 cases passed
ok      staff.yaml  1 of 1 case passed

2 of 4 cases passed in 2 files
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestTheTableOfAllShowsEveryCase(t *testing.T) {
	var out strings.Builder
	if err := mixed(t).WriteTable(&out, true); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`(?m)^  +CASE +POLICY +WANTED +GOT$`,
		`(?m)^  ok +staff come in +staff +allow, rule staff +allow, rule staff, reason allowed_by_rule, shadow allow`,
		`(?m)^  FAILED +no such policy +other +deny +no decision$`,
		`(?m)^  ok +sales stay out +staff +deny +deny, reason no_rule_matched`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("nothing matches %s in\n%s", want, out.String())
		}
	}
}

func TestTheTableSaysWhichRuleCouldNotBeEvaluated(t *testing.T) {
	set := compile(t, policy.Policy{Name: "staff", Rules: []policy.Rule{{Name: "level", Allow: &policy.Match{When: `identity.claims.level >= 3`}}}})
	var out strings.Builder
	if err := asked(t, set, "  - {name: one, expect: deny}\n").WriteTable(&out, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"wanted a decision, got policy_error", "allow rule level: could not be evaluated", "error  when  wants identity.claims.level >= 3"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestJUnitCanBeReadBack(t *testing.T) {
	var out strings.Builder
	if err := mixed(t).WriteJUnit(&out); err != nil {
		t.Fatal(err)
	}
	type problem struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
	var got struct {
		XMLName  xml.Name `xml:"testsuites"`
		Tests    int      `xml:"tests,attr"`
		Failures int      `xml:"failures,attr"`
		Errors   int      `xml:"errors,attr"`
		Time     string   `xml:"time,attr"`
		Suites   []struct {
			Name      string `xml:"name,attr"`
			Tests     int    `xml:"tests,attr"`
			Failures  int    `xml:"failures,attr"`
			Errors    int    `xml:"errors,attr"`
			Time      string `xml:"time,attr"`
			Timestamp string `xml:"timestamp,attr"`
			Cases     []struct {
				Name    string   `xml:"name,attr"`
				Class   string   `xml:"classname,attr"`
				Time    string   `xml:"time,attr"`
				Failure *problem `xml:"failure"`
				Error   *problem `xml:"error"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if got.Tests != 4 || got.Failures != 1 || got.Errors != 1 || len(got.Suites) != 2 {
		t.Fatalf("%+v", got)
	}
	first := got.Suites[0]
	if first.Name != "staff.yaml" || first.Tests != 3 || first.Failures != 1 || first.Errors != 1 || len(first.Cases) != 3 {
		t.Errorf("%+v", first)
	}
	seconds := regexp.MustCompile(`^[0-9]{1,3}\.[0-9]{3}$`)
	if !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$`).MatchString(first.Timestamp) || !seconds.MatchString(first.Time) || !seconds.MatchString(got.Time) {
		t.Errorf("%q %q %q", first.Timestamp, first.Time, got.Time)
	}
	passed, failed, broken := first.Cases[0], first.Cases[1], first.Cases[2]
	if passed.Failure != nil || passed.Error != nil || passed.Name != "staff come in" || passed.Class != "staff.yaml" || !seconds.MatchString(passed.Time) {
		t.Errorf("%+v", passed)
	}
	if f := failed.Failure; f == nil || f.Message != "effect: wanted allow, got step_up" || !strings.HasPrefix(f.Text, "staff.yaml:5\n") || !strings.Contains(f.Text, "allow rule finance: fits") {
		t.Errorf("%+v", failed)
	}
	if e := broken.Error; e == nil || broken.Failure != nil || e.Message != "no policy is called other" || e.Type == "" {
		t.Errorf("%+v", broken)
	}
}

func TestJSONHasDecisionsAndDifferences(t *testing.T) {
	reports := mixed(t)
	var coverage policytest.Coverage
	for _, r := range reports {
		coverage.Add(r)
	}
	var out strings.Builder
	if err := reports.WriteJSON(&out, &coverage); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Passed, Failed int
		Files          []struct {
			File           string
			Passed, Failed int
			Cases          []struct {
				Name, Policy, Error string
				Line                int
				Passed              bool
				Decision            *struct {
					Effect, Rule, Reason string
					StepUp               *struct {
						ACR    []string
						MaxAge string `json:"max_age"`
					} `json:"step_up"`
				}
				Differences []struct{ What, Wanted, Got string }
				Rules       []struct{ Name string }
			}
		}
		Coverage *struct {
			Percent        float64
			Reached, Rules int
		}
	}
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatal(err)
	}
	if got.Passed != 2 || got.Failed != 2 || len(got.Files) != 2 || got.Files[0].Failed != 2 || got.Coverage == nil || got.Coverage.Rules != 4 {
		t.Fatalf("%+v", got)
	}
	cases := got.Files[0].Cases
	if c := cases[0]; !c.Passed || c.Decision.Effect != "allow" || c.Decision.Rule != "staff" || c.Decision.StepUp != nil || len(c.Rules) != 0 {
		t.Errorf("%+v", c)
	}
	if c := cases[1]; c.Passed || c.Line != 5 || c.Decision.Effect != "step_up" || c.Decision.StepUp.MaxAge != "5m" || len(c.Rules) != 4 || c.Differences[0].What != "effect" {
		t.Errorf("%+v", c)
	}
	if c := cases[2]; c.Passed || c.Decision != nil || c.Error == "" {
		t.Errorf("%+v", c)
	}

	out.Reset()
	if err := reports.WriteJSON(&out, nil); err != nil || strings.Contains(out.String(), "coverage") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// broken is a writer that takes nothing.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("the disk is full") }

func TestWhatCanNotBeWrittenIsAnError(t *testing.T) {
	reports := mixed(t)
	var coverage policytest.Coverage
	for name, err := range map[string]error{
		"table": reports.WriteTable(broken{}, true), "junit": reports.WriteJUnit(broken{}),
		"json": reports.WriteJSON(broken{}, nil), "coverage": coverage.WriteTable(broken{}),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
