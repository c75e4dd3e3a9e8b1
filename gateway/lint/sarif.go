package lint

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

// The address of the documentation, for readers of SARIF.
const docs = "https://github.com/sallyport/sallyport/blob/main/docs/"

// The rules of results that have no code.
const (
	ruleFault = "fault"
	ruleLive  = "live"
)

// What follows is the part of SARIF 2.1.0 that a report needs.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool    sarifTool     `json:"tool"`
		Results []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		Version        string      `json:"version"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID         string       `json:"id"`
		Short      sarifText    `json:"shortDescription"`
		Full       *sarifText   `json:"fullDescription,omitempty"`
		HelpURI    string       `json:"helpUri"`
		Default    *sarifLevel  `json:"defaultConfiguration,omitempty"`
		Properties *sarifLabels `json:"properties,omitempty"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifLevel struct {
		Level Severity `json:"level"`
	}
	sarifLabels struct {
		Tags []string `json:"tags"`
	}
	sarifResult struct {
		RuleID       string             `json:"ruleId"`
		RuleIndex    int                `json:"ruleIndex"`
		Level        Severity           `json:"level"`
		Message      sarifText          `json:"message"`
		Locations    []sarifLocation    `json:"locations"`
		Fingerprints map[string]string  `json:"partialFingerprints"`
		Suppressions []sarifSuppression `json:"suppressions,omitempty"`
	}
	sarifLocation struct {
		Physical *sarifPhysical `json:"physicalLocation,omitempty"`
		Logical  []sarifLogical `json:"logicalLocations"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine int `json:"startLine"`
	}
	sarifLogical struct {
		Name string `json:"fullyQualifiedName"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Justification string `json:"justification"`
	}
)

// SARIF writes the report as SARIF 2.1.0. version is that of the program.
func (r *Report) SARIF(w io.Writer, version string) error {
	rules := sarifRules(r)
	run := sarifRun{
		Tool:    sarifTool{sarifDriver{Name: "sallyport check", Version: version, InformationURI: docs + "lint.md", Rules: rules}},
		Results: []sarifResult{},
	}
	add := func(rule string, level Severity, text, file, path string, line int) *sarifResult {
		sum := sha256.Sum256([]byte(rule + "\n" + file + "\n" + path))
		run.Results = append(run.Results, sarifResult{
			RuleID: rule, RuleIndex: slices.IndexFunc(rules, func(one sarifRule) bool { return one.ID == rule }), Level: level,
			Message: sarifText{text}, Locations: []sarifLocation{sarifPlace(file, path, line)},
			Fingerprints: map[string]string{"sallyport/v1": hex.EncodeToString(sum[:8])},
		})
		return &run.Results[len(run.Results)-1]
	}
	for _, f := range r.Faults {
		add(ruleFault, Error, sentence(f.Path, f.Problem, f.Fix), f.File, f.Path, f.Line)
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		one := add(f.Code, f.Severity, sentence(f.Path, f.Problem, f.Fix), f.File, f.Path, f.Line)
		if f.Silenced != "" {
			one.Suppressions = []sarifSuppression{{"inSource", f.Silenced}}
		}
	}
	for _, one := range r.Live {
		switch one.State {
		case LiveFailing:
			add(ruleLive, Error, sentence(one.Subject+": "+one.Check, one.Detail, one.Fix), r.File, one.Path, 0)
		case LiveWeak:
			add(ruleLive, Warning, sentence(one.Subject+": "+one.Check, one.Detail, one.Fix), r.File, one.Path, 0)
		}
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}})
}

func sentence(path, problem, fix string) string {
	text := problem
	if path != "" {
		text = path + ": " + problem
	}
	if fix != "" {
		text += ". To do: " + fix
	}
	return text + "."
}

// sarifPlace leaves the file out for what the environment has set.
func sarifPlace(file, path string, line int) sarifLocation {
	l := sarifLocation{Logical: []sarifLogical{{path}}}
	if path == "" {
		l.Logical[0].Name = file
	}
	if strings.HasPrefix(file, "environment ") {
		return l
	}
	uri := url.URL{Path: filepath.ToSlash(file)}
	if filepath.IsAbs(file) {
		uri.Scheme = "file"
	}
	l.Physical = &sarifPhysical{Artifact: sarifArtifact{uri.String()}}
	if line > 0 {
		l.Physical.Region = &sarifRegion{line}
	}
	return l
}

// sarifRules describes every code of settings, and of the others those that the
// report has.
func sarifRules(r *Report) []sarifRule {
	rules := []sarifRule{
		{ID: ruleFault, Short: sarifText{"a fault for which no gateway starts"}, HelpURI: docs + "configuration.md", Default: &sarifLevel{Error}},
		{ID: ruleLive, Short: sarifText{"something that the gateway depends on does not work"}, HelpURI: docs + "lint.md", Default: &sarifLevel{Error}},
	}
	for _, c := range Codes() {
		rules = append(rules, sarifRule{
			ID: c.ID, Short: sarifText{c.Title}, Full: &sarifText{c.Why}, HelpURI: docs + "lint.md#" + strings.ToLower(c.ID),
			Default: &sarifLevel{c.Severity}, Properties: &sarifLabels{append([]string{"security"}, c.References...)},
		})
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		if !slices.ContainsFunc(rules, func(one sarifRule) bool { return one.ID == f.Code }) {
			rules = append(rules, sarifRule{ID: f.Code, Short: sarifText{"policies: " + f.Code}, HelpURI: docs + "policy-lint.md#codes"})
		}
	}
	return rules
}
