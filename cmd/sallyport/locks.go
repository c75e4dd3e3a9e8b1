package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// lockWish is what a lock is to be, as the admin API takes it.
type lockWish struct {
	Subject         string    `json:"subject,omitempty"`
	Issuer          string    `json:"issuer,omitempty"`
	Group           string    `json:"group,omitempty"`
	ProviderSession string    `json:"provider_session,omitempty"`
	Address         string    `json:"address,omitempty"`
	Route           string    `json:"route,omitempty"`
	Until           time.Time `json:"until,omitzero"`
	Reason          string    `json:"reason"`
	Message         string    `json:"message,omitempty"`
	Confirm         bool      `json:"confirm,omitempty"`
}

// madeLock is a lock as the admin API tells of it.
type madeLock struct {
	ID    string `json:"id"`
	State string `json:"state"`
	On    string `json:"on"`
	lockWish
	CreatedAt time.Time `json:"created_at"`
	LiftedAt  time.Time `json:"lifted_at,omitzero"`
	Warnings  []string  `json:"warnings,omitempty"`
}

func lockCommand() *cobra.Command {
	var admin adminFlags
	var wish lockWish
	var until string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "lock",
		Short: "Refuse a user, a group, an address or a route from now on",
		Long: `Lock a user, a group, an issuer, a session at a provider, the address of clients,
or a route. From that moment on every gateway refuses what matches, with every
kind of credential: requests, new sign-ins, and tokens. Streams that are open are
ended within a second. What has several of these must match all of them.

Nobody is signed out: when the lock is lifted (sallyport unlock ID) or has run out,
sessions that still live go on.

What could be on everybody, or on yourself, needs --yes, or a yes on the terminal.

The reason is for operators, in the list and in the audit log; those whom the lock
refuses read the message, if there is one.`,
		Example: `  sallyport lock --subject alice --issuer https://id.example.com --reason "laptop stolen"
  sallyport lock --group contractors --route payroll --until 2026-12-24T18:00:00Z --reason "audit"
  sallyport lock --address 203.0.113.0/24 --until 2h --reason "guesses passwords"
  sallyport lock --route wiki --message "Back at noon." --reason "CVE, patch under way"`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if until != "" {
				at, err := parseEnd(until, time.Now())
				if err != nil {
					return fmt.Errorf("--until: %w", err)
				}
				wish.Until = at
			}
			c, err := admin.client()
			if err != nil {
				return err
			}
			var made madeLock
			err = c.call(cmd.Context(), http.MethodPost, "/locks", wish, &made)
			if e, ok := errors.AsType[*refusedError](err); ok && e.reason == reasonUnconfirmed {
				meant, asked, failed := ask(cmd, printable(e.detail)+". Lock it?")
				switch {
				case failed != nil:
					return failed
				case meant:
					wish.Confirm = true
					err = c.call(cmd.Context(), http.MethodPost, "/locks", wish, &made)
				case asked:
					return errors.New("nothing was locked")
				}
			}
			if err != nil {
				return err
			}
			for _, warning := range made.Warnings {
				fmt.Fprintln(cmd.ErrOrStderr(), "warning: "+printable(warning))
			}
			if asJSON {
				return writeJSON(cmd, made)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "locked: %s, %s\nlift it with: sallyport unlock %s\n", printable(made.On), made.end(), made.ID)
			return nil
		},
	}
	admin.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&wish.Subject, "subject", "", "a user, by the subject that logs show; needs --issuer where there are several")
	flags.StringVar(&wish.Issuer, "issuer", "", "whom this issuer vouches for: alone, all of them")
	flags.StringVar(&wish.Group, "group", "", "the members of a group")
	flags.StringVar(&wish.ProviderSession, "provider-session", "", "what began from one session at a provider, by its id there (sid)")
	flags.StringVar(&wish.Address, "address", "", "clients at an IP address, or in a network such as 203.0.113.0/24")
	flags.StringVar(&wish.Route, "route", "", "a route, by its name; a public one too")
	flags.StringVar(&until, "until", "", "when the lock ends by itself: a time such as 2026-03-01T12:00:00Z, or a span such as 30m, 2h or 7d (default: when it is lifted)")
	flags.StringVar(&wish.Reason, "reason", "", "why, for operators (required)")
	flags.StringVar(&wish.Message, "message", "", "what those read whom it refuses")
	flags.BoolVar(&wish.Confirm, "yes", false, "lock even everybody, or yourself")
	flags.BoolVar(&asJSON, "json", false, "write the lock as JSON")
	cobra.CheckErr(cmd.MarkFlagRequired("reason"))
	cmd.MarkFlagsOneRequired("subject", "issuer", "group", "provider-session", "address", "route")
	return cmd
}

