package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sallyport/sallyport/gateway/config"
)

// devPolicy is what the policy of --allow-group is called.
const devPolicy = "allowed groups"

// listenVariable is where to listen, where no flag says so.
const listenVariable = "SALLYPORT_SERVER__LISTEN"

// object is an object of the configuration that the flags stand for.
type object = map[string]any

// generate makes the configuration that a file would hold, and has it checked
// like one.
func (o *devFlags) generate(environ []string) (*config.Config, error) {
	origin, port, err := o.origin()
	if err != nil {
		return nil, err
	}
	identities, err := o.people()
	if err != nil {
		return nil, err
	}
	if err := o.nobodyElse(port); err != nil {
		return nil, err
	}
	policies, policy, err := o.policies()
	if err != nil {
		return nil, err
	}
	routes, err := o.table(policy)
	if err != nil {
		return nil, err
	}
	// Browsers send a cookie to every port of a host: with a name of its own, no
	// gateway replaces the session of another.
	cookie := "sp-" + port
	server := object{"listen": o.listen, "public_url": origin}
	if o.tls {
		cookie = "__Host-" + cookie
		cert, key, err := o.certificate()
		if err != nil {
			return nil, err
		}
		server["tls"] = object{"cert_file": cert, "key_file": key}
		// Browsers would refuse plain http on every port of localhost.
		server["hsts"] = object{"max_age": "0s"}
	}
	text, err := yaml.Marshal(object{
		"server": server,
		"admin":  object{"listen": o.admin},
		"session": object{
			"embedded": object{"path": ""}, "cookie": object{"name": cookie},
			"idle_timeout": o.idle.String(), "absolute_timeout": o.absolute.String(),
		},
		"log":      object{"format": "console"},
		"login":    object{"providers": []object{{"name": "dev", "type": "dev", "identities": identities}}},
		"policies": policies,
		"routes":   routes,
	})
	if err != nil {
		return nil, err
	}
	return config.Parse("sallyport dev", text, withoutFlags(environ))
}

// withoutFlags leaves out what the flags have said: they are nearer than the
// environment, which may be that of another gateway.
func withoutFlags(environ []string) []string {
	said := []string{
		listenVariable, "SALLYPORT_SERVER__LISTENERS", "SALLYPORT_SERVER__PUBLIC_URL", "SALLYPORT_SERVER__TLS__CERT_FILE",
		"SALLYPORT_SERVER__TLS__KEY_FILE", "SALLYPORT_SERVER__HSTS__MAX_AGE", "SALLYPORT_ADMIN__LISTEN", "SALLYPORT_SESSION__STORE",
		"SALLYPORT_SESSION__EMBEDDED__PATH", "SALLYPORT_SESSION__COOKIE__NAME", "SALLYPORT_SESSION__IDLE_TIMEOUT",
		"SALLYPORT_SESSION__ABSOLUTE_TIMEOUT", "SALLYPORT_LOGIN__PROVIDERS", "SALLYPORT_POLICIES", "SALLYPORT_ROUTES",
	}
	return slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains(said, name)
	})
}

// origin is what browsers type, and the port in it.
func (o *devFlags) origin() (origin, port string, err error) {
	host, port, err := net.SplitHostPort(o.listen)
	if err != nil {
		return "", "", fmt.Errorf("--listen %q: write host:port, such as 127.0.0.1:8080", o.listen)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return "", "", fmt.Errorf("--listen %q: development identities need no password, so this listens on loopback only: write 127.0.0.1:%s", o.listen, port)
	}
	name := strings.ToLower(o.host)
	if name != "localhost" && !strings.HasSuffix(name, ".localhost") {
		return "", "", fmt.Errorf("--host %q: write localhost or a name below it, such as app.localhost, which browsers find on this machine", o.host)
	}
	scheme := "http"
	if o.tls {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(name, port), port, nil
}

// table is the app at /, and what is beside it.
func (o *devFlags) table(policy string) ([]object, error) {
	app, err := devUpstream("--upstream", o.upstream)
	if err != nil {
		return nil, err
	}
	var routes []object
	for i, path := range o.public {
		if !strings.HasPrefix(path, "/") {
			return nil, fmt.Errorf("--public %q: write a path that begins with /", path)
		}
		routes = append(routes, object{"name": numbered("public", i), "paths": []string{path}, "upstream": app, "public": true})
	}
	for i, route := range o.routes {
		path, target, ok := strings.Cut(route, "=")
		if !ok || !strings.HasPrefix(path, "/") {
			return nil, fmt.Errorf("--route %q: write /path=URL, such as /api=:4000", route)
		}
		upstream, err := devUpstream("--route "+path, target)
		if err != nil {
			return nil, err
		}
		routes = append(routes, protected(numbered("route", i), path, upstream, policy))
	}
	return append(routes, protected("app", "/", app, policy)), nil
}

func numbered(name string, i int) string {
	if i == 0 {
		return name
	}
	return name + "-" + strconv.Itoa(i+1)
}

// protected is a route that takes the tokens of the panel as well.
func protected(name, path, upstream, policy string) object {
	return object{
		"name": name, "paths": []string{path}, "upstream": upstream, "policy": policy,
		"auth": []string{config.AuthSession, config.AuthBearer},
	}
}

// policies are those that the flags name, and which of them decides.
func (o *devFlags) policies() (list any, name string, err error) {
	switch {
	case len(o.allowGroups) > 0:
		return []object{{
			"name":  devPolicy,
			"rules": []object{{"allow": object{"groups": o.allowGroups}}},
		}}, devPolicy, nil
	case o.policy == "":
		return []object{}, config.PolicyAuthenticated, nil
	}
	file, name, _ := strings.Cut(o.policy, "#")
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, "", fmt.Errorf("--policy: %w", err)
	}
	cfg, err := config.ParsePolicies("", file, text)
	if err != nil {
		return nil, "", err
	}
	var alone struct {
		Policies []yaml.Node `yaml:"policies"`
	}
	if err := yaml.Unmarshal(text, &alone); err != nil {
		return nil, "", fmt.Errorf("--policy %s: %w", file, err)
	}
	names := make([]string, len(cfg.Policies))
	for i, p := range cfg.Policies {
		if names[i] = p.Name; name == "" || p.Name == name {
			return alone.Policies, p.Name, nil
		}
	}
	return nil, "", fmt.Errorf("--policy %s: no policy is called %q: write one of %s", file, name, strings.Join(names, ", "))
}

// devUpstream completes the short ways to name a local app.
func devUpstream(flag, s string) (string, error) {
	if s == "" && flag == "--upstream" {
		return "builtin:echo", nil
	}
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
		return "", errors.New(flag + ": write where your app listens, such as http://127.0.0.1:3000 or :3000")
	}
	return strings.TrimSuffix(s, "/"), nil
}
