package main

import (
	"errors"
	"fmt"
	"net/http"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/gateway/config"
)

func reloadCommand() *cobra.Command {
	var admin adminFlags
	var asJSON, only bool
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have a running gateway read its configuration again",
		Long: `Have a running gateway read its configuration again, and tell how that went. Nobody
notices a reload: requests under way end by the configuration that they began with,
streams stay open. Where the file has faults they are listed, and the configuration
before stays in use.

Exit codes: 0 when the configuration was taken, 1 when it was refused or the gateway
does not answer, 2 for a command line that can't be used.`,
		Example: `  sallyport reload
  sallyport reload -c /etc/sallyport/config.yaml
  sallyport reload --status`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := admin.client()
			if faults, ok := errors.AsType[config.Faults](err); ok {
				return showRefused(cmd, faultyFile(faults), asJSON)
			}
			if err != nil {
				return err
			}
			method := http.MethodPost
			if only {
				method = http.MethodGet
			}
			var status reloadStatus
			if err := client.call(cmd.Context(), method, "/reload", nil, &status); err != nil {
				return err
			}
			if !only && status.Last != nil && status.Last.Result == "refused" {
				return showRefused(cmd, status, asJSON)
			}
			if asJSON {
				return writeJSON(cmd, status)
			}
			return status.show(cmd)
		},
	}
	admin.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "answer as JSON")
	cmd.Flags().BoolVar(&only, "status", false, "tell since when the configuration is in use and how the last reload went, and reload nothing")
	return cmd
}

// reloadStatus is what the admin API answers.
type reloadStatus struct {
	Generation int       `json:"generation"`
	Since      time.Time `json:"since"`
	File       string    `json:"file,omitempty"`
	Last       *reloaded `json:"last,omitempty"`
}

type reloaded struct {
	At      time.Time     `json:"at"`
	Trigger string        `json:"trigger"`
	Result  string        `json:"result"`
	Faults  []reloadFault `json:"faults,omitempty"`
	Error   string        `json:"error,omitempty"`
}

type reloadFault struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Path    string `json:"path,omitempty"`
	Problem string `json:"problem"`
	Fix     string `json:"fix,omitempty"`
}

// faultyFile is what a gateway would answer about a file in which not even its own
// address can be found.
func faultyFile(faults config.Faults) (s reloadStatus) {
	s.Last = &reloaded{At: time.Now().UTC().Truncate(time.Second), Trigger: "api", Result: "refused"}
	for _, f := range faults {
		s.Last.Faults = append(s.Last.Faults, reloadFault(f))
	}
	return s
}

func (s *reloadStatus) show(cmd *cobra.Command) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "GENERATION\tIN USE SINCE\tFILE\tLAST RELOAD\tRESULT")
	at, result := "-", "-"
	if s.Last != nil {
		at, result = s.Last.At.Format(time.RFC3339)+" ("+printable(s.Last.Trigger)+")", printable(s.Last.Result)
	}
	fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\n", s.Generation, s.Since.Format(time.RFC3339), printable(s.File), at, result)
	if err := w.Flush(); err != nil {
		return atRunTime(err)
	}
	if s.Last != nil && s.Last.Result == "refused" {
		fmt.Fprintln(cmd.OutOrStdout(), s.Last.why())
	}
	return nil
}

// why is the reason of a answeredError, a fault a line.
func (r *reloaded) why() string {
	if len(r.Faults) == 0 {
		return printable(r.Error)
	}
	var faults config.Faults
	for _, f := range r.Faults {
		faults = append(faults, config.Fault(f))
	}
	return faults.Error()
}

// showRefused ends the command with the reason why the configuration was not taken.
func showRefused(cmd *cobra.Command, s reloadStatus, asJSON bool) error {
	if asJSON {
		if err := writeJSON(cmd, s); err != nil {
			return err
		}
	}
	what := "the configuration can't be taken"
	if n := len(s.Last.Faults); n > 0 {
		what = "the configuration has " + count(n, "fault")
	}
	return &runError{fmt.Errorf("%s, the one before stays in use:\n%s", what, s.Last.why())}
}
