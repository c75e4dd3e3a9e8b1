package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/gateway/compat"
)

func importCommand() *cobra.Command {
	imports := &cobra.Command{
		Use:   "import",
		Short: "Turn the configuration of another product into ours",
		Args:  noArguments,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	imports.AddCommand(importOAuth2ProxyCommand())
	return imports
}

func importOAuth2ProxyCommand() *cobra.Command {
	var out, secrets string
	cmd := &cobra.Command{
		Use:   "oauth2-proxy FILE...",
		Short: "Turn a configuration of oauth2-proxy into ours",
		Long: `Read a configuration of oauth2-proxy and write ours, as YAML, to standard output.
What could not be carried over, and what is left to do, is listed on standard error.

A FILE is its configuration file (TOML), its alpha configuration (YAML), an
environment file (OAUTH2_PROXY_...), or its command line: as text, as a YAML list,
or as it stands in a Deployment or a compose file. Which one is found out. Several
of them add up, as they do there. "-" is standard input.

Secrets are never written into the configuration, nor shown. It names files, and the
list says what belongs into each; --secrets-dir writes them.

Exit codes: 0 when everything was carried over, 1 when something was not, 2 when a
file can't be read.`,
		Example: `  sallyport import oauth2-proxy /etc/oauth2-proxy.cfg -o config.yaml --secrets-dir secrets
  sallyport import oauth2-proxy oauth2-proxy.cfg alpha.yaml
  kubectl get deployment oauth2-proxy -o yaml | sallyport import oauth2-proxy -`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			sources, err := readSources(cmd.InOrStdin(), files)
			if err != nil {
				return &weakError{exitUsage, err.Error()}
			}
			folder := secrets
			if folder == "" {
				folder = "secrets"
			}
			result, err := compat.ImportOAuth2Proxy(sources, filepath.ToSlash(folder))
			if err != nil {
				return &weakError{exitUsage, err.Error()}
			}
			if secrets != "" {
				if err := writeSecrets(result); err != nil {
					return &weakError{exitUsage, err.Error()}
				}
			}
			if err := writeImported(cmd.OutOrStdout(), out, result.Config); err != nil {
				return &weakError{exitUsage, err.Error()}
			}
			writeNotes(cmd.ErrOrStderr(), result, secrets != "")
			if !result.Complete() {
				return &weakError{exitFailure, "something could not be carried over: it stands at the top of the list"}
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "write the configuration into this file, which must not be there yet")
	cmd.Flags().StringVar(&secrets, "secrets-dir", "", "write the secrets into files in this folder, readable for their owner alone")
	return cmd
}

func readSources(stdin io.Reader, files []string) ([]compat.Source, error) {
	var sources []compat.Source
	for _, name := range files {
		if name == "-" {
			data, err := io.ReadAll(io.LimitReader(stdin, 2<<20))
			if err != nil {
				return nil, fmt.Errorf("standard input: %w", err)
			}
			sources = append(sources, compat.Source{Name: "standard input", Data: data})
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		sources = append(sources, compat.Source{Name: name, Data: data})
	}
	return sources, nil
}

// writeSecrets writes the values that there are. A file that is there stays as it is.
func writeSecrets(result *compat.Imported) error {
	for _, s := range result.Secrets {
		if s.Value == "" {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(s.File), 0o700); err != nil {
			return err
		}
		if err := writeNew(s.File, []byte(s.Value.Reveal()+"\n"), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func writeImported(stdout io.Writer, file string, text []byte) error {
	if file == "" {
		_, err := stdout.Write(text)
		return err
	}
	return writeNew(file, text, 0o644)
}

// writeNew writes a file that is not there yet.
func writeNew(name string, text []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already: move it away, or write another name", name)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}

// writeNotes lists what the configuration does not say.
func writeNotes(w io.Writer, result *compat.Imported, written bool) {
	titles := map[compat.NoteKind]string{
		compat.Lost: "Not carried over", compat.ToDo: "Left to do", compat.Moot: "Not needed any more",
	}
	var last compat.NoteKind
	for i, n := range result.Notes {
		if i == 0 || n.Kind != last {
			fmt.Fprintf(w, "%s:\n", titles[n.Kind])
		}
		last = n.Kind
		fmt.Fprintf(w, "  %s: %s\n", printable(n.Setting), printable(n.Problem))
		if n.Fix != "" {
			fmt.Fprintf(w, "      To do: %s\n", printable(n.Fix))
		}
	}
	for i, s := range result.Secrets {
		if i == 0 {
			fmt.Fprintln(w, "Files with secrets:")
		}
		state := "write the value of " + s.Setting + " into it"
		switch {
		case s.Value == "":
			state = "is for " + s.Setting + ", whose value is not here"
		case written:
			state = "holds " + s.Setting
		}
		fmt.Fprintf(w, "  %s: %s\n", printable(s.File), printable(strings.TrimSpace(state)))
	}
}
