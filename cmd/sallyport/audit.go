package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/gateway/auditlog"
	"github.com/sallyport/sallyport/gateway/config"
)

func auditCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Look after audit records",
	}
	cmd.AddCommand(auditVerifyCommand())
	return cmd
}

func auditVerifyCommand() *cobra.Command {
	var keyFile string
	var restarts bool
	cmd := &cobra.Command{
		Use:   "verify FILE...",
		Short: "Prove that no audit record was removed, changed or moved",
		Long: `Read audit files in their order and check the chain of their hashes. The first
break is reported with its line. The chain can't tell whether records are missing
before the first or after the last: compare the numbers, and the last hash with
one that you have noted elsewhere.

Exit codes: 0 where the chain is whole, 1 at a break, 2 for files that can't be read.`,
		Example: `  sallyport audit verify audit-*.log audit.log
  sallyport audit verify --key-file secrets/audit audit.log`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			secret, err := config.ReadSecret("", keyFile)
			if err != nil && !errors.Is(err, config.ErrNoSecret) {
				return err
			}
			v, err := auditlog.NewVerifier([]byte(secret.Reveal()), restarts)
			if err != nil {
				return atRunTime(err)
			}
			for _, name := range files {
				if err := verifyFile(v, name); err != nil {
					return err
				}
			}
			if v.Records == 0 {
				return atRunTime(errors.New("there is no record in it"))
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d records, %d to %d, in %s; the last hash is %s\n",
				v.Records, v.First, v.Last, count(v.Chains, "chain"), v.Head)
			return err
		},
	}
	cmd.Flags().StringVar(&keyFile, "key-file", "", "audit.key_file of the configuration that wrote them")
	cmd.Flags().BoolVar(&restarts, "restarts", false, "chains may begin anew, as on the standard output and in syslog")
	return cmd
}

// verifyFile goes on with one file; a break is a failure, not a fault of the command line.
func verifyFile(v *auditlog.Verifier, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was only read
	err = v.Read(name, f)
	if b, ok := errors.AsType[*auditlog.BreakError](err); ok {
		return atRunTime(b)
	}
	return err
}
