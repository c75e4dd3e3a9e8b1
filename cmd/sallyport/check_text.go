package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/lint"
)

// writeCheck writes a report for people.
func writeCheck(cmd *cobra.Command, r *lint.Report) error {
	if r.Summary.Faults > 0 {
		faults := make(config.Faults, len(r.Faults))
		for i, f := range r.Faults {
			faults[i] = config.Fault(f)
		}
		return faults // as serve would say them
	}
	b := &page{colour: colours(cmd.OutOrStdout())}
	for _, s := range []lint.Severity{lint.Error, lint.Warning, lint.Note} {
		b.findings(s, r.Findings)
	}
	b.silenced(r.Findings)
	b.tried(r.Live)
	b.line("%s: %s", r.File, summary(r))
	if _, err := io.WriteString(cmd.OutOrStdout(), b.String()); err != nil {
		return atRunTime(err)
	}
	return checkVerdict(r)
}

// summary is the one line that a reader in a hurry reads.
func summary(r *lint.Report) string {
	s := r.Summary
	parts := []string{"no faults"}
	for _, one := range []struct {
		n    int
		noun string
	}{{s.Errors, "error"}, {s.Warnings, "warning"}, {s.Notes, "note"}} {
		if one.n > 0 {
			parts = append(parts, count(one.n, one.noun))
		}
	}
	if len(parts) == 1 {
		parts = append(parts, "nothing weak")
	}
	if s.Silenced > 0 {
		parts = append(parts, fmt.Sprintf("%d silenced", s.Silenced))
	}
	if len(r.Live) > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d things tried don't work as they should", s.Weak+s.Failing, len(r.Live)))
	}
	return strings.Join(parts, ", ")
}

// page is text that is being written.
type page struct {
	strings.Builder
	colour bool
}

// The colours of terminals (ECMA-48, section 8.3.117).
const (
	bold   = "1"
	red    = "1;31"
	yellow = "1;33"
	green  = "32"
)

// colours tells whether there is a terminal that wants any (no-color.org).
func colours(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

func (p *page) in(colour, text string) string {
	if !p.colour {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

func (p *page) line(format string, args ...any) {
	p.WriteString(fmt.Sprintf(format, args...) + "\n")
}

func (p *page) heading(colour, text string) { p.line("%s", p.in(colour, text)) }

func (p *page) findings(severity lint.Severity, all []lint.Finding) {
	colour := map[lint.Severity]string{lint.Error: red, lint.Warning: yellow, lint.Note: bold}[severity]
	first := true
	for i := range all {
		f := &all[i]
		if f.Severity != severity || f.Silenced != "" {
			continue
		}
		if first {
			p.heading(colour, strings.ToUpper(string(severity))+"S")
			first = false
		}
		p.line("  %s  %s", where(f), p.in(colour, f.Code))
		p.line("    %s: %s.", printable(f.Path), printable(f.Problem))
		why := printable(f.Why)
		if len(f.References) > 0 {
			why += " (" + strings.Join(f.References, ", ") + ")"
		}
		p.line("    %s", why)
		p.line("    To do: %s.", printable(f.Fix))
	}
	if !first {
		p.line("")
	}
}

func where(f *lint.Finding) string {
	if f.Line > 0 {
		return fmt.Sprintf("%s:%d", printable(f.File), f.Line)
	}
	return printable(f.File)
}

func (p *page) silenced(all []lint.Finding) {
	first := true
	for i := range all {
		f := &all[i]
		if f.Silenced == "" {
			continue
		}
		if first {
			p.heading(bold, "SILENCED")
			first = false
		}
		p.line("  %s  %s  %s: %s", where(f), f.Code, printable(f.Path), printable(f.Silenced))
	}
	if !first {
		p.line("")
	}
}

// tried writes a line for everything that was tried, and below what does not work
// what to do.
func (p *page) tried(all []lint.LiveResult) {
	if len(all) == 0 {
		return
	}
	p.heading(bold, "TRIED")
	colours := map[string]string{lint.LiveOK: green, lint.LiveWeak: yellow, lint.LiveFailing: red, lint.LiveUnknown: bold}
	for _, one := range all {
		p.line("  %s  %s: %s: %s", p.in(colours[one.State], fmt.Sprintf("%-7s", one.State)), printable(one.Subject), one.Check, printable(one.Detail))
		if one.Fix != "" {
			p.line("           To do: %s.", printable(one.Fix))
		}
	}
	p.line("")
}

// explainCode prints what docs/lint.md has of a code.
func explainCode(cmd *cobra.Command, id string) error {
	id = strings.TrimSpace(id)
	code, ok := lint.Lookup(strings.ToUpper(id))
	switch {
	case !ok && gateway.KnownWeakness(id):
		fmt.Fprintf(cmd.OutOrStdout(), "%s is about policies: docs/policy-lint.md has it, with an example.\n", id)
		return nil
	case !ok:
		return fmt.Errorf("there is no code %q: `sallyport check` shows those of a configuration, and docs/lint.md has all", id)
	}
	p := &page{colour: colours(cmd.OutOrStdout())}
	p.line("%s (%s): %s", p.in(bold, code.ID), code.Severity, code.Title)
	p.line("\n%s", code.Why)
	if len(code.References) > 0 {
		p.line("\nSee %s.", strings.Join(code.References, ", "))
	}
	p.line("\nIn place of\n\n%s\nwrite\n\n%s", indented(code.Bad), strings.TrimSuffix(indented(code.Good), "\n"))
	_, err := io.WriteString(cmd.OutOrStdout(), p.String())
	return atRunTime(err)
}

func indented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("    " + line)
	}
	return b.String()
}
