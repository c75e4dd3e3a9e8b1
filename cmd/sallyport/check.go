package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
)

func checkCommand() *cobra.Command {
	var file string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Look for faults in a configuration, without starting",
		Long: `Load a configuration and build everything that serve would build, without opening
the session store and without listening. Every fault is reported at once, with
its line and what to write.

Exit codes: 0 without a fault, 2 with one.`,
		Example: `  sallyport check
  sallyport check -c /etc/sallyport/config.yaml
  sallyport check --json | jq '.faults[].path'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(file, os.Environ())
			if err == nil {
				err = gateway.Check(cmd.Context(), cfg)
			}
			faults, isFaults := errors.AsType[config.Faults](err)
			if err != nil && !isFaults {
				return err
			}
			if asJSON {
				if err := writeFaults(cmd, faults); err != nil {
					return err
				}
			}
			if len(faults) > 0 {
				return faults
			}
			if !asJSON {
				fmt.Fprintf(cmd.OutOrStdout(), "%s: no faults\n", file)
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", "config.yaml", configFlagHelp)
	cmd.Flags().BoolVar(&asJSON, "json", false, "write the faults as JSON to standard output")
	return cmd
}

func writeFaults(cmd *cobra.Command, faults config.Faults) error {
	type fault struct {
		File    string `json:"file"`
		Line    int    `json:"line,omitempty"`
		Path    string `json:"path"`
		Problem string `json:"problem"`
		Fix     string `json:"fix,omitempty"`
	}
	list := make([]fault, len(faults))
	for i, f := range faults {
		list[i] = fault(f)
	}
	enc := json.NewEncoder(cmd.OutOrStdout())
	enc.SetIndent("", "  ")
	return enc.Encode(map[string][]fault{"faults": list})
}
