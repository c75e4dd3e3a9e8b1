package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sallyport/sallyport/gateway"
)

func usersCommand() *cobra.Command {
	users := &cobra.Command{
		Use:   "users",
		Short: "Work with the accounts of a users file",
		Args:  noArguments,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	users.AddCommand(&cobra.Command{
		Use:   "hash",
		Short: "Turn a password into the hash that a users file holds",
		Long: `Read a password from the terminal, without showing it, or from standard input,
and print its argon2id hash for the password_hash field of a users file.`,
		Example: `  sallyport users hash
  pwgen -s 24 1 | sallyport users hash`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			password, err := readPassword(cmd.InOrStdin(), cmd.ErrOrStderr())
			if err != nil {
				return atRunTime(err)
			}
			hash, err := gateway.HashPassword(password)
			if err != nil {
				return atRunTime(err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), hash)
			return nil
		},
	})
	return users
}

// readPassword asks twice on a terminal, and reads one line from anything else.
func readPassword(in io.Reader, prompt io.Writer) (string, error) {
	if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		first, err := askPassword(f, prompt, "Password: ")
		if err != nil {
			return "", err
		}
		second, err := askPassword(f, prompt, "The same again: ")
		if err != nil {
			return "", err
		}
		if first != second {
			return "", errors.New("the two passwords differ: run the command again")
		}
		return first, nil
	}
	line, err := bufio.NewReader(io.LimitReader(in, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", errors.New("no password was given: write it on standard input")
	}
	return line, nil
}

func askPassword(f *os.File, prompt io.Writer, text string) (string, error) {
	fmt.Fprint(prompt, text)
	b, err := term.ReadPassword(int(f.Fd()))
	fmt.Fprintln(prompt)
	if err != nil {
		return "", err
	}
	if len(b) == 0 {
		return "", errors.New("the password is empty: run the command again")
	}
	return string(b), nil
}
