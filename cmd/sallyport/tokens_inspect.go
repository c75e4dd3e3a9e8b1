package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
)

// errRefused is the end of a command that found what it was asked about wanting.
var errRefused = errors.New("the token would be refused")

func tokensInspectCommand() *cobra.Command {
	var file string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "inspect [TOKEN]",
		Short: "Say whether a JWT would be accepted, and which check fails first",
		Long: `Judge a JWT as a gateway with this configuration would, step by step, and show what
it says. The token is read from standard input where none is given, which keeps
it out of the shell's history. The signature is never shown.

The issuer is asked for its keys where they are not configured. Revocations, and
whether the sender has the key that a token is bound to, are for a running
gateway to judge.

Exit codes: 0 accepted, 1 refused or not to be told now, 2 usage.`,
		Example: `  sallyport tokens inspect < token.txt
  sallyport tokens inspect -c /etc/sallyport.yaml --json < token.txt`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := config.Load(file, os.Environ())
			if err != nil {
				return err
			}
			token, err := readToken(cmd.InOrStdin(), args)
			if err != nil {
				return err
			}
			in := gateway.InspectToken(cmd.Context(), cfg, token)
			if asJSON {
				err = writeJSON(cmd, in)
			} else {
				err = showInspection(cmd.OutOrStdout(), in, time.Now())
			}
			if err == nil && !in.Accepted {
				err = atRunTime(fmt.Errorf("%w: %s", errRefused, in.Reason))
			}
			return err
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", "config.yaml", configFlagHelp)
	cmd.Flags().BoolVar(&asJSON, "json", false, "write the findings as JSON")
	return cmd
}

// readToken takes the token with or without the scheme that it was sent under.
func readToken(in io.Reader, args []string) (string, error) {
	var text string
	if len(args) > 0 && args[0] != "-" {
		text = args[0]
	} else {
		data, err := io.ReadAll(io.LimitReader(in, 64<<10))
		if err != nil {
			return "", atRunTime(err)
		}
		text = string(data)
	}
	text = strings.TrimSpace(text)
	for _, scheme := range []string{"Authorization: ", "Bearer ", "DPoP "} {
		if len(text) > len(scheme) && strings.EqualFold(text[:len(scheme)], scheme) {
			text = strings.TrimSpace(text[len(scheme):])
		}
	}
	if text == "" {
		return "", errors.New("there is no token: give it as an argument or on standard input")
	}
	return text, nil
}

func showInspection(w io.Writer, in *gateway.Inspection, now time.Time) error {
	for _, part := range []struct {
		title string
		data  json.RawMessage
	}{{"Header", in.Header}, {"Claims", in.Claims}} {
		fmt.Fprintln(w, part.title)
		showObject(w, part.data, now)
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, "Checks")
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range in.Checks {
		status := c.Status
		if status == gateway.CheckFailed {
			status = "FAILED"
		}
		if c.Status == gateway.CheckSkipped {
			status = "-"
		}
		fmt.Fprintf(table, "  %s\t%s\t%s\n", c.Name, status, printable(c.Detail))
	}
	if err := table.Flush(); err != nil {
		return atRunTime(err)
	}
	if in.Accepted {
		fmt.Fprintln(w, "\nIt would be accepted.")
		return nil
	}
	fmt.Fprintf(w, "\nIt would be refused: %s\n", in.Reason)
	return nil
}

// showObject prints the members of an object, sorted, dates also as people read
// them.
func showObject(w io.Writer, data json.RawMessage, now time.Time) {
	var members map[string]json.RawMessage
	if data == nil || json.Unmarshal(data, &members) != nil {
		fmt.Fprintln(w, "  (can't be read)")
		return
	}
	names := make([]string, 0, len(members))
	for name := range members {
		names = append(names, name)
	}
	slices.Sort(names)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, name := range names {
		var compact bytes.Buffer
		if json.Compact(&compact, members[name]) != nil {
			continue
		}
		value := compact.String()
		var text string
		if json.Unmarshal(members[name], &text) == nil {
			value = text
		}
		fmt.Fprintf(table, "  %s\t%s%s\n", printable(name), printable(value), dateNote(name, members[name], now))
	}
	_ = table.Flush() // to a writer that has taken everything so far
}

func dateNote(name string, value json.RawMessage, now time.Time) string {
	var seconds float64
	if !slices.Contains([]string{"exp", "iat", "nbf", "auth_time"}, name) || json.Unmarshal(value, &seconds) != nil || seconds < 0 || seconds > 1<<40 {
		return ""
	}
	at := time.Unix(int64(seconds), 0)
	distance := at.Sub(now).Round(time.Second)
	word := "in " + distance.String()
	if distance <= 0 {
		word = (-distance).String() + " ago"
	}
	return fmt.Sprintf("  (%s, %s)", at.UTC().Format(time.RFC3339), word)
}
