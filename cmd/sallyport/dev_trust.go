package main

import (
	"fmt"
	"io"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/gateway/localca"
)

// certificate is that of --tls.
func (o *devFlags) certificate() (certFile, keyFile string, err error) {
	authority, err := openAuthority(o.caDir)
	if err != nil {
		return "", "", err
	}
	return authority.Certificate(o.host)
}

func openAuthority(dir string) (*localca.Authority, error) {
	if dir == "" {
		var err error
		if dir, err = localca.DefaultDir(); err != nil {
			return nil, fmt.Errorf("there is no configuration directory: name a folder with --ca-dir: %w", err)
		}
	}
	return localca.Open(dir)
}

func devTrustCommand() *cobra.Command {
	var dir string
	var file bool
	cmd := &cobra.Command{
		Use:   "trust",
		Short: "Say how to trust the certificates of sallyport dev --tls",
		Long: `Make the authority whose certificates sallyport dev --tls presents, where there is
none, and print the commands that make this machine and its browsers trust it.
Nothing is changed but its own folder: run the commands that you want. The
authority can vouch for localhost and the names below it alone.

Exit codes: 0 when it is there, 2 when it can't be used.`,
		Example: `  sallyport dev trust
  NODE_EXTRA_CA_CERTS="$(sallyport dev trust --file)" node app.js
  curl --cacert "$(sallyport dev trust --file)" https://localhost:8080/`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			authority, err := openAuthority(dir)
			if err != nil {
				return err
			}
			if file {
				fmt.Fprintln(cmd.OutOrStdout(), authority.RootFile())
				return nil
			}
			writeTrust(cmd.OutOrStdout(), runtime.GOOS, authority)
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "ca-dir", "", "where the authority is kept (default: sallyport/ca in your configuration directory)")
	cmd.Flags().BoolVar(&file, "file", false, "print the name of the root certificate's file, and nothing else")
	return cmd
}

// way is how one program comes to trust a root.
type way struct{ who, how string }

func writeTrust(w io.Writer, system string, a *localca.Authority) {
	root := quoted(a.RootFile())
	fmt.Fprintf(w, "The root certificate is %s\nSHA-256 %s\n", a.RootFile(), a.Fingerprint())
	if a.Trusted() {
		fmt.Fprintln(w, "This system trusts it. To end that, see the commands that begin with #.")
	}
	for _, way := range append(systemTrust(system, root), otherTrust(root)...) {
		fmt.Fprintf(w, "\n%s:\n%s\n", way.who, way.how)
	}
}

func quoted(file string) string { return `"` + file + `"` }

func systemTrust(system, root string) []way {
	nss := way{"Chrome, Chromium and Edge (with certutil, of libnss3-tools or nss-tools)", `  mkdir -p $HOME/.pki/nssdb && certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n sallyport-dev -i ` + root + `
  # certutil -d sql:$HOME/.pki/nssdb -D -n sallyport-dev`}
	switch system {
	case "darwin":
		return []way{{"macOS with Safari, Chrome and Edge", `  security add-trusted-cert -r trustRoot -k ~/Library/Keychains/login.keychain-db ` + root + `
  # security remove-trusted-cert ` + root}}
	case "windows":
		return []way{{"Windows with Edge and Chrome", `  certutil -user -addstore Root ` + root + `
  # certutil -user -delstore Root "Sallyport development"`}}
	}
	return []way{
		{"Debian, Ubuntu", `  sudo cp ` + root + ` /usr/local/share/ca-certificates/sallyport-dev.crt && sudo update-ca-certificates
  # sudo rm /usr/local/share/ca-certificates/sallyport-dev.crt && sudo update-ca-certificates --fresh`},
		{"Fedora, Arch, openSUSE", `  sudo trust anchor ` + root + `
  # sudo trust anchor --remove ` + root},
		nss,
	}
}

func otherTrust(root string) []way {
	return []way{
		{"Firefox", `  Settings, Privacy & Security, View Certificates, Authorities, Import: ` + root + `
  (or set security.enterprise_roots.enabled in about:config, to trust what the system trusts)`},
		{"Node, Python requests, curl: nothing is installed", `  export NODE_EXTRA_CA_CERTS=` + root + `
  export REQUESTS_CA_BUNDLE=` + root + `
  curl --cacert ` + root + ` https://localhost:8080/`},
	}
}
