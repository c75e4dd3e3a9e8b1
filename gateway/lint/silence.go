package lint

import (
	"slices"

	"github.com/sallyport/sallyport/gateway/config"
)

func ownCodes() []Code {
	return []Code{{
		ID: "SP099", Severity: Note, Title: "a finding is silenced that there is not",
		Why:        "What was meant to be so has been mended, or the entry is misspelt. It would silence the same weakness when it comes back.",
		References: []string{"Sallyport docs/lint.md"},
		Bad: `lint:
  ignore:
    - {code: SP010, path: admin.listen, reason: nobody else is on that network}  # SP099
`,
		Good: `lint:
  ignore:
    - {code: SP010, path: admin.listen, reason: nobody else is on that network}
admin: {listen: ":9080", token_file: /run/secrets/admin}
`,
	}}
}

// Silence marks the findings that the configuration says are meant, and adds one
// for each entry that marks none. known tells whether there is a code.
func Silence(cfg *config.Config, findings []Finding, known func(code string) bool) []Finding {
	used := make([]bool, len(cfg.Lint.Ignore))
	for i := range findings {
		f := &findings[i]
		for j := range cfg.Lint.Ignore {
			if entry := &cfg.Lint.Ignore[j]; entry.Covers(f.Code, f.Path) {
				used[j] = true
				if f.Silenced == "" {
					f.Silenced = entry.Reason
				}
			}
		}
	}
	l := &linter{Config: cfg, code: ownCodes()[0]}
	for j, entry := range cfg.Lint.Ignore {
		switch {
		case used[j]:
		case !known(entry.Code):
			l.found(item("lint.ignore", j)+".code", "there is no code "+quoted(entry.Code), "write one of docs/lint.md or docs/policy-lint.md, or remove the entry")
		default:
			l.found(item("lint.ignore", j), entry.Code+" is not found there", "remove the entry, or write the path as `sallyport check` shows it")
		}
	}
	return slices.Concat(findings, l.findings)
}
