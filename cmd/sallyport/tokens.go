package main

import "github.com/spf13/cobra"

func tokensCommand() *cobra.Command {
	tokens := &cobra.Command{
		Use:   "tokens",
		Short: "Inspect tokens, and take them back",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	tokens.AddCommand(tokensInspectCommand(), tokensRevokeCommand(), tokensRevocationsCommand())
	return tokens
}
