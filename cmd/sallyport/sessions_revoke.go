package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// sessionRevocation is the body of POST /sessions/revoke.
type sessionRevocation struct {
	Issuer          string    `json:"issuer,omitempty"`
	Subject         string    `json:"subject,omitempty"`
	ProviderSession string    `json:"provider_session,omitempty"`
	Before          time.Time `json:"before,omitzero"`
}

type revokedCount struct {
	Revoked int `json:"revoked"`
}

func revokeSessionsCommand(admin *adminFlags) *cobra.Command {
	var v sessionRevocation
	var before string
	var yes, asJSON bool
	cmd := &cobra.Command{
		Use:   "revoke [ID...]",
		Short: "End sessions, on every gateway within milliseconds",
		Long: `End sessions: those of the given ids; all of a user; all that began from one session
at the provider; or all that began before a time. Every gateway refuses them within
milliseconds, and ends their open streams within a second. Their users can sign in
again: to keep somebody out, lock him.

Ending more than one session needs --yes, or a yes on the terminal.

Exit codes: 0 when they are ended, 1 when that is not sure (the gateway or its store
does not answer) or a given session is not there, 2 for wrong flags or a no.`,
		Example: `  sallyport sessions revoke 3f2a9c0d11e45b67
  sallyport sessions revoke --subject alice
  sallyport sessions revoke --provider-session 08a5019c --issuer https://id.example.com --yes
  sallyport sessions revoke --before now --yes
  sallyport sessions list --route payroll --limit 0 --json | jq -r '.sessions[].id' | xargs sallyport sessions revoke --yes`,
		RunE: func(cmd *cobra.Command, args []string) error {
			ways := 0
			for _, given := range []bool{len(args) > 0, v.Subject != "", v.ProviderSession != "", before != ""} {
				if given {
					ways++
				}
			}
			switch {
			case ways != 1:
				return errors.New("name what to revoke, in one way: ids, --subject, --provider-session or --before")
			case v.Issuer != "" && v.Subject == "" && v.ProviderSession == "":
				return errors.New("--issuer goes with --subject or --provider-session")
			}
			if before != "" {
				at, err := parseTime(before, time.Now())
				if err != nil {
					return fmt.Errorf("--before: %w", err)
				}
				v.Before = at
			}
			c, err := admin.client()
			if err != nil {
				return err
			}
			c.http.Timeout = 10 * time.Minute // there may be a million
			if len(args) > 0 {
				return c.revokeIDs(cmd, args, yes, asJSON)
			}
			if v.Issuer == "" && v.Before.IsZero() {
				if v.Issuer, err = c.issuerOf(cmd, &v); err != nil {
					return err
				}
			}
			if err := confirm(cmd, yes, "End "+v.what()+"?"); err != nil {
				return err
			}
			var done revokedCount
			if err := c.call(cmd.Context(), http.MethodPost, "/sessions/revoke", v, &done); err != nil {
				return err
			}
			return tellRevoked(cmd, done.Revoked, asJSON)
		},
	}
	f := cmd.Flags()
	f.StringVar(&v.Subject, "subject", "", "all sessions of the user with this subject")
	f.StringVar(&v.ProviderSession, "provider-session", "", "all that began from this session at the provider (its sid)")
	f.StringVar(&v.Issuer, "issuer", "", "whose subject or provider session it is (default: the only issuer that has it)")
	f.StringVar(&before, "before", "", "all that began before a time: RFC 3339, seconds since 1970, or now")
	f.BoolVarP(&yes, "yes", "y", false, "do not ask")
	f.BoolVar(&asJSON, "json", false, "write the answer as JSON")
	return cmd
}

func (v *sessionRevocation) what() string {
	switch {
	case v.Subject != "":
		return fmt.Sprintf("all sessions of %s at %s", printable(v.Subject), printable(v.Issuer))
	case v.ProviderSession != "":
		return fmt.Sprintf("all sessions that began from %s at %s", printable(v.ProviderSession), printable(v.Issuer))
	}
	return "all sessions that began before " + v.Before.UTC().Format(time.RFC3339)
}

// revokeIDs ends sessions one by one, all of them that it can.
func (c *adminClient) revokeIDs(cmd *cobra.Command, ids []string, yes, asJSON bool) error {
	if len(ids) > 1 {
		if err := confirm(cmd, yes, fmt.Sprintf("End %d sessions?", len(ids))); err != nil {
			return err
		}
	}
	n := 0
	var errs []error
	for _, id := range ids {
		var done revokedCount
		if err := c.call(cmd.Context(), http.MethodDelete, "/sessions/"+url.PathEscape(id), nil, &done); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", printable(id), err))
		}
		n += done.Revoked
	}
	return errors.Join(tellRevoked(cmd, n, asJSON), atRunTime(errors.Join(errs...)))
}

func tellRevoked(cmd *cobra.Command, n int, asJSON bool) error {
	if asJSON {
		return writeJSON(cmd, revokedCount{n})
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s ended.\n", count(n, "session"))
	return nil
}

// issuerOf finds the issuer that a user meant, if only one has such sessions.
func (c *adminClient) issuerOf(cmd *cobra.Command, v *sessionRevocation) (string, error) {
	q := url.Values{}
	if v.Subject != "" {
		q.Set("subject", v.Subject)
	} else {
		q.Set("provider_session", v.ProviderSession)
	}
	list, _, err := c.sessions(cmd, q, 0)
	if err != nil {
		return "", err
	}
	var issuers []string
	for i := range list {
		if !slices.Contains(issuers, list[i].Issuer) {
			issuers = append(issuers, list[i].Issuer)
		}
	}
	switch len(issuers) {
	case 0:
		return "", atRunTime(errors.New("no session matches: nothing was ended"))
	case 1:
		return issuers[0], nil
	}
	return "", fmt.Errorf("several issuers have such sessions: say which one with --issuer: %s", printable(strings.Join(issuers, ", ")))
}

// confirm asks on a terminal before something that touches many. Elsewhere it must
// have been confirmed already.
func confirm(cmd *cobra.Command, yes bool, question string) error {
	if yes {
		return nil
	}
	switch meant, asked, err := ask(cmd, question); {
	case !asked:
		return errors.New("this touches more than one session: confirm it with --yes")
	case err != nil:
		return err
	case !meant:
		return errors.New("nothing was ended")
	}
	return nil
}

// ask asks on a terminal; without one, asked is false. Only a clear yes is one.
func ask(cmd *cobra.Command, question string) (meant, asked bool, err error) {
	in, ok := cmd.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return false, false, nil
	}
	fmt.Fprint(cmd.ErrOrStderr(), question+" [y/N] ")
	line, err := bufio.NewReader(io.LimitReader(in, 100)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return false, true, atRunTime(err)
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes", true, nil
}
