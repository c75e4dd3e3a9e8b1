package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
)

// devFlags are what a developer says in place of a configuration file.
type devFlags struct {
	config string

	upstream, listen, host string
	admin                  string
	routes, public         []string
	tls                    bool
	caDir                  string

	as          []string
	identities  string
	allowGroups []string
	policy      string
	idle        time.Duration
	absolute    time.Duration
}

func devCommand() *cobra.Command {
	var o devFlags
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Put a login in front of a local app, without a configuration file",
		Long: `A gateway for your own machine: it listens on loopback only, lets you pick who
you are (alice, who is an admin, or bob, who is not), and forwards to your app
with the identity headers that it would get in production. Sessions are kept in
memory. /.auth/dev is a panel that ends your session, makes sign-ins fail, makes
tokens for curl, and shows what your app is told.

Without --upstream, an app is built in that shows what it receives. The policy
and the identities are read again when their files change. With -c, a configuration
file takes the place of the flags, and is read again as well; it must listen on
loopback.

Exit codes: 0 after SIGTERM or SIGINT, 1 when it can't go on, 2 for a command
line or a configuration that can't be used.`,
		Example: `  sallyport dev
  sallyport dev --upstream :3000
  sallyport dev --upstream :3000 --allow-group admin
  sallyport dev --upstream http://127.0.0.1:5173 --listen 127.0.0.1:4180 --tls
  sallyport dev -u :3000 --route /api=:4000 --public /assets/
  sallyport dev -u :3000 --as dana:ops,staff --as eve@corp.example
  sallyport dev -u :3000 --identities people.yaml --policy policies.yaml
  sallyport dev -u :3000 --idle-timeout 1m --absolute-timeout 5m
  sallyport dev -c config.yaml`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if at := os.Getenv(listenVariable); at != "" && !cmd.Flags().Changed("listen") {
				o.listen = at
			}
			cfg, err := o.load(os.Environ())
			if err != nil {
				return err
			}
			err = serve(cmd.Context(), cfg, gateway.NewDevelopment, o.follow(), o.greet, cmd.OutOrStdout(), cmd.ErrOrStderr())
			if errors.Is(err, syscall.EADDRINUSE) && o.config == "" {
				return atRunTime(fmt.Errorf("%w, such as --listen 127.0.0.1:8081", err))
			}
			return err
		},
	}
	o.add(cmd)
	cmd.AddCommand(devTrustCommand())
	return cmd
}

func (o *devFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&o.upstream, "upstream", "u", "", "where your app listens: a URL, host:port, or :port (default: an app that shows what it receives)")
	f.StringVarP(&o.listen, "listen", "l", "127.0.0.1:8080", "where to listen, on loopback")
	f.StringVar(&o.admin, "admin", "", "where the operators' listener is, such as 127.0.0.1:9080 (default: nowhere)")
	f.StringVar(&o.host, "host", "localhost", "what browsers type: localhost, or a name such as app.localhost")
	f.BoolVar(&o.tls, "tls", false, "serve https, with a certificate of an authority that is made for this machine (see dev trust)")
	f.StringVar(&o.caDir, "ca-dir", "", "where that authority is kept (default: sallyport/ca in your configuration directory)")
	f.StringArrayVar(&o.routes, "route", nil, "another app, as /path=URL; may be given several times")
	f.StringArrayVar(&o.public, "public", nil, "a path of the app that needs no sign-in; may be given several times")
	f.StringArrayVar(&o.as, "as", nil, "an identity to pick, as name:group,group or name@host:group; may be given several times")
	f.StringVar(&o.identities, "identities", "", "a YAML file with a list of identities: subject, email, name, groups")
	f.StringArrayVar(&o.allowGroups, "allow-group", nil, "let only this group in; may be given several times")
	f.StringVar(&o.policy, "policy", "", "a file of policies that decide who may come in; FILE#NAME takes another than the first")
	f.DurationVar(&o.idle, "idle-timeout", 30*time.Minute, "end sessions that were not used for this long")
	f.DurationVar(&o.absolute, "absolute-timeout", 12*time.Hour, "end sessions after this long, whatever the activity")
	f.StringVarP(&o.config, "config", "c", "", "serve this configuration file in place of the flags")
	for _, flag := range []string{
		"upstream", "listen", "admin", "host", "tls", "ca-dir", "route", "public", "as", "identities", "allow-group", "policy", "idle-timeout", "absolute-timeout",
	} {
		cmd.MarkFlagsMutuallyExclusive("config", flag)
	}
	cmd.MarkFlagsMutuallyExclusive("as", "identities")
	cmd.MarkFlagsMutuallyExclusive("allow-group", "policy")
}

// load makes the configuration from what the flags and their files say now.
func (o *devFlags) load(environ []string) (*config.Config, error) {
	if o.config == "" {
		return o.generate(environ)
	}
	cfg, err := config.Load(o.config, environ)
	if err != nil {
		return nil, err
	}
	if !cfg.Server.Loopback() || !cfg.Server.ListensLocally() {
		return nil, config.Faults{cfg.Fault("server.listen", "can be reached from other machines, or public_url names one",
			"listen on 127.0.0.1 with a public_url of localhost, or use sallyport serve")}
	}
	return cfg, nil
}

// follow has the gateway follow the files that the flags name.
func (o *devFlags) follow() follower {
	if o.config != "" {
		return followFile(o.config)
	}
	var files []string
	if o.identities != "" {
		files = append(files, o.identities)
	}
	if file, _, _ := strings.Cut(o.policy, "#"); file != "" {
		files = append(files, file)
	}
	return func(g *gateway.Gateway, level zap.AtomicLevel) {
		g.FollowMade(files, func() (*config.Config, error) { return o.load(os.Environ()) }, level)
	}
}
