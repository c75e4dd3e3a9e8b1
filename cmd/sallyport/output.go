package main

import (
	"encoding/json"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
)

// writeJSON writes v for programs.
func writeJSON(cmd *cobra.Command, v any) error {
	enc := json.NewEncoder(cmd.OutOrStdout())
	enc.SetIndent("", "  ")
	return atRunTime(enc.Encode(v))
}

// printable makes one line of a text that others have chosen, without anything
// that a terminal would obey.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}
