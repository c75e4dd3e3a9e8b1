package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/jose"
	"github.com/sallyport/sallyport/gateway/jwks"
	"github.com/sallyport/sallyport/gateway/session/valkeystore"
)

// tokenTrials are for those who vouch for tokens, and those who are asked.
func tokenTrials(cfg *config.Config) []trial {
	var all []trial
	for i := range cfg.Tokens.Issuers {
		c := &cfg.Tokens.Issuers[i]
		if c.Secret == "" && c.SecretFile == "" {
			all = append(all, trial{"issuer " + c.Issuer, fmt.Sprintf("tokens.issuers[%d].issuer", i), func(ctx context.Context, t *tried) { t.issuer(ctx, cfg, c) }})
		}
	}
	for i := range cfg.Tokens.Introspection {
		s := &cfg.Tokens.Introspection[i]
		all = append(all, trial{"introspection " + s.Name, fmt.Sprintf("tokens.introspection[%d].endpoint", i), func(ctx context.Context, t *tried) {
			t.reach(ctx, "connection", s.Endpoint, cfg.FileName(s.CAFile))
		}})
	}
	for i := range cfg.Policies {
		if a := cfg.Policies[i].Authorizer; a != nil {
			all = append(all, trial{"authorizer of " + cfg.Policies[i].Name, policyPath(i) + ".authorizer.url", func(ctx context.Context, t *tried) {
				t.reach(ctx, "connection", a.URL, cfg.FileName(a.CAFile))
			}})
		}
	}
	return all
}

func (t *tried) issuer(ctx context.Context, cfg *config.Config, c *config.TokenIssuer) {
	if c.JWKSFile != "" {
		text, err := os.ReadFile(cfg.FileName(c.JWKSFile))
		if err == nil {
			var set *jose.KeySet
			var dropped int
			if set, dropped, err = jose.ParseKeySet(text); err == nil {
				t.usable(set, dropped, "tokens", c.Algorithms)
				return
			}
		}
		t.failing("jwks", err.Error(), "name a file with a key set (RFC 7517, section 5) in jwks_file")
		return
	}
	client, w, err := watched(cfg.FileName(c.CAFile), c.Issuer, "")
	if err != nil {
		t.failing("jwks", err.Error(), "name a file with certificates in PEM in ca_file")
		return
	}
	defer client.CloseIdleConnections()
	address := c.JWKSURL
	if address == "" {
		meta, err := jwks.Discover(ctx, client, c.Issuer, c.InsecureHTTP)
		if err != nil {
			t.failing("discovery", err.Error(), "write jwks_url, or make "+strings.TrimSuffix(c.Issuer, "/")+"/.well-known/openid-configuration reachable from this machine")
			return
		}
		t.ok("discovery", "the document is that of "+c.Issuer)
		ctx, address = meta.Context(ctx), meta.JWKSURI
	}
	t.keys(ctx, client, address, "tokens", c.Algorithms)
	t.seen(w)
}

func storeTrials(cfg *config.Config) []trial {
	if cfg.Session.Store == config.StoreValkey {
		return []trial{{"session store", "session.valkey.urls", func(ctx context.Context, t *tried) { t.valkey(ctx, cfg) }}}
	}
	path := cfg.Session.Embedded.Path
	if path == "" {
		return nil
	}
	return []trial{{"session store", "session.embedded.path", func(_ context.Context, t *tried) {
		// It is not opened: the gateway that runs may have it.
		dir := filepath.Dir(path)
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			t.failing("folder", fmt.Sprintf("there is no folder %q", dir), "make it, and let the gateway write there")
			return
		}
		t.ok("folder", fmt.Sprintf("%q is there", dir))
	}}}
}

func (t *tried) valkey(ctx context.Context, cfg *config.Config) {
	trial, err := valkeystore.Try(ctx, valkeystore.Options{Valkey: cfg.Session.Valkey, Cache: cfg.Session.Cache})
	if err != nil {
		t.failing("round trip", err.Error(), storeFix(err))
		return
	}
	t.ok("round trip", fmt.Sprintf("%.1f ms, and every command that is needed may be called", float64(trial.RoundTrip.Microseconds())/1000))
	t.ok("role", "it is a primary ("+trial.Mode+")")
	if trial.Version == "" {
		t.unknown("version", "the user may not ask for it (INFO)")
	} else {
		t.ok("version", trial.Version)
	}
	if trial.Eviction != "" && trial.Eviction != "noeviction" {
		t.weak("eviction", "maxmemory-policy is "+trial.Eviction+", by which sessions are dropped when memory is full", "set maxmemory-policy noeviction")
	}
	if trial.Plain {
		t.ok("tls", "there is none")
	} else {
		t.ok("tls", "the connection is private")
	}
}

// storeFix says what helps against a step that failed.
func storeFix(err error) string {
	failed, ok := errors.AsType[*valkeystore.TrialError](err)
	if !ok {
		return "name files that can be read in session.valkey"
	}
	switch failed.Step {
	case valkeystore.StepResolve, valkeystore.StepConnect, valkeystore.StepAnswer:
		return "look whether the server runs, and whether session.valkey.urls and the firewall let this machine reach it"
	case valkeystore.StepTLS:
		return "compare session.valkey.tls with the server's certificate, and valkeys:// with its port"
	case valkeystore.StepAuth:
		return "compare username and password_file with the server's ACL"
	case valkeystore.StepPermissions:
		return "give the user the commands that docs/sessions.md lists"
	case valkeystore.StepRole:
		return "name the primary, or its sentinels"
	case valkeystore.StepTracking:
		return "allow CLIENT TRACKING, or write cache: {max_bytes: 0}"
	case valkeystore.StepWrite:
		return "make room, or bring its replicas back"
	}
	return ""
}

