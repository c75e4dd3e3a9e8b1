package main

import "github.com/spf13/cobra"

// tokensCommand holds the commands about tokens; each is in a file of its own.
func tokensCommand() *cobra.Command {
	tokens := &cobra.Command{
		Use:   "tokens",
		Short: "Inspect tokens, take them back, and make some in development",
		Args:  noArguments,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	tokens.AddCommand(tokensInspectCommand(), tokensRevokeCommand(), tokensRevocationsCommand(), tokensMintCommand())
	return tokens
}
