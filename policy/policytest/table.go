package policytest

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// Reports are what came of one run, a report for each file.
type Reports []*Report

// Cases is how many cases there are.
func (r Reports) Cases() int {
	n := 0
	for _, one := range r {
		n += len(one.Results)
	}
	return n
}

// Failed is how many of them have not passed.
func (r Reports) Failed() int {
	n := 0
	for _, one := range r {
		n += one.Failed()
	}
	return n
}

// WriteTable writes the reports for people: every case where all says so, and else
// those that have failed, each with what every rule says of it; then one line for
// each file, and the sum.
func (r Reports) WriteTable(w io.Writer, all bool) error {
	var out bytes.Buffer
	for _, one := range r {
		if all {
			one.table(&out)
		}
		for i := range one.Results {
			if result := &one.Results[i]; !result.Passed() {
				one.explain(&out, result)
			}
		}
	}
	lines := columns(&out)
	for _, one := range r {
		passed, word := len(one.Results)-one.Failed(), "ok"
		if one.Failed() > 0 {
			word = "FAILED"
		}
		fmt.Fprintf(lines, "%s\t%s\t%s\n", word, printable(one.File), passedOf(passed, len(one.Results)))
	}
	_ = lines.Flush() // into memory
	if len(r) > 1 {
		fmt.Fprintf(&out, "\n%s in %s\n", passedOf(r.Cases()-r.Failed(), r.Cases()), count(len(r), "file"))
	}
	return writeTrimmed(w, &out)
}

// writeTrimmed writes lines without the spaces that columns leave at their ends.
func writeTrimmed(w io.Writer, text *bytes.Buffer) error {
	var out strings.Builder
	for line := range strings.Lines(text.String()) {
		out.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// WriteTable is that of Reports, for one.
func (r *Report) WriteTable(w io.Writer, all bool) error { return Reports{r}.WriteTable(w, all) }

func passedOf(passed, all int) string {
	return fmt.Sprintf("%d of %s passed", passed, count(all, "case"))
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func columns(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 0, 2, ' ', 0) }

// table writes a line for each case.
func (r *Report) table(w io.Writer) {
	fmt.Fprintf(w, "%s\n", printable(r.File))
	lines := columns(w)
	fmt.Fprintln(lines, "  \tCASE\tPOLICY\tWANTED\tGOT")
	for i := range r.Results {
		one := &r.Results[i]
		fmt.Fprintf(lines, "  %s\t%s\t%s\t%s\t%s\n", one.status(), printable(one.Case.Name), one.asked(), one.Case.Expect.String(), one.got())
	}
	_ = lines.Flush()
	fmt.Fprintln(w)
}

// explain writes why a case has failed.
func (r *Report) explain(w io.Writer, one *Result) {
	fmt.Fprintf(w, "FAILED %s:%d: %s\n", printable(r.File), one.Case.Line, printable(one.Case.Name))
	one.why(w)
	fmt.Fprintln(w)
}

// why writes what was asked, what differs, and what every rule says.
func (r *Result) why(w io.Writer) {
	in := &r.Case.Input
	lines := columns(w)
	who := in.Identity.Subject
	if who == "" {
		who = "nobody"
	}
	fmt.Fprintf(lines, "  asked\t%s: %s %s by %s at %s\n", r.asked(), printable(in.Request.Method), printable(in.Request.Path), printable(who), in.Now.Format(time.RFC3339))
	if r.Err != nil {
		fmt.Fprintf(lines, "  no decision\t%s\n", printable(r.Err.Error()))
		_ = lines.Flush()
		return
	}
	for _, d := range r.Differences {
		fmt.Fprintf(lines, "  %s\twanted %s, got %s\n", d.What, printable(d.Wanted), printable(d.Got))
	}
	fmt.Fprintf(lines, "  decided\t%s\n", r.got())
	_ = lines.Flush()
	for i := range r.Explanation.Rules {
		r.rule(w, i)
	}
}

func (r *Result) rule(w io.Writer, i int) {
	rule := &r.Explanation.Rules[i]
	says := "does not fit"
	switch {
	case rule.Err != "":
		says = "could not be evaluated"
	case rule.Fits && !rule.Met:
		says = "fits, and asks for another sign-in"
	case rule.Fits:
		says = "fits"
	}
	if rule.Mode == "shadow" {
		says += " (in shadow)"
	}
	fmt.Fprintf(w, "  %s rule %s: %s\n", rule.Effect, printable(rule.Name), says)
	lines := columns(w)
	for _, c := range rule.Checks() {
		has := "; has " + printable(orNone(c.Has))
		if c.Has == "" && (c.Field == "when" || c.Field == "unless") {
			has = "" // it reads nothing
		}
		fmt.Fprintf(lines, "    %s\t%s\twants %s%s\n", c.Answer(), c.Field, printable(c.Wants), has)
		if c.Err != "" {
			fmt.Fprintf(lines, "    \t\t%s\n", printable(c.Err))
		}
	}
	_ = lines.Flush()
}
