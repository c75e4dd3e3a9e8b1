// Command sallyport is an authentication gateway: a reverse proxy that lets in
// only who may come in, and tells the application who that is.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	_ "time/tzdata" // rules name time zones, and a container from scratch has none

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/gateway/config"
)

// Exit codes, as the documentation promises them.
const (
	exitOK      = 0
	exitFailure = 1 // it could not go on at run time
	exitUsage   = 2 // wrong flags, or a configuration that can't be used
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run executes one command line and returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// After the first signal the default is back: a second one ends at once.
	context.AfterFunc(ctx, stop)

	root := rootCommand()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	if faults, ok := errors.AsType[config.Faults](err); ok {
		fmt.Fprintf(stderr, "The configuration has %s:\n%v\n", count(len(faults), "fault"), faults)
		return exitUsage
	}
	if e, ok := errors.AsType[*casesError](err); ok {
		fmt.Fprintf(stderr, "The cases have %s:\n%v\n", count(len(e.faults), "fault"), e)
		return exitUsage
	}
	if e, ok := errors.AsType[*weakError](err); ok {
		if e.text != "" {
			fmt.Fprintf(stderr, "sallyport: %v\n", err)
		}
		return e.code
	}
	fmt.Fprintf(stderr, "sallyport: %v\n", err)
	if _, ok := errors.AsType[*runError](err); ok {
		return exitFailure
	}
	if cmd == root {
		fmt.Fprintln(stderr, "Run 'sallyport --help' for the commands and their flags.")
	} else {
		fmt.Fprintf(stderr, "Run '%s --help' for its flags.\n", cmd.CommandPath())
	}
	return exitUsage
}

// runError is what went wrong after the command line was understood.
type runError struct{ err error }

func (e *runError) Error() string { return e.err.Error() }
func (e *runError) Unwrap() error { return e.err }

// atRunTime marks an error as one of the run, not of the command line. Faults
// of the configuration stay what they are.
func atRunTime(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[config.Faults](err); ok {
		return err
	}
	return &runError{err}
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "sallyport",
		Short: "An authentication gateway: sessions and JWTs in, identity headers out",
		Long: `Sallyport stands in front of your applications, lets in only who may come in,
and tells the application who that is. Without a command it serves.

Exit codes: 0 after SIGTERM or SIGINT, 1 when it can't go on, 2 for a command
line or a configuration that can't be used.`,
		Example: `  sallyport                               # serve with ./config.yaml
  sallyport serve -c /etc/sallyport.yaml  # serve with another file
  sallyport dev --upstream :3000          # put a login in front of a local app
  sallyport check -c config.yaml          # look for faults without starting`,
		Args:          noArguments,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	serve := serveCommand()
	root.Flags().AddFlagSet(serve.Flags())
	root.RunE = serve.RunE
	root.AddCommand(serve, devCommand(), checkCommand(), schemaCommand(), explainCommand(), policyCommand(), usersCommand(), keysCommand(), tokensCommand(), apiKeysCommand(), auditCommand(), costCommand(), sessionsCommand(), eventsCommand(), topCommand(), reloadCommand(), healthCommand(), importCommand(), manCommand(), completionCommand(), versionCommand())
	root.AddCommand(lockCommand(), locksCommand(), unlockCommand())
	finish(root)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		// The flags of a command that is misspelt are not the root's, but its name is
		// what is wrong.
		if words := cmd.Flags().Args(); cmd == root && len(words) > 0 {
			return noArguments(cmd, words)
		}
		return err
	})
	return root
}

// noArguments refuses words where only flags or a command can be, and says what may
// have been meant.
func noArguments(cmd *cobra.Command, words []string) error {
	if len(words) == 0 {
		return nil
	}
	word := words[0]
	if ext := filepath.Ext(word); (ext == ".yaml" || ext == ".yml") && cmd.Flag("config") != nil {
		return fmt.Errorf("%q is in the wrong place: write -c %s if it is the configuration file", word, word)
	}
	if !cmd.HasSubCommands() || strings.ContainsAny(word, ":/") {
		return fmt.Errorf("%q is in the wrong place: %s takes flags alone, and those of several letters begin with two dashes", word, cmd.Name())
	}
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(word); len(near) > 0 {
		return fmt.Errorf("unknown command %q: did you mean %s?", word, strings.Join(near, " or "))
	}
	return fmt.Errorf("unknown command %q", word)
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