func upstreamTrials(cfg *config.Config) []trial {
	var all []trial
	for i := range cfg.Routes {
		r := &cfg.Routes[i]
		for j, upstream := range r.Upstream {
			if strings.HasPrefix(upstream, "builtin:") {
				continue
			}
			path := fmt.Sprintf("routes[%d].upstream", i)
			if each := fmt.Sprintf("%s[%d]", path, j); cfg.Given(each) {
				path = each
			}
			all = append(all, trial{"upstream of " + r.Name, path, func(ctx context.Context, t *tried) { t.upstream(ctx, cfg, r, upstream) }})
		}
	}
	return all
}

// upstream tries the address of an application as its route reaches it.
func (t *tried) upstream(ctx context.Context, cfg *config.Config, r *config.Route, upstream string) {
	const fix = "start the application, or correct the address"
	u, err := url.Parse(upstream)
	if err != nil {
		t.failing("connection", "it is no URL", fix)
		return
	}
	network, address := "tcp", hostPort(u)
	if u.Scheme == "unix" || u.Scheme == "unix+h2c" {
		network, address = "unix", u.Path
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		t.failing("connection", upstream+": "+err.Error(), fix)
		return
	}
	defer conn.Close() //nolint:errcheck // nothing was sent
	t.ok("connection", upstream+" takes connections")
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	defer transport.CloseIdleConnections()
	if u.Scheme == "https" {
		config, err := clientTLS(cfg, r.UpstreamTLS, u.Hostname())
		if err != nil {
			t.failing("tls", err.Error(), "name files that can be read in upstream_tls")
			return
		}
		secured := tls.Client(conn, config)
		if err := secured.HandshakeContext(ctx); err != nil {
			fix := "name its authority in upstream_tls.ca_file, or its name in server_name"
			if _, plain := errors.AsType[tls.RecordHeaderError](err); plain {
				fix = "write http:// if the application speaks plain http there"
			}
			t.failing("tls", upstream+": "+err.Error(), fix)
			return
		}
		t.expiry("certificate", secured.ConnectionState().PeerCertificates[0], "renew it")
		transport.TLSClientConfig = config
	}
	if h := r.Balance.Health; h.Path != "" && (u.Scheme == "http" || u.Scheme == "https") {
		t.health(ctx, transport, u.JoinPath(), h)
	}
}

func (t *tried) health(ctx context.Context, transport *http.Transport, u *url.URL, h config.HealthCheck) {
	const fix = "look at the application, or correct balance.health"
	base := *u
	base.Path = ""
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base.String()+h.Path, nil)
	if err != nil {
		t.failing("health", err.Error(), fix)
		return
	}
	req.Header.Set("User-Agent", "sallyport")
	res, err := transport.RoundTrip(req)
	if err != nil {
		t.failing("health", h.Path+": "+err.Error(), fix)
		return
	}
	defer res.Body.Close() //nolint:errcheck // only the status is wanted
	healthy := res.StatusCode >= 200 && res.StatusCode < 400
	if len(h.Status) > 0 {
		healthy = slices.Contains(h.Status, res.StatusCode)
	}
	if !healthy {
		t.failing("health", h.Path+" answers "+res.Status, fix)
		return
	}
	t.ok("health", h.Path+" answers "+res.Status)
}

func clientTLS(cfg *config.Config, c config.ClientTLS, host string) (*tls.Config, error) {
	made := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if c.ServerName != "" {
		made.ServerName = c.ServerName
	}
	if c.CAFile != "" {
		text, err := os.ReadFile(cfg.FileName(c.CAFile))
		if err != nil {
			return nil, err
		}
		made.RootCAs = x509.NewCertPool()
		if !made.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("there is no certificate in %s", c.CAFile)
		}
	}
	if c.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(cfg.FileName(c.CertFile), cfg.FileName(c.KeyFile))
		if err != nil {
			return nil, err
		}
		made.Certificates = []tls.Certificate{pair}
	}
	return made, nil
}

// hostPort is the address of a URL, with the port of its scheme.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443"}[u.Scheme]
	}
	if port == "" {
		port = "80"
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// reach tries whether a server answers at a URL, without asking it for anything.
func (t *tried) reach(ctx context.Context, check, raw, caFile string) {
	const fix = "let this machine reach it"
	client, w, err := watched(caFile, raw, "")
	if err != nil {
		t.failing(check, err.Error(), "name a file with certificates in PEM in ca_file")
		return
	}
	defer client.CloseIdleConnections()
	u, err := url.Parse(raw)
	if err != nil {
		t.failing(check, "it is no URL", fix)
		return
	}
	u.RawQuery = ""
	req, err := http.NewRequestWithContext(ctx, http.MethodOptions, u.String(), nil)
	if err != nil {
		t.failing(check, "it is no URL", fix)
		return
	}
	req.Header.Set("User-Agent", "sallyport")
	res, err := client.Do(req)
	if err != nil {
		t.failing(check, cause(err).Error(), fix)
		return
	}
	_ = res.Body.Close()
	t.ok(check, u.Host+" answers")
	t.seen(w)
}
