package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/config"
)

// refused loads configurations, each with one thing that an attacker or a tired hand
// could have written, and wants a fault at a path for each of them.
func refused(t *testing.T, at string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		c, err := config.Parse("config.yaml", []byte(text), nil)
		faults, _ := errors.AsType[config.Faults](err)
		if c != nil || !slices.ContainsFunc(faults, func(f config.Fault) bool { return strings.HasPrefix(f.Path, at) && f.Fix != "" }) {
			t.Errorf("no fault at %s: %v\n%s", at, err, text)
		}
	}
}

const (
	openRoute = "\nroutes: [{name: app, upstream: \"builtin:echo\", public: true}]\n"
	signedIn  = "\nlogin: {providers: [{name: corp, type: oidc, issuer: \"https://id.example.com\", client_id: app}]}\nroutes: [{name: app, upstream: \"builtin:echo\", policy: authenticated}]\n"
)

// A network that is everybody, or another one than was meant, lets any client say who
// it is (trusted proxies of 0.0.0.0/0 were a default elsewhere).
func TestNetworksThatAreEverybodyAreNotTrusted(t *testing.T) {
	for _, network := range []string{"0.0.0.0/0", "::/0", "::ffff:0:0/96", "0.0.0.0", "::", "10.0.0.1/24", "10.0.0.0/33", "2001:db8::1/32", "proxy.internal", "*", "10.0.0.0-10.0.0.9", ""} {
		refused(t, "server.trusted_proxies[0]", "server: {trusted_proxies: [\""+network+"\"]}"+openRoute)
	}
	refused(t, "forward_auth.enabled", "forward_auth: {enabled: [nginx]}"+openRoute, "server: {trusted_proxies: []}\nforward_auth: {enabled: [nginx]}"+openRoute)
	refused(t, "ext_authz.listen", "ext_authz: {listen: \"127.0.0.1:9191\"}"+openRoute)
}

// A cookie for a domain that others register names below is a cookie for them.
func TestCookiesOfDomainsThatOthersShareAreRefused(t *testing.T) {
	for _, domain := range []string{"com", "co.uk", "github.io", "s3.amazonaws.com", "a.kawasaki.jp", "localhost", "app.", ".example.com", "127.0.0.1", "*.example.com"} {
		for _, host := range []string{"app." + domain, "app.example.com"} {
			refused(t, "s", "server: {public_url: \"https://"+host+"\"}\nsession: {cookie: {domain: \""+domain+"\"}}"+signedIn)
		}
	}
	const https = "server: {public_url: \"https://app.example.com\"}\n"
	refused(t, "session.cookie.domain", https+"session: {cookie: {domain: evil.example}}"+signedIn, https+"session: {cookie: {domain: pp.example.com}}"+signedIn)
	refused(t, "session.cookie.name", https+"session: {cookie: {name: __Host-a, domain: example.com}}"+signedIn, https+"session: {cookie: {name: session}}"+signedIn, https+"session: {cookie: {name: __host-a}}"+signedIn)
	refused(t, "session.cookie.same_site", "session: {cookie: {same_site: none}}"+signedIn, https+"session: {cookie: {same_site: off}}"+signedIn)
	// There is no switch for Secure and HttpOnly.
	refused(t, "session.cookie.secure", https+"session: {cookie: {secure: false}}"+signedIn)
	refused(t, "session.cookie.http_only", https+"session: {cookie: {http_only: false}}"+signedIn)
	refused(t, "server.public_url", "server: {public_url: \"http://app.example.com\"}"+signedIn)
}

// Where a sign-out may lead is a list of whole URLs: a pattern would be an open
// redirect.
func TestRedirectTargetsThatAreNoWholeURLAreRefused(t *testing.T) {
	for _, target := range []string{"*", "*.com", ".co.uk", "https://*.example.com/", "http://www.example.com/", "//www.example.com/", "https://www.example.com\\@evil.example/", "https://user@www.example.com/", "javascript:alert(1)", "https://www.example.com/#a", ""} {
		refused(t, "login.logout_targets[0]", "login: {logout_targets: ['"+target+"']}"+openRoute)
	}
	for _, origin := range []string{"*", "null", "http://evil.example", "https://*.example.com", "https://app.example.com/", "https://APP.example.com"} {
		refused(t, "login.cors_origins[0]", "login: {cors_origins: ['"+origin+"']}"+openRoute)
	}
}

// Tokens that nobody has signed, keys that anybody can replace on the way, and public
// keys taken for secrets (RFC 8725, sections 2.1 and 3.2).
func TestTokenSettingsThatProveNothingAreRefused(t *testing.T) {
	entry := func(settings string) string {
		return "tokens: {issuers: [{issuer: \"https://id.example.com\", " + settings + "}]}" + openRoute
	}
	const audience, shared = "audiences: [api], ", "audiences: [api], secret: 0123456789abcdef0123456789abcdef, "
	refused(t, "tokens.issuers[0].audiences", entry("leeway: 1s"), entry("audiences: []"), entry("audiences: ['']"))
	refused(t, "tokens.issuers[0].algorithms", entry(audience+"algorithms: [none]"), entry(audience+"algorithms: [None]"), entry(audience+"algorithms: [RS256, NONE]"), entry(audience+"algorithms: []"),
		entry(audience+"algorithms: [HS256]"), entry(audience+"algorithms: [RS256, HS256], jwks_url: \"https://id.example.com/keys\""), entry(shared+"algorithms: [RS256]"), entry(shared+"algorithms: [HS256, ES256]"))
	refused(t, "tokens.issuers[0].jwks_url", entry(audience+"jwks_url: \"http://id.example.com/keys\""))
	refused(t, "tokens.issuers[0].leeway", entry(audience+"leeway: 6m"), entry(audience+"leeway: -1s"))
	refused(t, "tokens.issuers[0].secret", entry("audiences: [api], secret: short"))
	refused(t, "tokens.issuers[0].issuer", "tokens: {issuers: [{issuer: \"http://id.example.com\", audiences: [api]}]}"+openRoute)
	refused(t, "tokens.issuers[1].issuer", "tokens: {issuers: [{issuer: a, audiences: [api], jwks_url: \"https://a.example.com\"}, {issuer: a, audiences: [b], jwks_url: \"https://b.example.com\"}]}"+openRoute)
}

