package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func manCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write the man pages of all commands into a directory",
		Long: `Write the man pages of all commands into a directory, which is made where there is
none: sallyport.1, sallyport-serve.1 and so on. They say the same as --help.
SOURCE_DATE_EPOCH sets their date.`,
		Example: `  sallyport man /usr/local/share/man/man1
  man -l "$(sallyport man ./man1 && echo ./man1/sallyport.1)"`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return atRunTime(writeMan(cmd.Root(), args[0]))
		},
	}
}

func writeMan(root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // everybody reads man pages
		return err
	}
	root.DisableAutoGenTag = true
	header := &doc.GenManHeader{Section: "1", Source: "Sallyport " + version(), Manual: "Sallyport"}
	if os.Getenv("SOURCE_DATE_EPOCH") == "" {
		today := time.Now().UTC().Truncate(24 * time.Hour)
		header.Date = &today
	}
	return doc.GenManTree(root, header, dir)
}

// defaultExits is what the exit codes of a command mean that does not say so itself.
const defaultExits = `Exit codes: 0 when it was done, 1 when it can't be done, 2 for a command line or a
configuration that can't be used.`

// finish gives every command what all have in common.
func finish(cmd *cobra.Command) {
	cmd.InitDefaultHelpFlag()
	if cmd.Runnable() && !strings.Contains(cmd.Long, "Exit codes:") {
		cmd.Long = strings.TrimRight(cmd.Long, "\n") + "\n\n" + defaultExits
	}
	complete(cmd)
	for _, sub := range cmd.Commands() {
		finish(sub)
	}
}

// reference is docs/cli.md: what every command says of itself.
func reference(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString("# Commands\n\n" +
		"What `sallyport COMMAND --help` says, in one page. It is generated from the commands themselves:\n" +
		"`go test ./cmd/sallyport -run Reference -update` writes it anew. `sallyport man DIR` writes the same as man pages, and\n" +
		"`sallyport completion bash` (or zsh, fish, powershell) what a shell needs to complete them, with the names of the routes,\n" +
		"policies and providers of the configuration.\n")
	referTo(&b, root)
	return b.String()
}

func referTo(b *strings.Builder, cmd *cobra.Command) {
	if cmd.Hidden || cmd.Name() == "help" {
		return
	}
	fmt.Fprintf(b, "\n## %s\n\n%s.\n\n", cmd.CommandPath(), strings.TrimSuffix(cmd.Short, "."))
	if long := strings.TrimSpace(cmd.Long); long != "" {
		fmt.Fprintf(b, "```text\n%s\n```\n\n", long)
	}
	if cmd.Runnable() {
		fmt.Fprintf(b, "Usage: `%s`\n\n", cmd.UseLine())
	}
	if cmd.Example != "" {
		fmt.Fprintf(b, "```text\n%s\n```\n\n", strings.TrimRight(cmd.Example, "\n"))
	}
	if flags := strings.TrimRight(cmd.NonInheritedFlags().FlagUsages(), "\n"); flags != "" {
		fmt.Fprintf(b, "```text\n%s\n```\n", flags)
	}
	if flags := strings.TrimRight(cmd.InheritedFlags().FlagUsages(), "\n"); flags != "" {
		fmt.Fprintf(b, "\nAs all of `%s`:\n\n```text\n%s\n```\n", cmd.Parent().CommandPath(), flags)
	}
	for _, sub := range cmd.Commands() {
		referTo(b, sub)
	}
}

// completionCommand takes the place of cobra's own, which says less.
func completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Print what a shell needs to complete command lines",
		Long: `Print the script by which a shell completes commands, flags, and the names of the
routes, policies and providers of the configuration that -c names.`,
		Example: `  source <(sallyport completion bash)
  sallyport completion bash > /etc/bash_completion.d/sallyport
  sallyport completion zsh > "${fpath[1]}/_sallyport"
  sallyport completion fish > ~/.config/fish/completions/sallyport.fish
  sallyport completion powershell | Out-String | Invoke-Expression`,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			root, out := cmd.Root(), cmd.OutOrStdout()
			switch args[0] {
			case "bash":
				return atRunTime(root.GenBashCompletionV2(out, true))
			case "zsh":
				return atRunTime(root.GenZshCompletion(out))
			case "fish":
				return atRunTime(root.GenFishCompletion(out, true))
			}
			return atRunTime(root.GenPowerShellCompletionWithDesc(out))
		},
	}
}
