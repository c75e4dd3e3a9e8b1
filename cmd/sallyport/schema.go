package main

import (
	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/gateway/config"
)

func schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the configuration, for editors",
		Long: `Print the JSON Schema (draft 2020-12) of the configuration. Editors that speak the
YAML language server complete and check a file whose first line is

  # yaml-language-server: $schema=FILE OR URL

What depends on other keys, and whether files are there, only check knows.`,
		Example: `  sallyport schema > sallyport.schema.json`,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(config.JSONSchema())
			return atRunTime(err)
		},
	}
}
