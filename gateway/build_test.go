package gateway_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/config"
)

// TestFaultsThatOnlyBuildingFindsHaveTheirPlace is about files whose content is
// wrong: what they hold is read when the gateway is built, and still reported
// with the line of the configuration that names them.
func TestFaultsThatOnlyBuildingFindsHaveTheirPlace(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const routes = "\nroutes: [{name: app, upstream: 'builtin:echo', public: true}]\n"
	for name, c := range map[string]struct{ yaml, want string }{
		"a key that is too short": {
			"session:\n  keys_files: [" + file("short", "c2hvcnQ=") + "]" + routes,
			"file:2: session.keys_files[0]: line 1: the key has 5 bytes",
		},
		"the example key": {
			"session:\n  keys_files: [" + file("example", "changeme") + "]" + routes,
			"session.keys_files[0]",
		},
		"one key twice": {
			"session:\n  keys_files: [" + file("k1", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=") + ", " +
				file("k2", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=") + "]" + routes,
			"session.keys_files",
		},
		"a key set that is HTML": {
			"tokens:\n  issuers:\n    - {issuer: https://id.example.test, audiences: [api], jwks_file: " + file("keys.html", "<html>") + "}" + routes,
			"file:3: tokens.issuers[0]",
		},
		"an empty key set": {
			"tokens:\n  issuers:\n    - {issuer: https://id.example.test, audiences: [api], jwks_file: " + file("keys.json", `{"keys":[]}`) + "}" + routes,
			"file:3: tokens.issuers[0]",
		},
		"a users file with a plain password": {
			"login:\n  providers:\n    - {name: local, type: users, file: " + file("users.yaml", "users: [{username: alice, password_hash: secret}]") + "}" + routes,
			"file:3: login.providers[0]",
		},
		"a certificate that is none": {
			"server:\n  public_url: https://app.example.test\n  tls: {cert_file: " + file("crt", "x") + ", key_file: " + file("key", "y") + "}" + routes,
			"file:3: server.tls",
		},
		"an authority of Valkey that is none": {
			"session:\n  store: valkey\n  keys_files: [" + file("k3", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=") + "]\n  valkey:\n    urls: [valkeys://valkey.internal]\n" +
				"    tls: {ca_file: " + file("ca", "x") + "}" + routes,
			"file:6: session.valkey.tls: ",
		},
		"a password of Valkey that is empty": {
			"session:\n  store: valkey\n  keys_files: [" + file("k4", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=") + "]\n  valkey:\n    password_file: " + file("empty", "\n") + routes,
			"file:5: session.valkey.password_file: ",
		},
		"a signing key that is a password": {
			"assertions:\n  keys_files: [" + file("signing", "changeme") + "]" + routes,
			"file:2: assertions.keys_files[0]: holds no PEM private key",
		},
		"a logo that is a page": {
			"pages:\n  logo_file: " + file("logo.svg", "<!doctype html>") + routes,
			"file:2: pages.logo_file: the logo is no SVG",
		},
		"two routes that no request can tell apart": {
			"routes:\n  - {name: one, upstream: 'builtin:echo', public: true}\n  - {name: two, upstream: 'builtin:echo', public: true}\n",
			"file:3: routes[1].paths",
		},
		"an identity header that could name somebody else": {
			"login: {providers: [{name: dev, type: dev, identities: [{subject: a}]}]}\nroutes:\n  - name: app\n    upstream: builtin:echo\n    policy: authenticated\n" +
				"    headers:\n      - {name: X-Forwarded-For, claim: sub}\n",
			"file:7: routes[0].headers[0].name",
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := config.Parse("file", []byte(c.yaml), nil)
			if err == nil {
				err = gateway.Check(t.Context(), cfg)
			}
			faults, ok := errors.AsType[config.Faults](err)
			if !ok {
				t.Fatalf("got %v", err)
			}
			if !strings.Contains(faults.Error(), c.want) {
				t.Errorf("got %v\nwant %s", faults, c.want)
			}
			if strings.Contains(faults.Error(), "changeme") || strings.Contains(faults.Error(), "c2hvcnQ=") {
				t.Error("the fault repeats the secret")
			}
		})
	}
}
