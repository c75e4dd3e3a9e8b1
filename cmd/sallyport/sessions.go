package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// sessionView is a session as the admin API describes it.
type sessionView struct {
	ID              string    `json:"id"`
	Issuer          string    `json:"issuer"`
	Subject         string    `json:"subject"`
	Email           string    `json:"email,omitempty"`
	Name            string    `json:"name,omitempty"`
	Groups          []string  `json:"groups,omitempty"`
	Provider        string    `json:"provider"`
	ProviderSession string    `json:"provider_session,omitempty"`
	Route           string    `json:"route,omitempty"`
	Created         time.Time `json:"created"`
	LastSeen        time.Time `json:"last_seen"`
	IdleEnd         time.Time `json:"idle_end"`
	End             time.Time `json:"end"`
	AuthTime        time.Time `json:"auth_time,omitzero"`
	ACR             string    `json:"acr,omitempty"`
	AMR             []string  `json:"amr,omitempty"`
	Address         string    `json:"address,omitempty"`
	Browser         string    `json:"browser,omitempty"`
	System          string    `json:"system,omitempty"`

	Tokens *sessionTokens `json:"tokens,omitempty"`
}

type sessionTokens struct {
	Refreshes int       `json:"refreshes"`
	Renewable bool      `json:"renewable"`
	Issued    time.Time `json:"issued"`
	Expires   time.Time `json:"expires,omitzero"`
}

type sessionPage struct {
	Sessions []sessionView `json:"sessions"`
	Next     string        `json:"next,omitempty"`
}

func sessionsCommand() *cobra.Command {
	var admin adminFlags
	cmd := &cobra.Command{
		Use:   "sessions",
		Short: "List, show and end the sessions of people",
		Long: `List, show and end the sessions of the people who are signed in, through the admin
API of a running gateway. With a shared store it does not matter which gateway is
asked. A session is named by the first 16 hex digits of the hash of its id, as in
logs and audit records; the id itself, cookies and tokens are never shown.`,
		Example: `  sallyport sessions list --subject alice
  sallyport sessions show 3f2a9c0d11e45b67
  sallyport sessions revoke 3f2a9c0d11e45b67
  sallyport sessions revoke --subject alice --issuer https://id.example.com --yes`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	admin.add(cmd)
	cmd.AddCommand(listSessionsCommand(&admin), showSessionCommand(&admin), revokeSessionsCommand(&admin))
	return cmd
}

func listSessionsCommand(admin *adminFlags) *cobra.Command {
	var asJSON bool
	var limit int
	query := map[string]*string{}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the sessions that go on",
		Long: `List the sessions that go on. Flags narrow the list, and all of them must fit. With
--issuer and one of --subject and --provider-session an index finds the sessions;
everything else is looked for among all, which takes a while where there are many.`,
		Example: `  sallyport sessions list
  sallyport sessions list --subject alice --issuer https://id.example.com
  sallyport sessions list --route payroll --older-than 8h
  sallyport sessions list --idle-longer-than 1d --limit 0 --json | jq -r '.sessions[].id'`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 0 {
				return fmt.Errorf("--limit %d: give a number, or 0 for all", limit)
			}
			q := url.Values{}
			for name, value := range query {
				if *value != "" {
					q.Set(name, *value)
				}
			}
			client, err := admin.client()
			if err != nil {
				return err
			}
			list, more, err := client.sessions(cmd, q, limit)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd, sessionPage{Sessions: list})
			}
			if err := writeSessions(cmd.OutOrStdout(), list, time.Now()); err != nil {
				return atRunTime(err)
			}
			if more {
				fmt.Fprintf(cmd.ErrOrStderr(), "There may be more: these are the first %d. --limit 0 lists all.\n", len(list))
			}
			return nil
		},
	}
	f := cmd.Flags()
	for _, one := range []struct{ name, parameter, help string }{
		{"issuer", "issuer", "of users of this issuer"},
		{"subject", "subject", "of the user with this subject"},
		{"email", "email", "of the user with this e-mail address"},
		{"provider", "provider", "that began at this login provider"},
		{"provider-session", "provider_session", "that began from this session at the provider (its sid)"},
		{"route", "route", "whose sign-in was for this route"},
		{"older-than", "older_than", "that began longer ago than this, such as 12h or 3d"},
		{"idle-longer-than", "idle_longer_than", "that were not used for longer than this"},
	} {
		query[one.parameter] = f.String(one.name, "", one.help)
	}
	f.IntVar(&limit, "limit", 100, "how many to list; 0 lists all")
	f.BoolVar(&asJSON, "json", false, "write them as JSON")
	return cmd
}

