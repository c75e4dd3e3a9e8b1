//go:build e2e

package e2e_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/jose"
	"github.com/sallyport/sallyport/gateway/porttest"
	"github.com/sallyport/sallyport/gateway/sealing"
	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/session/embedded"
)

// example returns the one block of a language in docs/assertions.md.
func example(t *testing.T, language string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/assertions.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(found) != 1 {
		t.Fatalf("docs/assertions.md has %d examples in %s", len(found), language)
	}
	return found[0][1]
}

// verifier is an application of the documentation that verifies assertions.
type verifier struct {
	url  string
	port int
	run  func(environ []string) *env.Process
}

func nodeVerifier(t *testing.T) *verifier {
	t.Helper()
	installed, dir := env.NPM(t, "testdata/node"), t.TempDir()
	if err := os.Symlink(filepath.Join(installed, "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	script := env.WriteFile(t, dir, "app.mjs", example(t, "js"))
	return newVerifier(t, func(environ []string) *env.Process {
		return env.Start(t, dir, environ, filepath.Join(installed, "node_modules", "node", "bin", "node"), script)
	})
}

func goVerifier(t *testing.T) *verifier {
	t.Helper()
	dir := t.TempDir()
	source := env.WriteFile(t, dir, "app.go", example(t, "go"))
	binary := filepath.Join(dir, "app")
	// Built here, the example has the libraries of this module.
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, source).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return newVerifier(t, func(environ []string) *env.Process { return env.Start(t, dir, environ, binary) })
}

func newVerifier(t *testing.T, run func([]string) *env.Process) *verifier {
	t.Helper()
	port := porttest.Free(t)
	return &verifier{url: "http://127.0.0.1:" + strconv.Itoa(port), port: port, run: run}
}

// start lets it fetch the keys of a gateway that runs.
func (v *verifier) start(g *env.Gateway) {
	v.run([]string{"PORT=" + strconv.Itoa(v.port), "SALLYPORT_ISSUER=" + g.URL + "/.auth"}).WaitHTTP(v.url)
}

// asserting is a gateway in front of both verifiers, and of an echo for another
// audience.
type asserting struct {
	*env.Gateway
	dir, binary  string
	client       *http.Client
	node, golang *verifier
}

const assertingConfig = `
admin: {token_file: admin-token}
session: {embedded: {path: sallyport.db}}
assertions: {lifetime: 4s}
login: {providers: [{name: dev, type: dev, identities: [{subject: alice}]}]}
tokens: {exchange: {enabled: true, audiences: [app]}}
routes:
  - {name: node, paths: [/node], upstream: "%s", policy: authenticated, assertion: true, audience: app}
  - {name: go, paths: [/go], upstream: "%s", policy: authenticated, assertion: true, audience: app}
  - {name: echo, paths: [/echo], upstream: "builtin:echo", policy: authenticated, assertion: true, audience: app}
  - {name: other, paths: [/other], upstream: "builtin:echo", policy: authenticated, assertion: true}
log: {level: warn}
`

// ageRing makes the next key of a stopped gateway one that was published ten
// minutes ago: what a gateway that has run for a while has.
func ageRing(t *testing.T, db string) {
	t.Helper()
	store, err := embedded.Open(embedded.Options{Path: db})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}()
	secret, err := store.LoadRecord(t.Context(), "key", "sealing")
	if err != nil {
		t.Fatal(err)
	}
	secrets, err := sealing.DecodeStored(secret.Value)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := session.NewKeyring(secrets...)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := store.LoadRecord(t.Context(), "key", "assertion")
	if err != nil {
		t.Fatal(err)
	}
	plain, err := ring.Open(session.PurposeSigning, kept.Value, []byte("assertion"))
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]any
	if err := json.Unmarshal(plain, &keys); err != nil {
		t.Fatal(err)
	}
	keys["next"].(map[string]any)["published"] = time.Now().UTC().Add(-10 * time.Minute)
	if plain, err = json.Marshal(keys); err != nil {
		t.Fatal(err)
	}
	sealed := ring.Seal(session.PurposeSigning, plain, []byte("assertion"))
	if _, err := store.SaveRecord(t.Context(), "key", "assertion", kept.Version, sealed, time.Time{}); err != nil {
		t.Fatal(err)
	}
}

