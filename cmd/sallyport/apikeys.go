package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// apiKey is a key as the admin API describes it.
type apiKey struct {
	Key     string    `json:"key,omitempty"` // only when it was made
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Subject string    `json:"subject"`
	Issuer  string    `json:"issuer"`
	Email   string    `json:"email,omitempty"`
	Groups  []string  `json:"groups,omitempty"`
	Scopes  []string  `json:"scopes,omitempty"`
	Routes  []string  `json:"routes,omitempty"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"`
	Revoked bool      `json:"revoked,omitempty"`
}

func apiKeysCommand() *cobra.Command {
	var admin adminFlags
	cmd := &cobra.Command{
		Use:   "apikeys",
		Short: "Make, list and revoke API keys",
		Long: `Make, list and revoke the API keys of a running gateway, through its admin API.
A key is shown once, when it is made; what is kept is its hash.`,
		Example: `  sallyport apikeys create --name nightly --subject backup --group jobs
  sallyport apikeys list
  sallyport apikeys revoke 3f2a9c0d11e45b67`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	admin.add(cmd)
	cmd.AddCommand(createKeyCommand(&admin), listKeysCommand(&admin), revokeKeyCommand(&admin))
	return cmd
}

func createKeyCommand(admin *adminFlags) *cobra.Command {
	var wish struct {
		Name         string   `json:"name"`
		Subject      string   `json:"subject"`
		Issuer       string   `json:"issuer,omitempty"`
		Email        string   `json:"email,omitempty"`
		Groups       []string `json:"groups,omitempty"`
		Scopes       []string `json:"scopes,omitempty"`
		Routes       []string `json:"routes,omitempty"`
		Lifetime     string   `json:"lifetime,omitempty"`
		NeverExpires bool     `json:"never_expires,omitempty"`
	}
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "create --name NAME --subject SUBJECT",
		Short: "Make an API key and show it, this once",
		Long: `Make an API key. The key alone goes to standard output, what belongs to it to
standard error, so that the key can be sent on to where it is needed. It can't be
shown again.`,
		Example: `  sallyport apikeys create --name nightly --subject backup
  sallyport apikeys create --name ci --subject deployer --group ops --scope deploy --route api --expires 30d
  sallyport apikeys create --name ci --subject deployer --json | jq -r .key`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := admin.client()
			if err != nil {
				return err
			}
			var made apiKey
			if err := client.call(cmd.Context(), http.MethodPost, "/apikeys", &wish, &made); err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd, made)
			}
			fmt.Fprintln(cmd.OutOrStdout(), made.Key)
			fmt.Fprintf(cmd.ErrOrStderr(), "Key %s of %s (%s) %s. Keep it now: it can't be shown again.\n", made.ID, printable(made.Subject), printable(made.Name), untilWhen(&made))
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&wish.Name, "name", "", "what the key is for, to tell it from others")
	f.StringVar(&wish.Subject, "subject", "", "who the application is told the caller is")
	f.StringVar(&wish.Issuer, "issuer", "", `whose user the subject is (default "api_key")`)
	f.StringVar(&wish.Email, "email", "", "e-mail address of the caller")
	f.StringArrayVar(&wish.Groups, "group", nil, "group of the caller; may be repeated")
	f.StringArrayVar(&wish.Scopes, "scope", nil, "scope of the key, for policies; may be repeated")
	f.StringArrayVar(&wish.Routes, "route", nil, "route on which it may be used; may be repeated (default: all that take keys)")
	f.StringVar(&wish.Lifetime, "expires", "", "how long it lives, such as 30d or 12h (default 90d)")
	f.BoolVar(&wish.NeverExpires, "never-expires", false, "make a key that lives until it is revoked")
	f.BoolVar(&asJSON, "json", false, "write the key and what belongs to it as JSON")
	for _, name := range []string{"name", "subject"} {
		_ = cmd.MarkFlagRequired(name) // an error would mean that it was not defined
	}
	cmd.MarkFlagsMutuallyExclusive("expires", "never-expires")
	return cmd
}

func listKeysCommand(admin *adminFlags) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the API keys",
		Long:  `List the API keys that are not over, oldest first, and the revoked ones among them.`,
		Example: `  sallyport apikeys list
  sallyport apikeys list --json | jq '.keys[] | select(.revoked | not) | .id'`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := admin.client()
			if err != nil {
				return err
			}
			var answer struct {
				Keys []apiKey `json:"keys"`
			}
			if err := client.call(cmd.Context(), http.MethodGet, "/apikeys", nil, &answer); err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd, answer)
			}
			return atRunTime(writeAPIKeys(cmd.OutOrStdout(), answer.Keys))
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "write them as JSON")
	return cmd
}

func revokeKeyCommand(admin *adminFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "revoke ID",
		Short: "End an API key, at once and on every gateway",
		Long: `End the API key with this id, as sallyport apikeys list shows it, at once and on
every gateway. Streams that it has opened are ended too.`,
		Example: `  sallyport apikeys revoke 3f2a9c0d11e45b67`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := admin.client()
			if err != nil {
				return err
			}
			if err := client.call(cmd.Context(), http.MethodDelete, "/apikeys/"+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "API key %s is revoked.\n", args[0])
			return nil
		},
	}
}

func writeAPIKeys(out io.Writer, keys []apiKey) error {
	if len(keys) == 0 {
		fmt.Fprintln(out, "There are no API keys.")
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tNAME\tSUBJECT\tGROUPS\tSCOPES\tROUTES\tCREATED\tSTATE")
	for i := range keys {
		k := &keys[i]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, printable(k.Name), printable(k.Subject),
			orDash(k.Groups), orDash(k.Scopes), orDash(k.Routes), k.Created.Format(time.DateOnly), untilWhen(k))
	}
	return w.Flush()
}

func orDash(list []string) string {
	if len(list) == 0 {
		return "-"
	}
	return printable(strings.Join(list, ","))
}

func untilWhen(k *apiKey) string {
	switch {
	case k.Revoked:
		return "revoked"
	case k.Expires.IsZero():
		return "never expires"
	}
	return "until " + k.Expires.UTC().Format("2006-01-02 15:04")
}