// parseEnd reads a time, or how long it is until then.
func parseEnd(text string, now time.Time) (time.Time, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 && n <= 36500 {
			return now.AddDate(0, 0, n), nil
		}
	}
	if span, err := time.ParseDuration(text); err == nil && span > 0 {
		return now.Add(span), nil
	}
	at, err := parseTime(text, now)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is no time to come: write 2026-03-01T12:00:00Z, 2026-03-01 (UTC), or a span such as 30m, 2h or 7d", text)
	}
	return at, nil
}

func unlockCommand() *cobra.Command {
	var admin adminFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "unlock ID...",
		Short:   "Lift locks",
		Long:    "Lift locks, at every gateway. The ids are those that sallyport locks lists.",
		Example: "  sallyport unlock 7k2m4zq3xw5a",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, ids []string) error {
			c, err := admin.client()
			if err != nil {
				return err
			}
			for _, id := range ids {
				var lifted madeLock
				if err := c.call(cmd.Context(), http.MethodDelete, "/locks/"+url.PathEscape(id), nil, &lifted); err != nil {
					return fmt.Errorf("%s: %w", id, err)
				}
				if asJSON {
					if err := writeJSON(cmd, lifted); err != nil {
						return err
					}
					continue
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", lifted.State, printable(lifted.On))
			}
			return nil
		},
	}
	admin.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "write the locks as JSON")
	return cmd
}

func locksCommand() *cobra.Command {
	var admin adminFlags
	var all, asJSON bool
	cmd := &cobra.Command{
		Use:   "locks",
		Short: "List what is locked",
		Long: `List the locks that are in force (sallyport lock), and with --all those that were
lifted or ran out within the last day.`,
		Example: "  sallyport locks --all",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := admin.client()
			if err != nil {
				return err
			}
			var answer struct {
				Locks []madeLock `json:"locks"`
			}
			if err := c.call(cmd.Context(), http.MethodGet, "/locks", nil, &answer); err != nil {
				return err
			}
			shown := make([]madeLock, 0, len(answer.Locks))
			for _, l := range answer.Locks {
				if all || l.State == "active" {
					shown = append(shown, l)
				}
			}
			answer.Locks = shown
			if asJSON {
				return writeJSON(cmd, answer)
			}
			if len(shown) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "Nothing is locked.")
				return nil
			}
			table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(table, "ID\tLOCKED\tSINCE\tSTATE\tREASON")
			for i := range shown {
				l := &shown[i]
				fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", l.ID, printable(l.On), l.CreatedAt.UTC().Format(time.RFC3339), l.end(), printable(l.Reason))
			}
			return atRunTime(table.Flush())
		},
	}
	admin.add(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "list those as well that ended within the last day")
	cmd.Flags().BoolVar(&asJSON, "json", false, "write the list as JSON")
	return cmd
}

// end says how long the lock is in force, or since when it is not.
func (l *madeLock) end() string {
	switch {
	case l.State == "lifted":
		return "lifted " + l.LiftedAt.UTC().Format(time.RFC3339)
	case l.State == "expired":
		return "ended " + l.Until.UTC().Format(time.RFC3339)
	case l.Until.IsZero():
		return "until it is lifted"
	}
	return "until " + l.Until.UTC().Format(time.RFC3339)
}
