package gateway_test

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/config"
)

const policiesPage = "../docs/policies.md"

func TestEveryExampleOfThePoliciesPageDoesWhatItSays(t *testing.T) {
	t.Parallel()
	examples := examplesOf(t, policiesPage)
	if len(examples) < 3 {
		t.Errorf("the page has %d examples", len(examples))
	}
	for _, e := range examples {
		t.Run(e.title, func(t *testing.T) { e.check(t) })
	}
}

// TestThePoliciesPageHasEveryKey: the tables are those of the configuration, no key
// more and none less.
func TestThePoliciesPageHasEveryKey(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(policiesPage)
	if err != nil {
		t.Fatal(err)
	}
	for heading, of := range map[string]reflect.Type{
		"A policy":                     reflect.TypeFor[config.Policy](),
		"A rule":                       reflect.TypeFor[config.Rule](),
		"The fields of allow and deny": reflect.TypeFor[config.Match](),
	} {
		_, section, ok := strings.Cut(string(content), "\n## "+heading+"\n")
		if !ok {
			t.Fatalf("no section %q", heading)
		}
		section, _, _ = strings.Cut(section, "\n## ")
		documented := map[string]bool{}
		for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]*) \\|").FindAllStringSubmatch(section, -1) {
			for _, key := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(row[1], -1) {
				documented[key[1]] = true
			}
		}
		for field := range of.Fields() {
			key := field.Tag.Get("mapstructure")
			if !documented[key] {
				t.Errorf("%s: %s is not in the table", heading, key)
			}
			delete(documented, key)
		}
		for key := range documented {
			t.Errorf("%s: there is no key %s", heading, key)
		}
	}
}

func TestTheHoursOfThePoliciesPageAreHours(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(policiesPage)
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| `hours` \\|.*$").FindString(string(content))
	hours := regexp.MustCompile("`([^`]*[0-9][^`]*)`").FindAllStringSubmatch(row, -1)
	if len(hours) < 3 {
		t.Fatalf("%d hours in %q", len(hours), row)
	}
	for _, m := range hours {
		e := example{policies: "policies: [{name: p, rules: [{allow: {hours: ['" + m[1] + "']}}]}]", cases: "cases: [{name: c, policy: p, identity: {subject: a}, expect: allow}]"}
		if report := e.run(t); report.Results[0].Err != nil {
			t.Errorf("%s: %v", m[1], report.Results[0].Err)
		}
	}
}

// TestTheSentenceOfPrecedenceIsThatOfTheCode, wherever it is told.
func TestTheSentenceOfPrecedenceIsThatOfTheCode(t *testing.T) {
	t.Parallel()
	words := func(file string) string {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return strings.ToLower(strings.Join(strings.Fields(strings.ReplaceAll(string(content), "\n// ", "\n")), " "))
	}
	code := words("../policy/policy.go")
	_, sentence, ok := strings.Cut(code, "precedence is one sentence: ")
	sentence, _, end := strings.Cut(sentence, ".")
	if !ok || !end || len(sentence) < 200 {
		t.Fatalf("the sentence was not found: %q", sentence)
	}
	for _, page := range []string{policiesPage, "../docs/configuration.md"} {
		if !strings.Contains(words(page), sentence) {
			t.Errorf("%s tells another precedence than: %s", page, sentence)
		}
	}
}

// TestThePitfallsFail: what the page warns of does happen.
func TestThePitfallsFail(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("# nobody\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, e := range map[string]example{
		"a deny rule by address": {
			policies: `{rules: [{allow: {groups: [a]}}, {deny: {emails: [m@example.com]}}]}`,
			cases:    `{identity: {groups: [a], email: m@example.com, email_verified: false}, expect: allow}`,
		},
		"a requirement beside a rule that has none": {
			policies: `{rules: [{allow: {groups: [a]}}, {allow: {groups: [a], paths: [/admin/]}, require: {amr: [otp]}}]}`,
			cases:    `{identity: {groups: [a]}, request: {path: /admin/}, expect: allow}`,
		},
		"an age that only describes": {
			policies: `{rules: [{allow: {groups: [a], max_age: 15m}}]}`,
			cases:    `{identity: {groups: [a], auth_time: 1h}, expect: {effect: deny, reason: no_rule_matched}}`,
		},
		"two that are absent": {
			policies: `{rules: [{allow: {when: 'identity.claims.?tenant == request.headers[?"x-tenant"]'}}]}`,
			cases:    `{expect: allow}`,
		},
		"an empty list beside deny": {
			policies: `{rules: [{allow: {groups: [a]}}, {deny: {subjects_file: EMPTY}}]}`,
			cases:    `{identity: {groups: [a]}, expect: allow}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e.policies = "policies: [{name: p, " + strings.ReplaceAll(strings.TrimPrefix(e.policies, "{"), "EMPTY", empty) + "]"
			e.cases = "defaults: {policy: p, identity: {subject: m}}\ncases: [{name: c, " + strings.TrimPrefix(e.cases, "{") + "]"
			report := e.run(t)
			for i := range report.Results {
				if r := &report.Results[i]; !r.Passed() {
					t.Errorf("the page warns of what does not happen: %v %v", r.Differences, r.Err)
				}
			}
		})
	}
}
