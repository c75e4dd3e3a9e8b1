package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/gateway"
)

func keysRotateCommand() *cobra.Command {
	var admin adminFlags
	var asJSON, now bool
	var file string
	cmd := &cobra.Command{
		Use:   "rotate [signing|sealing]",
		Short: "Begin to sign or to seal with another key",
		Long: `signing (what is meant where nothing is said) makes the next signing key the current
one, on every gateway of the same store, and publishes a new next one. Where the
next key has not been published for long enough that every verifier knows it, the
rotation is planned for the time when it has. With --now it happens at once in any
case: use it when a key has leaked. Verifiers that keep an older key set refuse
tokens until they fetch it again.

sealing makes a new sealing key. Where the store keeps these keys, the gateway does
so at once. Where they are the files of session.keys_files, --file names one of
them, or a copy of it: the new key becomes its first line. Give the file to every
gateway then. Each reads it again by itself, and none seals with the new key before
all know it. To repeat the command before that changes nothing.

Nobody is signed out: what the old key has sealed can be opened until it is retired.`,
		Example: `  sallyport keys rotate signing
  sallyport keys rotate signing --now
  sallyport keys rotate sealing
  sallyport keys rotate sealing --file secrets/session-key`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ring, err := ringOf(args)
			switch {
			case err != nil:
				return err
			case ring == ringSigning && file != "":
				return errors.New("--file is for sealing keys: a new file for assertions.keys_files is made by `sallyport keys generate signing`")
			case ring == ringSealing && now:
				return errors.New("--now is for signing keys: a sealing key waits for nobody but other gateways")
			case file != "":
				return rotateFile(cmd, &admin, file, asJSON)
			case ring == ringSealing:
				return showKeys(cmd, &admin, asJSON, writeSealing, func(ctx context.Context, c *adminClient, keys *allKeys) error {
					return c.call(ctx, "POST", "/keys/sealing/rotate", struct{}{}, keys)
				})
			}
			return showKeys(cmd, &admin, asJSON, writeSigning, func(ctx context.Context, c *adminClient, keys *allKeys) error {
				return c.call(ctx, "POST", "/keys/signing/rotate", map[string]bool{"now": now}, keys)
			})
		},
	}
	admin.add(cmd)
	cmd.Flags().BoolVar(&now, "now", false, "do not wait until every verifier knows the next signing key")
	cmd.Flags().StringVar(&file, "file", "", "the file of sealing keys to change")
	cmd.Flags().BoolVar(&asJSON, "json", false, "write JSON")
	return cmd
}

// changedFile is what was done with a file of keys.
type changedFile struct {
	File    string `json:"file"`
	Key     string `json:"key"`
	Waiting bool   `json:"waiting,omitempty"` // nothing was done: the key is there and does not seal yet
}

// rotateFile puts a new key before the others of a file, unless the first of them
// is one that does not seal yet.
func rotateFile(cmd *cobra.Command, admin *adminFlags, file string, asJSON bool) error {
	client, err := admin.client()
	if err != nil {
		return err
	}
	var keys allKeys
	if err := client.call(cmd.Context(), "GET", "/keys", nil, &keys); err != nil {
		return err
	}
	if keys.Sealing.Source != "files" {
		return errors.New("the store keeps the sealing keys of this gateway: leave out --file")
	}
	text, err := readKeysFile(file)
	if err != nil {
		return err
	}
	names, err := gateway.SealingKeys(text)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if !slices.ContainsFunc(names, func(n string) bool { return keys.Sealing.find(n) != nil }) {
		return fmt.Errorf("%s holds none of the sealing keys of the gateway: is it another one's?", file)
	}
	done := changedFile{File: file, Key: names[0]}
	if first := keys.Sealing.find(names[0]); first == nil || first.State == "next" || len(first.Unknown) > 0 {
		done.Waiting = true
		return tellFile(cmd, asJSON, &done, func(out io.Writer) {
			fmt.Fprintf(out, "Nothing was done: the key %s, the first of %s, does not seal yet.\n", done.Key, file)
			if first == nil {
				fmt.Fprintln(out, "No gateway knows it. Give the file to every gateway.")
			} else if len(first.Unknown) > 0 {
				fmt.Fprintf(out, "Give the file to these gateways as well: %s\n", printable(strings.Join(first.Unknown, ", ")))
			}
		})
	}
	for _, k := range keys.Sealing.Keys {
		names = append(names, k.ID)
	}
	line, name, err := gateway.DrawSealingKey(names)
	if err != nil {
		return atRunTime(err)
	}
	if err := replaceFile(file, gateway.PrependSealingKey(text, line, name)); err != nil {
		return atRunTime(err)
	}
	done.Key = name
	return tellFile(cmd, asJSON, &done, func(out io.Writer) {
		fmt.Fprintf(out, `%s begins with the new key %s now.
Give the file to every gateway of the store. Each reads it by itself, and seals with
the new key when all know it: see "sallyport keys list".
`, file, name)
	})
}

func tellFile(cmd *cobra.Command, asJSON bool, done *changedFile, tell func(io.Writer)) error {
	if asJSON {
		return writeJSON(cmd, done)
	}
	tell(cmd.OutOrStdout())
	return nil
}
