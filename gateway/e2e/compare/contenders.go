//go:build e2e && linux

package compare

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/porttest"
)

// Names of the contenders, in the order of the table.
const (
	nameBare      = "httputil.ReverseProxy, tuned"
	nameNginx     = "nginx proxy_pass, no auth"
	nameEmbedded  = "Sallyport, session, embedded store"
	nameNear      = "Sallyport, session, Valkey and near cache"
	nameCached    = "Sallyport, RS256 token, known"
	nameVerified  = "Sallyport, RS256 token, verified each time"
	nameCold      = "Sallyport, RS256 tokens, each new"
	nameNginxAuth = "nginx auth_request to Sallyport"
)

// contender is one proxy with one kind of credential.
type contender struct {
	name            string
	budget, stretch float64 // of the ratio; 0 where there is none
	address         string
	processes       []*env.Process
	metrics         string // where it tells its allocations; "" where there are none to tell

	saturating, paced requests
	// fresh, where it is there, is called before each round.
	fresh func()
}

func (c *contender) pids() []int {
	pids := make([]int, len(c.processes))
	for i, p := range c.processes {
		pids[i] = p.PID()
	}
	return pids
}

// bench is what the contenders share.
type bench struct {
	tb     testing.TB
	s      Settings
	cores  cores
	app    string // host:port of the application
	binary string
	issuer *issuer
	logs   []string // files
}

// pinned starts a program on the core of the proxies. What it writes goes to a file,
// as in production, and not through this process.
func (b *bench) pinned(dir string, environ []string, name string, args ...string) *env.Process {
	b.tb.Helper()
	log := filepath.Join(dir, "output.log")
	b.logs = append(b.logs, log)
	b.tb.Cleanup(func() {
		if text, err := os.ReadFile(log); err == nil && b.tb.Failed() {
			b.tb.Logf("output of %s:\n%s", filepath.Base(name), text[max(0, len(text)-4096):])
		}
	})
	const script = `core=$1; shift; exec taskset -c "$core" "$@" >>output.log 2>&1`
	return env.Start(b.tb, dir, environ, "sh", append([]string{"-c", script, "sh", strconv.Itoa(b.cores.proxies), name}, args...)...)
}

func (b *bench) startBare() *contender {
	b.tb.Helper()
	binary := env.BuildPackage(b.tb, "github.com/sallyport/sallyport/gateway/e2e/compare/bare", "-tags", "e2e")
	listen, admin := local(porttest.Free(b.tb)), local(porttest.Free(b.tb))
	p := b.pinned(b.tb.TempDir(), nil, binary, "-listen", listen, "-admin", admin, "-upstream", "http://"+b.app)
	p.WaitHTTP("http://" + listen)
	p.WaitHTTP("http://" + admin)
	return &contender{name: nameBare, address: listen, processes: []*env.Process{p}, metrics: "http://" + admin}
}

func local(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }

// gateway is a running Sallyport.
type gateway struct {
	*env.Process
	address, admin string
	cookie         string // of a session
}

// startGateway runs Sallyport as it comes, with a log, metrics, a policy of five rules
// and the default identity headers. store is the content of the session section,
// tokens more of the section of that name, and checks the sections with which nginx
// may ask.
func (b *bench) startGateway(store, tokens string, checks ...string) *gateway {
	b.tb.Helper()
	trusted := ""
	if len(checks) > 0 {
		trusted = ", trusted_proxies: [127.0.0.1]"
	}
	dir := b.tb.TempDir()
	g := &gateway{address: local(porttest.Free(b.tb)), admin: local(porttest.Free(b.tb))}
	env.WriteFile(b.tb, dir, "jwks.json", string(b.issuer.keys))
	env.WriteFile(b.tb, dir, "session-key", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
	env.WriteFile(b.tb, dir, "config.yaml", fmt.Sprintf(`
server: {listen: "%[1]s", public_url: "http://localhost:%[2]s"%[7]s}
admin: {listen: "%[3]s"}
session: {%[4]s}
login: {providers: [{name: dev, type: dev, identities: [{subject: alice, email: alice@example.com, groups: [users, staff]}]}]}
tokens: {issuers: [{issuer: "%[5]s", audiences: [api], algorithms: [RS256], jwks_file: jwks.json}]%[8]s}
policies:
  - name: five
    rules:
      - {name: contractors, deny: {groups: [contractors]}}
      - {name: suspended, deny: {claims: [{name: status, values: [suspended]}]}}
      - {name: board, allow: {emails: [dana@example.com]}}
      - {name: admins, allow: {groups: [admin]}}
      - {name: staff, allow: {groups: [staff]}}
routes:
  - {name: app, paths: [/], upstream: "http://%[6]s", policy: five}
  - {name: api, paths: [/api], upstream: "http://%[6]s", auth: [bearer], policy: five}
%[9]s
`, g.address, g.address[strings.LastIndexByte(g.address, ':')+1:], g.admin, store, issuerName, b.app, trusted, tokens, strings.Join(checks, "\n")))
	g.Process = b.pinned(dir, nil, b.binary, "serve", "-c", filepath.Join(dir, "config.yaml"))
	g.WaitHTTP("http://" + g.admin + "/livez")
	g.WaitHTTP("http://" + g.address + "/.auth/me")
	g.cookie = b.signIn(g.address)
	return g
}

// signIn returns the cookie of a new session of alice.
func (b *bench) signIn(address string) string {
	b.tb.Helper()
	form := url.Values{"provider": {"dev"}, "username": {"alice"}}
	req, err := http.NewRequestWithContext(b.tb.Context(), http.MethodPost,
		"http://"+strings.Replace(address, "127.0.0.1", "localhost", 1)+"/.auth/login", strings.NewReader(form.Encode()))
	if err != nil {
		b.tb.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	cookies, text := fetch(b.tb, req)
	for _, c := range cookies {
		if c.Name == "sp" {
			return c.Name + "=" + c.Value
		}
	}
	b.tb.Fatalf("there is no session after the sign-in:\n%s", text)
	return ""
}

// request is what a browser or a program sends for a page, with a credential.
func request(address, path, credential string) []byte {
	host := strings.Replace(address, "127.0.0.1", "localhost", 1)
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"+
		"Accept: text/html,application/xhtml+xml\r\nAccept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip, br\r\n%s\r\n\r\n", path, host, credential)
}

func withCookie(cookie string) string { return "Cookie: theme=dark; " + cookie }
func withToken(token string) string   { return "Authorization: Bearer " + token }

// mallocs reads how many allocations the proxy has made since it was started.
func (c *contender) mallocs(tb testing.TB) float64 {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, c.metrics, nil)
	if err != nil {
		tb.Fatal(err)
	}
	_, text := fetch(tb, req)
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "go_memstats_mallocs_total "); ok {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				tb.Fatal(err)
			}
			return n
		}
	}
	tb.Fatalf("%s tells no allocations", c.metrics)
	return 0
}

// fetch sends one request, on a connection of its own, and follows no redirect.
func fetch(tb testing.TB, req *http.Request) (cookies []*http.Cookie, text string) {
	tb.Helper()
	client := &http.Client{
		Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	all, err := io.ReadAll(res.Body)
	_ = res.Body.Close() // it was read
	if err != nil {
		tb.Fatal(err)
	}
	return res.Cookies(), string(all)
}

// stopped ends a gateway that is about to be replaced.
func (g *gateway) stopped(tb testing.TB) {
	tb.Helper()
	begin := time.Now()
	if code := g.Stop(); code != 0 {
		tb.Fatalf("the gateway ended with %d after %v", code, time.Since(begin))
	}
}