func startAsserting(t *testing.T) *asserting {
	t.Helper()
	a := &asserting{dir: t.TempDir(), binary: sallyport, client: client(t), node: nodeVerifier(t), golang: goVerifier(t)}
	env.WriteFile(t, a.dir, "admin-token", "a token that nobody guesses")
	env.WriteFile(t, a.dir, "config.yaml", fmt.Sprintf(assertingConfig, a.node.url, a.golang.url))
	at := env.Reserve(t)
	first := env.StartGateway(t, a.binary, a.dir, at)
	before := send(t, a.client, "GET", first.URL+"/.auth/jwks.json").body
	if code := first.Stop(); code != 0 {
		t.Fatalf("the gateway ended with %d", code)
	}
	ageRing(t, filepath.Join(a.dir, "sallyport.db"))
	a.Gateway = env.StartGateway(t, a.binary, a.dir, at)
	if after := send(t, a.client, "GET", a.URL+"/.auth/jwks.json").body; after != before {
		t.Errorf("the restart exchanged the keys: %s, before %s", after, before)
	}
	a.node.start(a.Gateway)
	a.golang.start(a.Gateway)
	in := sendBody(t, a.client, "POST", a.URL+"/.auth/login", "provider=dev&username=alice", "Content-Type", "application/x-www-form-urlencoded")
	if in.status != http.StatusSeeOther {
		t.Fatalf("signing in: %d %s", in.status, in.body)
	}
	return a
}

// command runs the command line against the gateway.
func (a *asserting) command(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), a.binary, append(args, "--admin", a.AdminURL, "--token-file", filepath.Join(a.dir, "admin-token"))...)
	out, err := cmd.Output()
	if err != nil {
		exit, _ := errors.AsType[*exec.ExitError](err)
		t.Fatalf("%v: %v\n%s", args, err, exit.Stderr)
	}
	return string(out)
}

// received returns the assertion that an echo route received.
func (a *asserting) received(t *testing.T, path string) string {
	t.Helper()
	got := send(t, a.client, "GET", a.URL+path)
	var echo struct{ Headers [][2]string }
	if err := json.Unmarshal([]byte(got.body), &echo); err != nil {
		t.Fatalf("%d %s", got.status, got.body)
	}
	for _, h := range echo.Headers {
		if h[0] == "Sallyport-Assertion" {
			return h[1]
		}
	}
	t.Fatalf("%s received no assertion: %s", path, got.body)
	return ""
}

func kidOf(t *testing.T, raw string) string {
	t.Helper()
	token, err := jose.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return token.Header.KeyID
}

// load is applications that are asked all the time.
type load struct {
	total   atomic.Int64
	done    chan struct{}
	running sync.WaitGroup

	mu     sync.Mutex
	failed []string // the answers that were not right
}

func (a *asserting) load(workers int, path string) *load {
	l := &load{done: make(chan struct{})}
	for range workers {
		l.running.Go(func() {
			for {
				select {
				case <-l.done:
					return
				default:
				}
				if wrong := a.ask(path); wrong != "" {
					l.mu.Lock()
					l.failed = append(l.failed, wrong)
					l.mu.Unlock()
				}
				l.total.Add(1)
			}
		})
	}
	return l
}

// ask returns what is wrong with the answer of a verifier.
func (a *asserting) ask(path string) string {
	res, err := a.client.Get(a.URL + path)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || string(body) != "Hello alice\n" {
		return fmt.Sprintf("%d %v %s", res.StatusCode, err, body)
	}
	return ""
}

