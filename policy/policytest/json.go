package policytest

import (
	"encoding/json"
	"io"

	"github.com/sallyport/sallyport/policy"
)

type (
	jsonRun struct {
		Passed   int           `json:"passed"`
		Failed   int           `json:"failed"`
		Files    []jsonFile    `json:"files"`
		Coverage *jsonCoverage `json:"coverage,omitempty"`
	}
	jsonFile struct {
		File   string     `json:"file"`
		Config string     `json:"config"`
		Passed int        `json:"passed"`
		Failed int        `json:"failed"`
		Cases  []jsonCase `json:"cases"`
	}
	jsonCase struct {
		Name        string                   `json:"name"`
		Line        int                      `json:"line"`
		Policy      string                   `json:"policy"`
		Route       string                   `json:"route,omitempty"`
		Passed      bool                     `json:"passed"`
		Decision    *jsonDecision            `json:"decision,omitempty"`
		Differences []Difference             `json:"differences,omitempty"`
		Error       string                   `json:"error,omitempty"`
		Rules       []policy.RuleExplanation `json:"rules,omitempty"` // of a case that has failed
	}
	jsonDecision struct {
		Effect  string      `json:"effect"`
		Rule    string      `json:"rule,omitempty"`
		Reason  string      `json:"reason"`
		Message string      `json:"message,omitempty"`
		StepUp  *jsonStepUp `json:"step_up,omitempty"`
		Shadow  *jsonShadow `json:"shadow,omitempty"`
		Error   string      `json:"error,omitempty"`
	}
	jsonStepUp struct {
		ACR    []string `json:"acr,omitempty"`
		AMR    []string `json:"amr,omitempty"`
		MaxAge string   `json:"max_age,omitempty"`
	}
	jsonShadow struct {
		Effect string `json:"effect"`
		Rule   string `json:"rule,omitempty"`
		Reason string `json:"reason"`
	}
	jsonCoverage struct {
		Percent  float64          `json:"percent"`
		Reached  int              `json:"reached"`
		Rules    int              `json:"rules"`
		Policies []PolicyCoverage `json:"policies"`
	}
)

// WriteJSON writes the reports for programs, with the coverage unless it is nil.
func (r Reports) WriteJSON(w io.Writer, c *Coverage) error {
	run := jsonRun{Passed: r.Cases() - r.Failed(), Failed: r.Failed(), Files: []jsonFile{}}
	for _, one := range r {
		run.Files = append(run.Files, one.json())
	}
	if c != nil {
		reached, rules := c.Count()
		run.Coverage = &jsonCoverage{Percent: c.Percent(), Reached: reached, Rules: rules, Policies: c.Policies()}
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(run)
}

func (r *Report) json() jsonFile {
	out := jsonFile{File: r.File, Config: r.Config, Passed: len(r.Results) - r.Failed(), Failed: r.Failed(), Cases: []jsonCase{}}
	for i := range r.Results {
		one := &r.Results[i]
		c := jsonCase{Name: one.Case.Name, Line: one.Case.Line, Policy: one.Policy, Route: one.Case.Route, Passed: one.Passed(), Differences: one.Differences}
		if one.Err != nil {
			c.Error = one.Err.Error()
		} else {
			c.Decision = decisionJSON(&one.Explanation)
		}
		if !c.Passed {
			c.Rules = one.Explanation.Rules
		}
		out.Cases = append(out.Cases, c)
	}
	return out
}

func decisionJSON(x *policy.Explanation) *jsonDecision {
	d := &x.Decision
	out := &jsonDecision{Effect: d.Effect.String(), Rule: d.Rule, Reason: d.Reason, Message: d.Message}
	if d.Effect == policy.NeedStepUp {
		out.StepUp = &jsonStepUp{ACR: d.StepUp.ACR, AMR: d.StepUp.AMR, MaxAge: ageText(d.StepUp.MaxAge)}
	}
	if d.Shadow.Judged {
		out.Shadow = &jsonShadow{Effect: d.Shadow.Effect.String(), Rule: d.Shadow.Rule, Reason: d.Shadow.Reason}
	}
	if x.Err != nil {
		out.Error = x.Err.Error()
	}
	return out
}
