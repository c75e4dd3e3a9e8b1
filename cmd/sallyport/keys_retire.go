package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/gateway"
)

// retiredKey is the answer of the admin API.
type retiredKey struct {
	Key       string `json:"key"`
	SignedOut int    `json:"signed_out"`
	Users     []struct {
		Issuer  string `json:"issuer"`
		Subject string `json:"subject"`
	} `json:"users,omitempty"`
	Resealed   int    `json:"resealed"`
	RemoveFrom string `json:"remove_from,omitempty"`
}

// retirePatience is how long a gateway may look at all sessions.
const retirePatience = 5*time.Minute + 10*time.Second

func keysRetireCommand() *cobra.Command {
	var admin adminFlags
	var asJSON, force bool
	var file string
	cmd := &cobra.Command{
		Use:   "retire signing|sealing KEY",
		Short: "Take a key that was rotated away out of use",
		Long: `Take a key out of use that no longer signs or seals. While something needs it, the
gateway refuses, and says what and until when.

With --force it is done in any case: use it when a key has leaked. For a sealing key,
whose sessions hang on it are signed out, and the answer says who; for a signing key,
verifiers refuse what it has signed.

Tokens of providers and signing keys that the store keeps sealed with the key are
sealed with the current one first. Where the keys are files, --file takes the key out
of one; give the file to every gateway then.`,
		Example: `  sallyport keys retire sealing 3fa91c0277
  sallyport keys retire sealing 3fa91c0277 --file secrets/session-key
  sallyport keys retire signing Cn2qOlkJ0 --force`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ring, err := ringOf(args)
			if err != nil {
				return err
			}
			if ring == ringSigning && file != "" {
				return errors.New("--file is for sealing keys: take the file of a signing key out of assertions.keys_files")
			}
			text := ""
			if file != "" { // before anything is done that can't be undone
				if text, err = readKeysFile(file); err == nil {
					text, err = gateway.RemoveSealingKey(text, args[1])
				}
				if err != nil {
					return fmt.Errorf("%s: %w", file, err)
				}
			}
			client, err := admin.client()
			if err != nil {
				return err
			}
			client.http = &http.Client{Transport: client.http.Transport, Timeout: retirePatience}
			var done retiredKey
			wish := map[string]any{"key": args[1], "force": force}
			if err := client.call(cmd.Context(), "POST", "/keys/"+ring+"/retire", wish, &done); err != nil {
				return err
			}
			if file != "" {
				if err := replaceFile(file, text); err != nil {
					return atRunTime(err)
				}
			}
			if asJSON {
				return writeJSON(cmd, done)
			}
			writeRetired(cmd.OutOrStdout(), ring, file, &done)
			return nil
		},
	}
	admin.add(cmd)
	cmd.Flags().BoolVar(&force, "force", false, "retire it also if something needs it")
	cmd.Flags().StringVar(&file, "file", "", "the file of sealing keys to take it out of")
	cmd.Flags().BoolVar(&asJSON, "json", false, "write JSON")
	return cmd
}

func writeRetired(out io.Writer, ring, file string, done *retiredKey) {
	fmt.Fprintf(out, "The %s key %s is retired.\n", ring, printable(done.Key))
	if done.SignedOut > 0 {
		fmt.Fprintf(out, "Sessions that were ended: %d, of\n", done.SignedOut)
		for _, u := range done.Users {
			fmt.Fprintf(out, "  %s (%s)\n", printable(u.Subject), printable(u.Issuer))
		}
		if len(done.Users) < done.SignedOut {
			fmt.Fprintln(out, "  and maybe others")
		}
	}
	if done.Resealed > 0 {
		fmt.Fprintf(out, "Tokens of providers that were sealed anew: %d\n", done.Resealed)
	}
	switch {
	case file != "":
		fmt.Fprintf(out, "%s holds it no more: give the file to every gateway.\n", file)
	case done.RemoveFrom != "":
		fmt.Fprintf(out, "Take it out of %s on every gateway now.\n", printable(done.RemoveFrom))
	}
}
