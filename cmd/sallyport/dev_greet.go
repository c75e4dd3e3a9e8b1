package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
)

// greet says besides what serve says where the panel is, and what a developer would
// otherwise find out by a refusal.
func (o *devFlags) greet(w io.Writer, cfg *config.Config, g *gateway.Gateway) {
	greet(w, cfg, g)
	fmt.Fprintf(w, "The panel is at %s%s/dev\n", cfg.Server.PublicURL, cfg.Server.AuthPrefix)
	if groups := o.groupsOfNobody(cfg); len(groups) > 0 {
		fmt.Fprintf(w, "None of them is in the group %s: is it spelt right?\n", strings.Join(groups, " or "))
	}
	seen := map[string]bool{}
	for _, r := range cfg.Routes {
		for _, at := range r.Upstream {
			if !seen[at] && !answers(at) {
				fmt.Fprintf(w, "Nothing listens at %s yet: start your app there. The gateway needs no restart.\n", at)
			}
			seen[at] = true
		}
	}
}

// groupsOfNobody are groups of --allow-group that none of the identities has.
func (o *devFlags) groupsOfNobody(cfg *config.Config) []string {
	var groups []string
	for _, group := range o.allowGroups {
		if !slices.ContainsFunc(cfg.Login.Providers[0].Identities, func(id config.DevIdentity) bool { return slices.Contains(id.Groups, group) }) {
			groups = append(groups, group)
		}
	}
	return groups
}

// answers reports whether an application of this machine takes connections. What
// can't be asked like that counts as one that does.
func answers(upstream string) bool {
	u, err := url.Parse(upstream)
	if err != nil || u.Port() == "" || !local(u.Hostname()) {
		return true
	}
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(context.Background(), "tcp", u.Host)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// nobodyElse refuses an app that is the gateway itself, which would ask itself
// without end.
func (o *devFlags) nobodyElse(port string) error {
	app, err := devUpstream("--upstream", o.upstream)
	if err != nil {
		return err
	}
	u, err := url.Parse(app)
	if err != nil {
		return fmt.Errorf("--upstream: %w", err)
	}
	own, _, _ := net.SplitHostPort(o.listen)
	itself := u.Hostname() == own || u.Hostname() == "localhost" || u.Hostname() == "0.0.0.0"
	if u.Port() != port || !itself {
		return nil // 127.0.0.2 has ports of its own
	}
	return fmt.Errorf("--upstream %s: the gateway itself listens at port %s: write the port of your app, or another one for the gateway, such as --listen 127.0.0.1:%s", o.upstream, port, other(port))
}

func other(port string) string {
	if port == "8081" {
		return "8080"
	}
	return "8081"
}

func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && (ip.IsLoopback() || ip.IsUnspecified())
}
