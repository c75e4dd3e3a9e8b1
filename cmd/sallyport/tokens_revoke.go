package main

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// tokenRevocation is a revocation as the admin API has it.
type tokenRevocation struct {
	Issuer       string    `json:"issuer,omitempty"`
	ID           string    `json:"jti,omitempty"`
	Subject      string    `json:"subject,omitempty"`
	IssuedBefore time.Time `json:"issued_before,omitzero"`
	ExpiresAt    time.Time `json:"expires_at,omitzero"`
}

func tokensRevokeCommand() *cobra.Command {
	var admin adminFlags
	var v tokenRevocation
	var before, until string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "revoke",
		Short: "Take JWTs back before they expire",
		Long: `Take tokens back, at every gateway within milliseconds: one token by its jti; all
that a subject was issued until now, or until a time; or all of an issuer.
Streams that were opened with such a token are ended.

A subject's newer tokens are accepted again. Times count in whole seconds, as
in tokens: what was issued within the same second counts as before. A token
without iat counts as issued before any time.

A revocation is kept until nothing that it concerns can be valid: for as long as
max_lifetime of the issuer, or for good where none is configured.`,
		Example: `  sallyport tokens revoke --jti 5f0c3a9e
  sallyport tokens revoke --subject alice --issuer https://id.example.com
  sallyport tokens revoke --issued-before 2026-03-01T12:00:00Z --issuer https://id.example.com
  sallyport tokens revoke --issued-before now`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if v.ID == "" && v.Subject == "" && before == "" {
				return errors.New("name what to revoke: --jti, --subject or --issued-before")
			}
			if v.ID != "" && (v.Subject != "" || before != "") {
				return errors.New("--jti names one token: use it without --subject and --issued-before")
			}
			for _, one := range []struct {
				flag, text string
				to         *time.Time
			}{{"issued-before", before, &v.IssuedBefore}, {"until", until, &v.ExpiresAt}} {
				if one.text == "" {
					continue
				}
				at, err := parseTime(one.text, time.Now())
				if err != nil {
					return fmt.Errorf("--%s: %w", one.flag, err)
				}
				*one.to = at
			}
			c, err := admin.client()
			if err != nil {
				return err
			}
			var kept tokenRevocation
			if err := c.call(cmd.Context(), http.MethodPost, "/tokens/revocations", v, &kept); err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd, kept)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "revoked: %s\nkept: %s\n", kept.what(), kept.kept())
			return nil
		},
	}
	admin.add(cmd)
	cmd.Flags().StringVar(&v.ID, "jti", "", "one token, by its jti")
	cmd.Flags().StringVar(&v.Subject, "subject", "", "the tokens of a subject")
	cmd.Flags().StringVar(&before, "issued-before", "", "what was issued before a time: RFC 3339, seconds since 1970, or now")
	cmd.Flags().StringVar(&v.Issuer, "issuer", "", "of this issuer alone (default: of any)")
	cmd.Flags().StringVar(&until, "until", "", "when the revocation may be forgotten: RFC 3339 or seconds since 1970")
	cmd.Flags().BoolVar(&asJSON, "json", false, "write the answer as JSON")
	return cmd
}

func tokensRevocationsCommand() *cobra.Command {
	var admin adminFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "revocations",
		Short: "List what was revoked",
		Long: `List the revocations of JWTs that are in force: by their id, their user, or the
time before which they were issued.`,
		Example: `  sallyport tokens revocations
  sallyport tokens revocations --json | jq '.revocations[].subject'`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := admin.client()
			if err != nil {
				return err
			}
			var answer struct {
				Revocations []tokenRevocation `json:"revocations"`
			}
			if err := c.call(cmd.Context(), http.MethodGet, "/tokens/revocations", nil, &answer); err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd, answer)
			}
			table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(table, "REVOKED\tISSUER\tKEPT")
			for _, v := range answer.Revocations {
				issuer := v.Issuer
				if issuer == "" {
					issuer = "any"
				}
				fmt.Fprintf(table, "%s\t%s\t%s\n", printable(v.what()), printable(issuer), v.kept())
			}
			return atRunTime(table.Flush())
		},
	}
	admin.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "write the list as JSON")
	return cmd
}

func (v *tokenRevocation) what() string {
	switch {
	case v.ID != "":
		return "token " + v.ID
	case v.Subject != "":
		return fmt.Sprintf("tokens of %s issued before %s", v.Subject, v.IssuedBefore.UTC().Format(time.RFC3339))
	}
	return "every token issued before " + v.IssuedBefore.UTC().Format(time.RFC3339)
}

func (v *tokenRevocation) kept() string {
	if v.ExpiresAt.IsZero() {
		return "for good"
	}
	return "until " + v.ExpiresAt.UTC().Format(time.RFC3339)
}

// parseTime reads a time as people and programs write it.
func parseTime(text string, now time.Time) (time.Time, error) {
	if text == "now" {
		return now, nil
	}
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil && seconds > 0 && seconds < 1<<40 {
		return time.Unix(seconds, 0), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time: write 2026-03-01T12:00:00Z, 2026-03-01 (UTC), seconds since 1970, or now", text)
}
