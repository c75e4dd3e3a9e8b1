package main

import "github.com/spf13/cobra"

// tokensCommand holds the commands about tokens; each is in a file of its own.
func tokensCommand() *cobra.Command {
	tokens := &cobra.Command{
		Use:   "tokens",
		Short: "Work with access tokens",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	tokens.AddCommand(tokensMintCommand())
	return tokens
}
