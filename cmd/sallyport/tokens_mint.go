package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// mintRequest and minted are those of the admin API.
type mintRequest struct {
	Subject           string         `json:"subject"`
	Email             string         `json:"email,omitempty"`
	Name              string         `json:"name,omitempty"`
	PreferredUsername string         `json:"preferred_username,omitempty"`
	Groups            []string       `json:"groups,omitempty"`
	Audience          string         `json:"audience,omitempty"`
	Lifetime          string         `json:"lifetime"`
	Claims            map[string]any `json:"claims,omitempty"`
}

type minted struct {
	AccessToken string    `json:"access_token"`
	TokenType   string    `json:"token_type"`
	ExpiresIn   int       `json:"expires_in"`
	ExpiresAt   time.Time `json:"expires_at"`
	Issuer      string    `json:"issuer"`
	Audience    string    `json:"audience"`
}

func tokensMintCommand() *cobra.Command {
	var admin adminFlags
	var wish mintRequest
	var lifetime time.Duration
	var claims []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "mint",
		Short: "Make an access token about anybody, in development",
		Long: `Have a running gateway sign an access token about anybody, and print it. That works
only where a login provider of type dev is configured, which lets anybody in
anyway.

The value of a --claim is taken as JSON where it is JSON (true, 3, ["a","b"]), and
as text otherwise.`,
		Example: `  sallyport tokens mint --subject alice --group staff
  curl -H "Authorization: Bearer $(sallyport tokens mint --subject alice)" localhost:8080/api
  sallyport tokens mint --subject alice --claim tenant=acme --claim 'roles=["reader"]' --json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if wish.Subject == "" {
				return errors.New("a token needs a --subject")
			}
			var err error
			if wish.Claims, err = parseClaims(claims); err != nil {
				return err
			}
			wish.Lifetime = lifetime.String()
			client, err := admin.client()
			if err != nil {
				return err
			}
			var got minted
			if err := client.call(cmd.Context(), "POST", "/tokens/mint", wish, &got); err != nil {
				return err
			}
			if asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return atRunTime(enc.Encode(got)) //nolint:gosec // the token is what was asked for
			}
			fmt.Fprintln(cmd.OutOrStdout(), got.AccessToken)
			return nil
		},
	}
	admin.add(cmd)
	cmd.Flags().StringVar(&wish.Subject, "subject", "", "who the token is about")
	cmd.Flags().StringVar(&wish.Email, "email", "", "his e-mail address, taken as verified")
	cmd.Flags().StringVar(&wish.Name, "name", "", "his name")
	cmd.Flags().StringVar(&wish.PreferredUsername, "preferred-username", "", "his user name")
	cmd.Flags().StringArrayVar(&wish.Groups, "group", nil, "a group that he is in; may be given several times")
	cmd.Flags().StringVar(&wish.Audience, "audience", "", "who the token is for (default: the first of tokens.exchange.audiences, or else public_url)")
	cmd.Flags().DurationVar(&lifetime, "lifetime", 5*time.Minute, "how long it is valid: 1s to 1h")
	cmd.Flags().StringArrayVar(&claims, "claim", nil, "another claim, as name=value; may be given several times")
	cmd.Flags().BoolVar(&asJSON, "json", false, "write JSON, with when it ends and for whom it is")
	return cmd
}

func parseClaims(pairs []string) (map[string]any, error) {
	claims := make(map[string]any, len(pairs))
	for _, pair := range pairs {
		name, text, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--claim %q: write name=value", pair)
		}
		if _, twice := claims[name]; twice {
			return nil, fmt.Errorf("--claim %s is given twice: write one with a list, such as %s=[\"a\",\"b\"]", name, name)
		}
		var value any
		if err := json.Unmarshal([]byte(text), &value); err != nil {
			value = text
		}
		claims[name] = value
	}
	return claims, nil
}
