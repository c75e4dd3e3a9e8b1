package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

const configFlagHelp = "the configuration file"

func serveCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the gateway",
		Long: `Run the gateway with a configuration file. Every key of the file can also be set
by environment: SALLYPORT_SESSION__IDLE_TIMEOUT=10m.

The configuration is read again when its file changes, at SIGHUP, and by
sallyport reload.

Exit codes: 0 after SIGTERM or SIGINT, 1 when it can't go on, 2 for a command
line or a configuration that can't be used.`,
		Example: `  sallyport serve
  sallyport serve -c /etc/sallyport/config.yaml
  SALLYPORT_SERVER__LISTEN=127.0.0.1:8443 sallyport serve`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := gateway.Load(file, os.Environ())
			if err != nil {
				return err
			}
			return serve(cmd.Context(), cfg, gateway.New, followFile(file), greet, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", "config.yaml", configFlagHelp)
	return cmd
}

// builder is gateway.New, or gateway.NewDevelopment.
type builder func(context.Context, *config.Config, *zap.Logger, string) (*gateway.Gateway, error)

// follower says what the configuration of a gateway follows.
type follower func(*gateway.Gateway, zap.AtomicLevel)

// greeter says what people want to know of a gateway that has just begun to listen.
type greeter func(io.Writer, *config.Config, *gateway.Gateway)

func followFile(file string) follower {
	return func(g *gateway.Gateway, level zap.AtomicLevel) { g.FollowFile(file, os.Environ(), level) }
}

// serve runs a gateway until ctx ends.
func serve(ctx context.Context, cfg *config.Config, build builder, follow follower, greet greeter, stdout, stderr io.Writer) error {
	if cfg.Log.Format == "json" { // who reads the other one is watching
		lines := telemetry.NewLines(stderr)
		defer lines.Close() //nolint:errcheck // nobody is left to be told
		stderr = lines
	}
	log, level, err := telemetry.NewTunedLogger(cfg.Log, stderr)
	if err != nil {
		return err
	}
	defer tuneGC()()
	g, err := build(ctx, cfg, log, version())
	if err != nil {
		return atRunTime(err)
	}
	follow(g, level)
	defer reloadOnHangup(ctx, g)()
	if err := g.Listen(ctx); err != nil {
		return atRunTime(errors.Join(err, g.Close()))
	}
	greet(stdout, cfg, g)
	return atRunTime(g.Run(ctx))
}

// reloadOnHangup reads the configuration again at every SIGHUP, until what it returns
// is called.
func reloadOnHangup(ctx context.Context, g *gateway.Gateway) (stop func()) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-hangups:
				_ = g.Reload(ctx, gateway.TriggerSignal) // it is in the log, and nobody else is there to be told
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() {
		signal.Stop(hangups)
		cancel()
		<-done
	}
}

// greet says where the gateway listens, what it protects, and how to get in.
func greet(w io.Writer, cfg *config.Config, g *gateway.Gateway) {
	var where []string
	for _, a := range g.Addresses() {
		where = append(where, address(a.Listener, a.Addr))
	}
	fmt.Fprintf(w, "Sallyport %s listens on %s", version(), strings.Join(where, ", "))
	if checks := g.ExtAuthzAddr(); checks != nil {
		fmt.Fprintf(w, ", ext_authz on %s", address(config.Listener{}, checks))
	}
	if admin := g.AdminAddr(); admin != nil {
		fmt.Fprintf(w, ", admin on %s", admin)
	}
	fmt.Fprintln(w)
	for _, r := range cfg.Routes {
		guard := "public, no authentication"
		if !r.Public {
			guard = fmt.Sprintf("%s; policy %s", strings.Join(r.Auth, " or "), r.Policy)
		}
		where := strings.Join(r.Paths, " ")
		if len(r.Hosts) > 0 {
			where = strings.Join(r.Hosts, " ") + " " + where
		}
		fmt.Fprintf(w, "  %-12s %s -> %s (%s)\n", r.Name, where, strings.Join(r.Upstream, " "), guard)
	}
	if how := signIn(cfg); how != "" {
		fmt.Fprintf(w, "Open %s and sign in %s.\n", cfg.Server.PublicURL, how)
	}
	for _, p := range cfg.Login.Providers {
		at := cfg.Server.URL().String() + cfg.Server.AuthPrefix
		switch {
		case p.OpenID():
			fmt.Fprintf(w, "At %s, register %s/callback/%s, and for after a sign-out %s/logout/done.\n", p.Title, at, p.Name, at)
		case p.OAuth2():
			fmt.Fprintf(w, "At %s, register %s/callback/%s.\n", p.Title, at, p.Name)
		}
	}
}

// address says where one listener is, and what is special there.
func address(l config.Listener, at net.Addr) string {
	text := at.String()
	if at.Network() == "unix" {
		text = "unix://" + text
	}
	var special []string
	if l.RedirectHTTPS {
		special = append(special, "redirects to https")
	}
	if l.ProxyProtocol {
		special = append(special, "PROXY protocol")
	}
	if l.Policy != "" {
		special = append(special, "policy "+l.Policy)
	}
	if len(special) > 0 {
		text += " (" + strings.Join(special, "; ") + ")"
	}
	return text
}

// signIn says how people sign in; empty where only programs do.
func signIn(cfg *config.Config) string {
	var ways []string
	for _, p := range cfg.Login.Providers {
		switch p.Type {
		case config.ProviderDev:
			names := make([]string, len(p.Identities))
			for i, id := range p.Identities {
				names[i] = id.Subject
			}
			ways = append(ways, "as "+strings.Join(names, ", ")+" (development identities, loopback only)")
		case config.ProviderUsers:
			ways = append(ways, "with a name and password of "+p.File)
		default:
			ways = append(ways, "with "+p.Title)
		}
	}
	return strings.Join(ways, ", or ")
}