func (l *load) stop() (total int64, failed []string) {
	close(l.done)
	l.running.Wait()
	return l.total.Load(), l.failed
}

// eventually polls until it is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-deadline:
			t.Fatalf("not within 30 s: %s", what)
		case <-tick.C:
		}
	}
}

func TestApplicationsVerifyAssertionsAcrossAKeyRotationUnderLoad(t *testing.T) {
	a := startAsserting(t)
	first := kidOf(t, a.received(t, "/echo"))

	node, golang := a.load(8, "/node"), a.load(4, "/go")
	loads := map[string]*load{"node": node, "go": golang}
	more := func(n int64) {
		t.Helper()
		for name, l := range loads {
			enough := l.total.Load() + n
			eventually(t, name+" answers", func() bool { return l.total.Load() >= enough })
		}
	}
	more(500)
	out := a.command(t, "keys", "rotate")
	if strings.Contains(out, "begins to sign") || !strings.Contains(out, "retired") {
		t.Errorf("the rotation was only planned:\n%s", out)
	}
	// All three routes have one audience, so the echo shows what the others get.
	eventually(t, "the new key signs", func() bool { return kidOf(t, a.received(t, "/echo")) != first })
	more(500)
	for name, l := range loads {
		total, failed := l.stop()
		t.Logf("%s verified %d requests across the rotation, %d failed", name, total, len(failed))
		if len(failed) > 0 {
			t.Errorf("%s: %d of %d failed, the first with %q", name, len(failed), total, failed[0])
		}
	}
}

func TestApplicationsRefuseWhatIsNoAssertionForThem(t *testing.T) {
	t.Parallel()
	a := startAsserting(t)
	good := a.received(t, "/echo")
	parts := strings.Split(good, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	forged := base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(payload), `"alice"`, `"admin"`, 1)))
	exchanged := send(t, a.client, "POST", a.URL+"/.auth/token", "Origin", a.URL)
	var token struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(exchanged.body), &token); err != nil || token.AccessToken == "" {
		t.Fatalf("%d %s", exchanged.status, exchanged.body)
	}
	cases := map[string]string{
		"none":                    "",
		"another audience":        a.received(t, "/other"),
		"changed":                 parts[0] + "." + forged + "." + parts[2],
		"unsigned":                base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"sallyport-assertion+jwt"}`)) + "." + parts[1] + ".",
		"an access token for app": token.AccessToken,
	}
	for app, v := range map[string]*verifier{"node": a.node, "go": a.golang} {
		if got := send(t, client(t), "GET", v.url, "Sallyport-Assertion", a.received(t, "/echo")); got.status != http.StatusOK {
			t.Errorf("%s refuses a good one: %d %s", app, got.status, got.body)
		}
		for name, raw := range cases {
			if got := send(t, client(t), "GET", v.url, "Sallyport-Assertion", raw); got.status != http.StatusUnauthorized {
				t.Errorf("%s, %s: %d %s", app, name, got.status, got.body)
			}
		}
		// Nor does the gateway let a client bring its own.
		if got := send(t, client(t), "GET", a.URL+"/"+app, "Sallyport-Assertion", good); got.status != http.StatusUnauthorized || strings.Contains(got.body, "Hello") {
			t.Errorf("without a session: %d %s", got.status, got.body)
		}
	}
}

func TestGatewaysOfOneValkeyPublishTheSameKeys(t *testing.T) {
	t.Parallel()
	server := env.StartValkey(t)
	f := startFleet(t, 2, valkeyAt(server.URL()), "")
	keys := func(g *env.Gateway) string { return send(t, f.client, "GET", g.URL+"/.auth/jwks.json").body }
	one, two := keys(f.gateways[0]), keys(f.gateways[1])
	if one != two || !strings.Contains(one, `"kid"`) {
		t.Errorf("one publishes %s, the other %s", one, two)
	}
}
