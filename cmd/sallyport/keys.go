package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

func keysCommand() *cobra.Command {
	keys := &cobra.Command{
		Use:   "keys",
		Short: "Work with the keys that the gateway signs with",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	keys.AddCommand(keysListCommand(), keysRotateCommand(), keysGenerateCommand())
	return keys
}

// signingKeys is what the admin API says of the keys.
type signingKeys struct {
	Keys []struct {
		ID          string     `json:"kid"`
		Algorithm   string     `json:"algorithm"`
		State       string     `json:"state"`
		PublishedAt *time.Time `json:"published_at"`
		Until       *time.Time `json:"until"`
	} `json:"keys"`
	SwitchesAt *time.Time `json:"switches_at"`
}

func keysListCommand() *cobra.Command {
	var admin adminFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show the signing keys and what each is for",
		Long: `Ask a running gateway for its signing keys. The current one signs, the next one
is published already and will sign after the next rotation, retired ones are
published until nothing that they signed can be valid.`,
		Example: `  sallyport keys list
  sallyport keys list --json | jq -r '.keys[] | select(.state == "current").kid'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return showKeys(cmd, &admin, asJSON, func(ctx context.Context, c *adminClient, keys *signingKeys) error {
				return c.call(ctx, "GET", "/keys", nil, keys)
			})
		},
	}
	admin.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "write JSON")
	return cmd
}

func keysRotateCommand() *cobra.Command {
	var admin adminFlags
	var asJSON, now bool
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Begin to sign with the next key",
		Long: `Make the next key the current one, on every gateway of the same store, and publish
a new next one. Where the next key has not been published for long enough that
every verifier knows it, the rotation is planned for the time when it has.

With --now it happens at once in any case: use it when a key has leaked. Verifiers
that keep an older key set refuse tokens until they fetch it again.`,
		Example: `  sallyport keys rotate
  sallyport keys rotate --now`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return showKeys(cmd, &admin, asJSON, func(ctx context.Context, c *adminClient, keys *signingKeys) error {
				return c.call(ctx, "POST", "/keys/rotate", map[string]bool{"now": now}, keys)
			})
		},
	}
	admin.add(cmd)
	cmd.Flags().BoolVar(&now, "now", false, "do not wait until every verifier knows the next key")
	cmd.Flags().BoolVar(&asJSON, "json", false, "write JSON")
	return cmd
}

func showKeys(cmd *cobra.Command, flags *adminFlags, asJSON bool, ask func(context.Context, *adminClient, *signingKeys) error) error {
	client, err := flags.client()
	if err != nil {
		return err
	}
	var keys signingKeys
	if err := ask(cmd.Context(), client, &keys); err != nil {
		return err
	}
	if asJSON {
		enc := json.NewEncoder(cmd.OutOrStdout())
		enc.SetIndent("", "  ")
		return atRunTime(enc.Encode(keys))
	}
	return atRunTime(writeKeys(cmd.OutOrStdout(), &keys))
}

func writeKeys(out io.Writer, keys *signingKeys) error {
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

func tableTime(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

func keysGenerateCommand() *cobra.Command {
	var algorithm string
	var sealing bool
	cmd := &cobra.Command{
		Use:   "generate",
		Short: "Print a new key for a file",
		Long: `Print a new private key in PEM (PKCS#8) for assertions.keys_files or, with
--sealing, 32 random bytes in base64 for session.keys_files. No gateway is asked.`,
		Example: `  (umask 077; sallyport keys generate > secrets/signing.pem)
  (umask 077; sallyport keys generate --sealing > secrets/session-key)`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if sealing {
				if cmd.Flags().Changed("algorithm") {
					return errors.New("a sealing key has no algorithm: leave out --algorithm")
				}
				secret := make([]byte, 32)
				rand.Read(secret)
				fmt.Fprintln(cmd.OutOrStdout(), base64.StdEncoding.EncodeToString(secret))
				return nil
			}
			text, err := generateKey(algorithm)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(text)
			return atRunTime(err)
		},
	}
	cmd.Flags().StringVar(&algorithm, "algorithm", "ES256", "ES256 or EdDSA")
	cmd.Flags().BoolVar(&sealing, "sealing", false, "print a sealing key instead")
	return cmd
}

func generateKey(algorithm string) ([]byte, error) {
	var key crypto.Signer
	var err error
	switch algorithm {
	case "ES256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		return nil, fmt.Errorf("--algorithm %q: write ES256 or EdDSA", algorithm)
	}
	if err != nil {
		return nil, atRunTime(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, atRunTime(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
