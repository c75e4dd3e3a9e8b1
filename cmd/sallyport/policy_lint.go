package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
)

// weakError is the end of a command that has told what is wrong already. The text
// may be empty.
type weakError struct {
	code int
	text string
}

func (e *weakError) Error() string { return e.text }

func policyLintCommand() *cobra.Command {
	var file string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "lint",
		Short: "Say what is weak or odd about policies",
		Long: `Read the policies of a configuration, and say which rules can't fit, which others
make pointless or contradict, and which let in more people than they seem to.
Nothing is served, and nothing is opened but the files that the configuration
names.

An error is never meant so, a warning seldom, a note often: a policy can be right
with notes. What each code means, and what to write, is in docs/policy-lint.md.

Exit codes: 0 with notes at most, 1 with warnings, 2 with errors, in the policies or
in the configuration itself.`,
		Example: `  sallyport policy lint
  sallyport policy lint -c /etc/sallyport.yaml
  sallyport policy lint --json | jq '.findings[] | select(.severity != "note")'`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(file, os.Environ())
			if err == nil {
				err = gateway.Check(cmd.Context(), cfg)
			}
			if err != nil {
				return err
			}
			findings, err := gateway.LintPolicies(cfg, time.Now())
			if err != nil {
				return err
			}
			if asJSON {
				if err := writeJSON(cmd, map[string]any{"findings": append([]gateway.LintFinding{}, findings...)}); err != nil {
					return err
				}
			} else if err := writeFindings(cmd.OutOrStdout(), file, findings); err != nil {
				return atRunTime(err)
			}
			return lintVerdict(findings)
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", "config.yaml", configFlagHelp)
	cmd.Flags().BoolVar(&asJSON, "json", false, "write the findings as JSON to standard output")
	return cmd
}

// lintVerdict turns the worst finding into an exit code.
func lintVerdict(findings []gateway.LintFinding) error {
	by := map[string]int{}
	for i := range findings {
		by[findings[i].Severity]++
	}
	text := fmt.Sprintf("the policies have %s, %s and %s", count(by["error"], "error"), count(by["warning"], "warning"), count(by["note"], "note"))
	switch {
	case by["error"] > 0:
		return &weakError{exitUsage, text}
	case by["warning"] > 0:
		return &weakError{exitFailure, text}
	}
	return nil
}

// writeFindings writes one row for each finding, and what it is about below.
func writeFindings(w io.Writer, file string, findings []gateway.LintFinding) error {
	if len(findings) == 0 {
		_, err := fmt.Fprintf(w, "%s: nothing odd about the policies\n", file)
		return err
	}
	rows := [][]string{{"WHERE", "SEVERITY", "CODE", "RULE"}}
	for i := range findings {
		f := &findings[i]
		where := f.File
		if f.Line > 0 {
			where = fmt.Sprintf("%s:%d", f.File, f.Line)
		}
		rule := f.Policy
		if f.Rule != "" {
			rule += ": " + f.Rule
		}
		rows = append(rows, []string{printable(where), f.Severity, f.Code, printable(rule)})
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for i, row := range rows {
		for j, cell := range row[:len(row)-1] {
			b.WriteString(cell + strings.Repeat(" ", widths[j]-utf8.RuneCountInString(cell)+2))
		}
		b.WriteString(row[len(row)-1] + "\n")
		if i == 0 {
			continue
		}
		f := &findings[i-1]
		for _, line := range []string{f.Path + ": " + f.Problem + ".", f.Why, "To do: " + f.Fix + "."} {
			b.WriteString("    " + printable(line) + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
