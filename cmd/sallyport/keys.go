package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// The two rings of keys that a gateway has.
const (
	ringSigning = "signing"
	ringSealing = "sealing"
)

func keysCommand() *cobra.Command {
	keys := &cobra.Command{
		Use:   "keys",
		Short: "Work with the keys that the gateway signs and seals with",
		Long: `A gateway has two rings of keys. The signing keys sign what it tells applications
about users. The sealing keys protect its cookies, and seal what it keeps of
providers. Both are exchanged without signing anybody out.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	keys.AddCommand(keysListCommand(), keysRotateCommand(), keysRetireCommand(), keysGenerateCommand())
	return keys
}

// ringOf reads which ring is meant; without a word it is the signing keys.
func ringOf(args []string) (string, error) {
	switch {
	case len(args) == 0 || args[0] == ringSigning:
		return ringSigning, nil
	case args[0] == ringSealing:
		return ringSealing, nil
	}
	return "", fmt.Errorf("there are no %.64q keys: write signing or sealing", args[0])
}

// allKeys is what the admin API says of the keys.
type allKeys struct {
	Keys []struct {
		ID          string     `json:"kid"`
		Algorithm   string     `json:"algorithm"`
		State       string     `json:"state"`
		PublishedAt *time.Time `json:"published_at"`
		Until       *time.Time `json:"until"`
	} `json:"keys"`
	SwitchesAt *time.Time  `json:"switches_at"`
	Trouble    string      `json:"trouble,omitempty"`
	Sealing    sealingKeys `json:"sealing"`
}

type sealingKeys struct {
	Source   string       `json:"source"`
	Files    []string     `json:"files,omitempty"`
	Keys     []sealingKey `json:"keys"`
	Gateways []keyHolder  `json:"gateways"`
}

type sealingKey struct {
	ID        string     `json:"key"`
	State     string     `json:"state"`
	File      string     `json:"file,omitempty"`
	Since     *time.Time `json:"since"`
	StoppedAt *time.Time `json:"stopped_at"`
	Until     *time.Time `json:"until"`
	Unknown   []string   `json:"unknown_to,omitempty"`
}

type keyHolder struct {
	Name  string    `json:"name"`
	Knows []string  `json:"knows"`
	Seals string    `json:"seals_with"`
	Seen  time.Time `json:"seen_at"`
	Self  bool      `json:"self,omitempty"`
}

// find returns the key of that name, or nil.
func (s *sealingKeys) find(name string) *sealingKey {
	i := slices.IndexFunc(s.Keys, func(k sealingKey) bool { return k.ID == name })
	if i < 0 {
		return nil
	}
	return &s.Keys[i]
}

func keysListCommand() *cobra.Command {
	var admin adminFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show the keys, what each is for, and which gateway knows which",
		Long: `Ask a running gateway for its keys. The current one signs or seals. The next
signing key is published already, and will sign after the next rotation; a next
sealing key waits until every gateway of the store knows it. Retired signing keys
are published until nothing that they signed can be valid; old sealing keys open
what they have sealed until they are retired.`,
		Example: `  sallyport keys list
  sallyport keys list --json | jq -r '.sealing.keys[] | select(.state == "old").key'`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return showKeys(cmd, &admin, asJSON, writeKeys, func(ctx context.Context, c *adminClient, keys *allKeys) error {
				return c.call(ctx, "GET", "/keys", nil, keys)
			})
		},
	}
	admin.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "write JSON")
	return cmd
}

func showKeys(cmd *cobra.Command, flags *adminFlags, asJSON bool, write func(io.Writer, *allKeys) error, ask func(context.Context, *adminClient, *allKeys) error) error {
	client, err := flags.client()
	if err != nil {
		return err
	}
	var keys allKeys
	if err := ask(cmd.Context(), client, &keys); err != nil {
		return err
	}
	if asJSON {
		return writeJSON(cmd, keys)
	}
	return atRunTime(write(cmd.OutOrStdout(), &keys))
}

func writeKeys(out io.Writer, keys *allKeys) error {
	fmt.Fprintln(out, "Signing")
	if err := writeSigning(out, keys); err != nil {
		return err
	}
	fmt.Fprintln(out, "\nSealing")
	return writeSealing(out, keys)
}

func writeSigning(out io.Writer, keys *allKeys) error {
	if keys.Trouble != "" {
		fmt.Fprintln(out, keys.Trouble)
		return nil
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "STATE\tALGORITHM\tPUBLISHED\tUNTIL\tKID")
	for _, k := range keys.Keys {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", k.State, k.Algorithm, tableTime(k.PublishedAt), tableTime(k.Until), k.ID)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if keys.SwitchesAt != nil {
		fmt.Fprintf(out, "The next key begins to sign at %s, when every verifier can know it.\n", tableTime(keys.SwitchesAt))
	}
	return nil
}

func writeSealing(out io.Writer, keys *allKeys) error {
	s := &keys.Sealing
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "STATE\tSINCE\tNEEDED UNTIL\tKEY\tKEPT IN")
	for _, k := range s.Keys {
		where := k.File
		if where == "" {
			where = "the store"
			if s.Source == "files" {
				where = "-" // it is another gateway's
			}
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", k.State, tableTime(k.Since), tableTime(k.Until), k.ID, printable(where))
	}
	fmt.Fprintln(table)
	fmt.Fprintln(table, "GATEWAY\tSEALS WITH\tKNOWS")
	for _, g := range s.Gateways {
		fmt.Fprintf(table, "%s\t%s\t%s\n", printable(g.Name), g.Seals, strings.Join(g.Knows, " "))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, k := range s.Keys {
		if k.State == "next" && len(k.Unknown) > 0 {
			fmt.Fprintf(out, "The key %s begins to seal when these know it: %s\n", k.ID, printable(strings.Join(k.Unknown, ", ")))
		}
	}
	return nil
}

func tableTime(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}
