package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/gateway"
)

func keysGenerateCommand() *cobra.Command {
	var algorithm, file string
	var beside []string
	var sealing bool
	cmd := &cobra.Command{
		Use:   "generate [signing|sealing]",
		Short: "Make a new key for a file",
		Long: `Print a new private key in PEM (PKCS#8) for assertions.keys_files or, with sealing,
32 random bytes in base64 for session.keys_files. With --file the key is written
there, for nobody else to read; a file that exists is left alone. No gateway is
asked.

Gateways tell sealing keys apart by one byte, so that two of them can't stand
together once in 256 times: name the files of the others with --beside, and another
one is drawn.`,
		Example: `  sallyport keys generate signing --file secrets/signing.pem
  sallyport keys generate sealing --file secrets/session-key
  sallyport keys generate sealing --beside secrets/session-key --file secrets/session-key-2`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ring, err := ringOf(args)
			if err != nil {
				return err
			}
			var text string
			switch {
			case ring == ringSealing || sealing:
				if cmd.Flags().Changed("algorithm") {
					return errors.New("a sealing key has no algorithm: leave out --algorithm")
				}
				text, err = generateSealing(beside)
			case len(beside) > 0:
				return errors.New("--beside is for sealing keys")
			default:
				text, err = generateKey(algorithm)
			}
			if err != nil {
				return err
			}
			if file != "" {
				return atRunTime(createSecret(file, text))
			}
			_, err = cmd.OutOrStdout().Write([]byte(text))
			return atRunTime(err)
		},
	}
	cmd.Flags().StringVar(&algorithm, "algorithm", "ES256", "of a signing key: ES256 or EdDSA")
	cmd.Flags().StringVar(&file, "file", "", "write the key to this file, which must not exist")
	cmd.Flags().StringSliceVar(&beside, "beside", nil, "files with the sealing keys that it is to stand beside")
	cmd.Flags().BoolVar(&sealing, "sealing", false, "the same as the word sealing")
	_ = cmd.Flags().MarkHidden("sealing")
	return cmd
}

func generateSealing(beside []string) (string, error) {
	var taken []string
	for _, file := range beside {
		text, err := readKeysFile(file)
		if err != nil {
			return "", err
		}
		names, err := gateway.SealingKeys(text)
		if err != nil {
			return "", fmt.Errorf("%s: %w", file, err)
		}
		taken = append(taken, names...)
	}
	line, _, err := gateway.DrawSealingKey(taken)
	return line + "\n", atRunTime(err)
}

// createSecret writes a file that nobody else can read, and that did not exist.
func createSecret(file, text string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}

func generateKey(algorithm string) (string, error) {
	var key crypto.Signer
	var err error
	switch algorithm {
	case "ES256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		return "", fmt.Errorf("--algorithm %q: write ES256 or EdDSA", algorithm)
	}
	if err != nil {
		return "", atRunTime(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", atRunTime(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}
