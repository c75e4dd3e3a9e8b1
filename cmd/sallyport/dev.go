package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/sallyport/sallyport/gateway/config"
)

func devCommand() *cobra.Command {
	var upstream, listen string
	cmd := &cobra.Command{
		Use:   "dev --upstream URL",
		Short: "Put a login in front of a local app, without a configuration file",
		Long: `A gateway for your own machine: it listens on loopback only, lets you pick who
you are (alice, who is an admin, or bob, who is not), and forwards to your app
with the identity headers that it would get in production. Sessions are kept in
memory.`,
		Example: `  sallyport dev --upstream :3000
  sallyport dev --upstream http://127.0.0.1:5173 --listen 127.0.0.1:4180`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := devConfig(upstream, listen)
			if err != nil {
				return err
			}
			return serve(cmd.Context(), cfg, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVarP(&upstream, "upstream", "u", "", "where your app listens: a URL, host:port, or :port")
	cmd.Flags().StringVarP(&listen, "listen", "l", "127.0.0.1:8080", "where to listen, on loopback")
	if err := cmd.MarkFlagRequired("upstream"); err != nil {
		panic(err) // the flag is defined two lines above
	}
	return cmd
}

// devConfig makes the configuration that a file would hold, and has it checked
// like one.
func devConfig(upstream, listen string) (*config.Config, error) {
	target, err := devUpstream(upstream)
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, fmt.Errorf("--listen %q: write host:port, such as 127.0.0.1:8080", listen)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("--listen %q: development identities need no password, so this listens on loopback only: write 127.0.0.1:%s", listen, port)
	}
	type m = map[string]any
	text, err := yaml.Marshal(m{
		"server":  m{"listen": listen, "public_url": "http://localhost:" + port},
		"admin":   m{"listen": ""},
		"session": m{"embedded": m{"path": ""}},
		"log":     m{"format": "console"},
		"login": m{"providers": []m{{"name": "dev", "type": "dev", "identities": []m{
			{"subject": "alice", "email": "alice@example.com", "name": "Alice", "groups": []string{"staff", "admin"}},
			{"subject": "bob", "email": "bob@example.com", "name": "Bob", "groups": []string{"staff"}},
		}}}},
		"routes": []m{{"name": "app", "paths": []string{"/"}, "upstream": target, "policy": config.PolicyAuthenticated}},
	})
	if err != nil {
		return nil, err
	}
	return config.Parse("sallyport dev", text, os.Environ())
}

// devUpstream completes the short ways to name a local app.
func devUpstream(s string) (string, error) {
	if _, err := strconv.ParseUint(s, 10, 16); err == nil {
		s = ":" + s
	}
	if strings.HasPrefix(s, ":") {
		s = "localhost" + s
	}
	if !strings.Contains(s, "://") && s != "builtin:echo" {
		s = "http://" + s
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "builtin" && u.Scheme != "unix" && u.Hostname() == "" {
		return "", errors.New("--upstream: write where your app listens, such as http://127.0.0.1:3000 or :3000")
	}
	return strings.TrimSuffix(s, "/"), nil
}
