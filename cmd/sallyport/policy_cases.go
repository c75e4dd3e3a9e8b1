package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/policy/policytest"
)

// policyTests are the flags of policy test.
type policyTests struct {
	config      string
	junit       string
	coverage    bool
	coverageMin float64
	asJSON      bool
	verbose     bool
}

// casesError is what is wrong in test files.
type casesError struct{ faults policytest.Faults }

func (e *casesError) Error() string { return e.faults.Error() }

func policyTestCommand() *cobra.Command {
	var o policyTests
	cmd := &cobra.Command{
		Use:   "test FILE...",
		Short: "Ask policies what they decide in cases that you have written down",
		Long: `Ask the policies of a configuration what they decide in the cases of test files,
and compare that with what the cases expect. Nothing is served, and nothing is
opened but the files that the configuration names. External authorizers are not
asked: a case says what they answer.

A test file is YAML, and is about the policies of the configuration that it names,
or else of that of -c. A file that ends in .txtar is an archive which brings its
policies along.

Exit codes: 0 when every case got what it expects, 1 when one did not or too few
rules were reached, 2 when a file can't be used.`,
		Example: `  sallyport policy test policies/*_cases.yaml
  sallyport policy test -v -c /etc/sallyport.yaml cases.yaml
  sallyport policy test --coverage-min 100 --junit report.xml cases.yaml
  sallyport policy test --json cases.yaml | jq '.files[].cases[] | select(.passed | not)'`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			if o.coverageMin < 0 || o.coverageMin > 100 {
				return errors.New("--coverage-min: write a percentage from 0 to 100")
			}
			return o.run(cmd, files)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.config, "config", "c", "config.yaml", "configuration file of test files that name none")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "show every case, not only those that failed")
	f.BoolVar(&o.coverage, "coverage", false, "show which rules the cases reach")
	f.Float64Var(&o.coverageMin, "coverage-min", 0, "fail unless the cases reach this percentage of the rules")
	f.StringVar(&o.junit, "junit", "", "also write the results as JUnit XML into this file")
	f.BoolVar(&o.asJSON, "json", false, "write the results as JSON to standard output")
	return cmd
}

func (o *policyTests) run(cmd *cobra.Command, names []string) error {
	files, err := o.parse(names)
	if err != nil {
		return err
	}
	policies, err := casePolicies(files)
	if err != nil {
		return err
	}
	var coverage policytest.Coverage
	var reports policytest.Reports
	for i, file := range files {
		for _, set := range policies[i].All() {
			coverage.Declare(file.Config, set)
		}
		report := policytest.Run(cmd.Context(), file, policies[i].Find)
		coverage.Add(report)
		reports = append(reports, report)
	}
	if o.junit != "" {
		if err := writeJUnit(o.junit, reports); err != nil {
			return atRunTime(err)
		}
	}
	if err := o.write(cmd, reports, &coverage); err != nil {
		return atRunTime(err)
	}
	return atRunTime(o.verdict(reports, &coverage))
}

// parse reads the files and reports everything that is wrong in any of them.
func (o *policyTests) parse(names []string) ([]*policytest.File, error) {
	var files []*policytest.File
	var faults policytest.Faults
	now := time.Now()
	for _, name := range names {
		text, err := readCases(name)
		if err != nil {
			faults = append(faults, unreadableCases(name, err))
			continue
		}
		file, err := policytest.Parse(name, text, now)
		if found, ok := errors.AsType[policytest.Faults](err); ok {
			faults = append(faults, found...)
			continue
		}
		if err != nil {
			return nil, err
		}
		if file.Config == "" {
			file.Config = filepath.Clean(o.config) // as Parse leaves the names that files write
		}
		files = append(files, file)
	}
	if len(faults) > 0 {
		return nil, &casesError{faults}
	}
	return files, nil
}

// readCases reads as much of a file as is needed to see that it is too large.
func readCases(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, policytest.MaxFile+1))
}

func unreadableCases(name string, err error) policytest.Fault {
	if cause, ok := errors.AsType[*fs.PathError](err); ok {
		err = cause.Err
	}
	return policytest.Fault{File: name, Problem: "the file cannot be read (" + err.Error() + ")", Fix: "name a file of cases"}
}

// casePolicies compiles the policies that each file asks, those of one configuration
// once, and looks for a policy for every case.
func casePolicies(files []*policytest.File) ([]*gateway.Policies, error) {
	known := map[string]*gateway.Policies{}
	var all []*gateway.Policies
	var unusable config.Faults
	for _, file := range files {
		policies, seen := known[file.Config]
		if !seen {
			var err error
			policies, err = gateway.CasePolicies(file, os.Environ())
			faults, ok := errors.AsType[config.Faults](err)
			if err != nil && !ok {
				return nil, atRunTime(err)
			}
			unusable = append(unusable, faults...)
			known[file.Config] = policies
		}
		all = append(all, policies)
	}
	if len(unusable) > 0 {
		return nil, unusable
	}
	var faults policytest.Faults
	for i, file := range files {
		for j := range file.Cases {
			c := &file.Cases[j]
			if _, err := all[i].Find(c); err != nil {
				faults = append(faults, policytest.Fault{File: file.Name, Line: c.Line, Problem: err.Error()})
			}
		}
	}
	if len(faults) > 0 {
		return nil, &casesError{faults}
	}
	return all, nil
}

func (o *policyTests) write(cmd *cobra.Command, reports policytest.Reports, coverage *policytest.Coverage) error {
	out := cmd.OutOrStdout()
	wanted := o.coverage || o.coverageMin > 0
	if o.asJSON {
		if !wanted {
			coverage = nil
		}
		return reports.WriteJSON(out, coverage)
	}
	if err := reports.WriteTable(out, o.verbose); err != nil || !wanted {
		return err
	}
	fmt.Fprintln(out)
	return coverage.WriteTable(out)
}

func writeJUnit(name string, reports policytest.Reports) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(reports.WriteJUnit(f), f.Close())
}

// verdict is what the run comes to.
func (o *policyTests) verdict(reports policytest.Reports, coverage *policytest.Coverage) error {
	var wrong []string
	if failed := reports.Failed(); failed > 0 {
		wrong = append(wrong, fmt.Sprintf("%d of %s failed", failed, count(reports.Cases(), "case")))
	}
	if reached := coverage.Percent(); reached < o.coverageMin {
		wrong = append(wrong, fmt.Sprintf("the cases reach %.1f%% of the rules, and %g%% are wanted", reached, o.coverageMin))
	}
	if len(wrong) == 0 {
		return nil
	}
	return errors.New(strings.Join(wrong, "; "))
}