// An empty list is a mistake, and never means everybody.
func TestEmptyRulesAreRefused(t *testing.T) {
	policy := func(rules string) string {
		return "policies: [{name: p, rules: " + rules + "}]\nlogin: {providers: [{name: dev, type: dev, identities: [{subject: a}]}]}\nroutes: [{name: app, upstream: \"builtin:echo\", policy: p}]\n"
	}
	refused(t, "policies[0]", policy("[]"), policy("[{}]"), policy("[{name: a}]"), policy("[{allow: {}}]"), policy("[{allow: {groups: []}}]"), policy("[{allow: {emails: []}}]"),
		policy("[{allow: {email_domains: []}}]"), policy("[{allow: {claims: []}}]"), policy("[{allow: {claims: [{name: a, values: []}]}}]"), policy("[{allow: {groups: [a]}, deny: {groups: [b]}}]"))
	refused(t, "routes[0].policy", "routes: [{name: app, upstream: \"builtin:echo\"}]", "routes: [{name: app, upstream: \"builtin:echo\", policy: \"\"}]", "routes: [{name: app, upstream: \"builtin:echo\", policy: nobody}]")
	refused(t, "routes[0].auth", "routes: [{name: app, upstream: \"builtin:echo\", policy: authenticated, auth: []}]")
	refused(t, "routes[0].policy", "routes: [{name: app, upstream: \"builtin:echo\", public: true, policy: authenticated}]")
}

// A setting that is not understood is one that somebody relies on.
func TestSettingsThatAreNotUnderstoodAreRefused(t *testing.T) {
	refused(t, "skip_auth_rout", "skip_auth_rout: [/]"+openRoute)
	refused(t, "session.idle_timeout", "session: {idle_timeout: 300x}"+openRoute, "session: {idle_timeout: -1s}"+openRoute, "session: {idle_timeout: 300}"+openRoute, "session: {idle_timeout: 99999999999999h}"+openRoute,
		"session: {idle_timeout: 1m, idle_timeout: 2m}"+openRoute, "session: {idle_timeout: [1m]}"+openRoute, "session: {idle_timeout: }"+openRoute)
	refused(t, "session.max_per_user", "session: {max_per_user: 99999999999999999999}"+openRoute, "session: {max_per_user: -1}"+openRoute, "session: {max_per_user: 1e3}"+openRoute, "session: {max_per_user: \"5\"}"+openRoute)
	refused(t, "session.store", "session: {store: redis}"+openRoute)
	refused(t, "routes[0].public", "routes: [{name: app, upstream: \"builtin:echo\", public: \"true\"}]")
	refused(t, "", "", "   \n", "# nothing\n", "--- \n", "a: b\n---\nc: d\n", "- a\n", "routes: [\n")
}

// A secret that was lost on the way must not look like one that nobody wanted.
func TestSecretsThatAreMissingOrWeakAreRefused(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	client := func(settings string) string {
		return "login: {providers: [{name: corp, type: oidc, issuer: \"https://id.example.com\", client_id: app, " + settings + "}]}\nroutes: [{name: app, upstream: \"builtin:echo\", policy: authenticated}]\n"
	}
	refused(t, "login.providers[0].client_secret", client("client_secret: ''"), client("client_secret_file: "+write("empty", "")), client("client_secret_file: "+write("blank", " \n")),
		client("client_secret_file: "+filepath.Join(dir, "nowhere")), client("client_secret_file: "+dir), client("client_secret: a, client_secret_file: "+write("given", "a")))
	refused(t, "session.keys_files", "session: {store: valkey}"+openRoute, "session: {keys_files: ["+filepath.Join(dir, "nowhere")+"]}"+openRoute, "session: {keys_files: ['']}"+openRoute)
	refused(t, "admin", "admin: {listen: \":9080\"}"+openRoute, "admin: {listen: \":9080\", token_file: "+write("no-token", "")+"}"+openRoute)
	refused(t, "server.tls.cert_file", "server: {tls: {cert_file: "+filepath.Join(dir, "nowhere")+", key_file: "+write("key", "x")+"}}"+openRoute)
	for _, variable := range []string{"SALLYPORT_SESSION__VALKEY__PASSWORD=", "SALLYPORT_ADMIN__TOKEN_FILE=", "SALLYPORT_CLIENT_SECRET_FILE=", "SALLYPORT_SESSION__KEYS_FILES="} {
		if c, err := config.Parse("config.yaml", []byte(openRoute), []string{variable}); c != nil || err == nil || !strings.Contains(err.Error(), "is set but empty") {
			t.Errorf("%s is taken for nothing: %v", variable, err)
		}
	}
}
