package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/lint"
)

// The forms of a report.
const (
	formatText  = "text"
	formatJSON  = "json"
	formatSARIF = "sarif"
)

func checkCommand() *cobra.Command {
	var file, format, explain string
	var asJSON, live bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Look for faults and weak settings in a configuration, without starting",
		Long: `Load a configuration and build everything that serve would build, without opening
the session store and without listening. Every fault is reported at once, with
its line and what to write; then every weak setting, with a code that docs/lint.md
explains, as --explain does. Odd policies are among them.

What is meant to be so, the configuration says: lint: {ignore: [{code: SP010,
path: admin.listen, reason: only operators are on that network}]}.

With --live everything that the gateway depends on is tried as well: providers,
issuers and their keys, the session store, applications, certificates and clocks.
Nothing is changed there, but for a key in the store that is removed again.

Exit codes: 0 with notes at most; 1 with warnings, errors, or with something that
does not work; 2 with faults, for which serve would not start.`,
		Example: `  sallyport check
  sallyport check -c /etc/sallyport/config.yaml --live
  sallyport check --explain SP010
  sallyport check --json | jq '.findings[] | select(.severity != "note")'
  sallyport check --format sarif > sallyport.sarif`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if explain != "" {
				return explainCode(cmd, explain)
			}
			if asJSON {
				if cmd.Flags().Changed("format") && format != formatJSON {
					return errors.New("--json and --format " + format + " are given together: keep one of them")
				}
				format = formatJSON
			}
			report, err := check(cmd.Context(), file, live)
			if err != nil {
				return err
			}
			switch format {
			case formatText:
				return writeCheck(cmd, report)
			case formatJSON:
				if err := writeJSON(cmd, report); err != nil {
					return err
				}
			case formatSARIF:
				if err := report.SARIF(cmd.OutOrStdout(), version()); err != nil {
					return atRunTime(err)
				}
			default:
				return fmt.Errorf("there is no format %q: write text, json or sarif", format)
			}
			return checkVerdict(report)
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", "config.yaml", configFlagHelp)
	cmd.Flags().StringVar(&format, "format", formatText, "text, json or sarif (2.1.0), to standard output")
	cmd.Flags().BoolVar(&asJSON, "json", false, "the same as --format json")
	cmd.Flags().BoolVar(&live, "live", false, "also try what the gateway depends on")
	cmd.Flags().StringVar(&explain, "explain", "", "explain a code, such as SP010, and nothing else")
	return cmd
}

// check makes the report. Where there are faults, nothing else is looked at: what
// is weak about a configuration that can't be built nobody knows.
func check(ctx context.Context, file string, live bool) (*lint.Report, error) {
	cfg, err := gateway.Load(file, os.Environ())
	if err == nil {
		err = gateway.Check(ctx, cfg)
	}
	var findings []lint.Finding
	if err == nil {
		findings, err = gateway.Weaknesses(cfg, time.Now())
	}
	faults, isFaults := errors.AsType[config.Faults](err)
	if err != nil && !isFaults {
		return nil, err
	}
	var tried []lint.LiveResult
	if live && err == nil {
		tried = gateway.CheckLive(ctx, cfg)
	}
	return lint.NewReport(file, faults, findings, tried), nil
}

// checkVerdict turns a report into an exit code, for those who have shown it.
func checkVerdict(r *lint.Report) error {
	switch {
	case r.Summary.Faults > 0:
		return &weakError{code: exitUsage}
	case r.Weak():
		return &weakError{code: exitFailure}
	}
	return nil
}