// sessions reads page after page until limit sessions are there, or all with 0. more
// says that it stopped before the end.
func (c *adminClient) sessions(cmd *cobra.Command, q url.Values, limit int) (list []sessionView, more bool, err error) {
	const page = 1000
	list = []sessionView{}
	for {
		size := page
		if limit > 0 {
			size = min(page, limit-len(list))
		}
		q.Set("limit", strconv.Itoa(size))
		var answer sessionPage
		if err := c.call(cmd.Context(), http.MethodGet, "/sessions?"+q.Encode(), nil, &answer); err != nil {
			return nil, false, err
		}
		list = append(list, answer.Sessions...)
		if answer.Next == "" {
			return list, false, nil
		}
		if limit > 0 && len(list) >= limit {
			return list, true, nil
		}
		q.Set("after", answer.Next)
	}
}

func showSessionCommand(admin *adminFlags) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show one session",
		Long: `Show one session, by its id as sallyport sessions list shows it: whose it is, from
where it began, when it ends. Its tokens are never shown.`,
		Example: `  sallyport sessions show 3f2a9c0d11e45b67
  sallyport sessions show 3f2a9c0d11e45b67 --json | jq .groups`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := admin.client()
			if err != nil {
				return err
			}
			var s sessionView
			if err := client.call(cmd.Context(), http.MethodGet, "/sessions/"+url.PathEscape(args[0]), nil, &s); err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd, s)
			}
			return atRunTime(s.write(cmd.OutOrStdout(), time.Now()))
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "write it as JSON")
	return cmd
}

func writeSessions(out io.Writer, list []sessionView, now time.Time) error {
	if len(list) == 0 {
		fmt.Fprintln(out, "No session matches.")
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSUBJECT\tE-MAIL\tPROVIDER\tROUTE\tAGE\tIDLE\tFROM")
	for i := range list {
		s := &list[i]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.ID, printable(s.Subject), dashed(s.Email), dashed(s.Provider), dashed(s.Route),
			shortSpan(now.Sub(s.Created)), shortSpan(now.Sub(s.LastSeen)), dashed(s.from()))
	}
	return w.Flush()
}

// from is where a session began, as far as it is known.
func (s *sessionView) from() string {
	var parts []string
	for _, part := range []string{s.Address, s.Browser, s.System} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, " ")
}

func (s *sessionView) write(out io.Writer, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s\t%s\n", name, printable(value))
		}
	}
	at := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		text := t.UTC().Format(time.RFC3339)
		if t.After(now) {
			return text + " (in " + shortSpan(t.Sub(now)) + ")"
		}
		return text + " (" + shortSpan(now.Sub(t)) + " ago)"
	}
	row("session", s.ID)
	row("subject", s.Subject)
	row("issuer", s.Issuer)
	row("e-mail", s.Email)
	row("name", s.Name)
	row("groups", strings.Join(s.Groups, ", "))
	row("provider", s.Provider)
	row("provider session", s.ProviderSession)
	row("route", s.Route)
	row("from", s.from())
	row("signed in", at(s.AuthTime))
	row("proof", strings.Join(append(s.AMR, s.ACR), " "))
	row("began", at(s.Created))
	row("last used", at(s.LastSeen))
	row("ends unused", at(s.IdleEnd))
	row("ends", at(s.End))
	if t := s.Tokens; t != nil {
		row("tokens", fmt.Sprintf("refreshed %s, %s", times(t.Refreshes), map[bool]string{true: "and can be again", false: "and can't be again"}[t.Renewable]))
		row("access token", at(t.Issued))
		row("ends", at(t.Expires))
	}
	return w.Flush()
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return strconv.Itoa(n) + " times"
}

func dashed(s string) string {
	if s == "" {
		return "-"
	}
	return printable(s)
}

// shortSpan is a time span in its two largest units, such as 3d4h or 12m5s.
func shortSpan(d time.Duration) string {
	d = max(0, d).Truncate(time.Second)
	days, hours, minutes, seconds := d/(24*time.Hour), d/time.Hour%24, d/time.Minute%60, d/time.Second%60
	switch {
	case days > 0:
		return fmt.Sprintf("%dd%dh", days, hours)
	case hours > 0:
		return fmt.Sprintf("%dh%dm", hours, minutes)
	case minutes > 0:
		return fmt.Sprintf("%dm%ds", minutes, seconds)
	}
	return fmt.Sprintf("%ds", seconds)
}
