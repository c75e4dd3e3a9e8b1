//go:build e2e

package e2e_test

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// fleet is several gateways over one store, with an echo application.
type fleet struct {
	gateways []*env.Gateway
	client   *http.Client
	binary   string
	key      []byte
	valkey   []string
	top      string // more of the configuration, at its top level
	login    string // more list items of login.providers
}

// startFleetLike starts one more gateway over the store of the nth of another
// fleet, with other settings.
func startFleetLike(t *testing.T, other *fleet, n int, more string) *fleet {
	t.Helper()
	f := &fleet{client: other.client, binary: other.binary, key: other.key, valkey: other.valkey[n : n+1]}
	f.start(t, more)
	return f
}

// startFleet starts n gateways whose store is described by valkey, the content
// of session.valkey, and the rest of session by more.
func startFleet(t *testing.T, n int, valkey, more string) *fleet {
	t.Helper()
	return startFleetAt(t, slices.Repeat([]string{valkey}, n), more)
}

// startFleetAt starts a gateway for each way to the store. routes are added to
// those that every fleet has.
func startFleetAt(t *testing.T, valkey []string, more string, routes ...string) *fleet {
	t.Helper()
	f := newFleet(t, valkey)
	f.start(t, more, routes...)
	return f
}

// newFleet makes a fleet that is still to be started.
func newFleet(t *testing.T, valkey []string) *fleet {
	t.Helper()
	f := &fleet{binary: sallyport, key: make([]byte, 32), valkey: valkey, client: &http.Client{
		Timeout:       20 * time.Second,
		Transport:     &http.Transport{MaxIdleConnsPerHost: 256, MaxConnsPerHost: 256},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	rand.Read(f.key)
	t.Cleanup(f.client.CloseIdleConnections)
	return f
}

func (f *fleet) start(t *testing.T, more string, routes ...string) {
	t.Helper()
	for _, way := range f.valkey {
		dir := t.TempDir()
		env.WriteFile(t, dir, "key", base64.StdEncoding.EncodeToString(f.key))
		env.WriteFile(t, dir, "config.yaml", fmt.Sprintf(`
session:
  store: valkey
  valkey: {%s}
  keys_files: [key]
  %s
login:
  providers:
    - {name: dev, type: dev, identities: [{subject: alice, email: alice@example.com}, {subject: bob}]}
    %s
routes:
  - {name: app, upstream: "builtin:echo", policy: authenticated}
  - {name: assets, paths: [/assets], upstream: "builtin:echo", public: true}
  %s
log: {level: warn}
%s
`, way, more, f.login, strings.Join(routes, "\n  "), f.top))
		env.WriteFile(t, dir, "admin-token", "let me in")
		f.gateways = append(f.gateways, env.StartGateway(t, f.binary, dir, env.Reserve(t)))
	}
}

// result is what became of one request.
type result struct {
	status    int
	location  string
	setCookie bool
	took      time.Duration
	err       error
}

func (r result) String() string {
	return fmt.Sprintf("%d location=%q set-cookie=%v in %v (%v)", r.status, r.location, r.setCookie, r.took, r.err)
}

// get asks a gateway for a page as a browser does, which would be redirected
// and have cookies deleted, were anything judged wrongly.
func (f *fleet) get(g *env.Gateway, path, cookie string) result {
	begin := time.Now()
	req, err := http.NewRequest(http.MethodGet, g.URL+path, nil)
	if err != nil {
		return result{err: err}
	}
	if cookie != "" {
		req.Header.Set("Cookie", cookie)
	}
	req.Header.Set("Sec-Fetch-Mode", "navigate")
	res, err := f.client.Do(req)
	if err != nil {
		return result{err: err, took: time.Since(begin)}
	}
	defer res.Body.Close()
	env.HarvestHeader(req.Header)
	env.HarvestHeader(res.Header)
	_, err = io.Copy(io.Discard, res.Body)
	return result{res.StatusCode, res.Header.Get("Location"), len(res.Header["Set-Cookie"]) > 0, time.Since(begin), err}
}

// signIn returns the session cookie of a new session.
func (f *fleet) signIn(t *testing.T, g *env.Gateway, user string) string {
	t.Helper()
	cookie, status := f.trySignIn(g, user)
	if cookie == "" {
		t.Fatalf("sign-in as %s: %d", user, status)
	}
	return cookie
}

func (f *fleet) trySignIn(g *env.Gateway, user string) (cookie string, status int) {
	res, err := f.client.PostForm(g.URL+"/.auth/login", url.Values{"provider": {"dev"}, "username": {user}})
	if err != nil {
		return "", 0
	}
	defer res.Body.Close()
	for _, c := range res.Cookies() {
		if c.Name == "sp" && res.StatusCode == http.StatusSeeOther {
			return c.Name + "=" + c.Value, res.StatusCode
		}
	}
	return "", res.StatusCode
}

// signOut ends a session and returns the status.
func (f *fleet) signOut(g *env.Gateway, cookie string) int {
	req, err := http.NewRequest(http.MethodPost, g.URL+"/.auth/logout", nil)
	if err != nil {
		return 0
	}
	req.Header.Set("Cookie", cookie)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	res, err := f.client.Do(req)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	return res.StatusCode
}

// waitStatus polls until the page has this status.
func (f *fleet) waitStatus(t *testing.T, g *env.Gateway, cookie string, status int) {
	t.Helper()
	var last result
	defer func() {
		if t.Failed() && last.status != status {
			t.Logf("the last answer: %v", last)
		}
	}()
	env.WaitUntil(t, "status "+strconv.Itoa(status), func() bool {
		last = f.get(g, "/", cookie)
		return last.status == status
	})
}

// metric reads one sample of a gateway's metrics; 0 when there is none.
func (f *fleet) metric(t *testing.T, g *env.Gateway, sample string) float64 {
	t.Helper()
	for line := range strings.Lines(send(t, f.client, http.MethodGet, g.AdminURL+"/metrics").body) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), sample+" "); ok {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	return 0
}

// load sends requests with all the cookies, round and round, until stop is
// called, which returns the results.
func (f *fleet) load(cookies []string, workers int, every time.Duration, gateways ...*env.Gateway) (stop func() []result) {
	done := make(chan struct{})
	var next atomic.Int64
	all := make([][]result, workers)
	var wait sync.WaitGroup
	for w := range workers {
		wait.Go(func() {
			tick := time.NewTicker(every)
			defer tick.Stop()
			for {
				select {
				case <-done:
					return
				case <-tick.C:
				}
				n := int(next.Add(1))
				all[w] = append(all[w], f.get(gateways[n%len(gateways)], "/", cookies[n/len(gateways)%len(cookies)]))
			}
		})
	}
	return sync.OnceValue(func() []result {
		close(done)
		wait.Wait()
		return slices.Concat(all...)
	})
}

// count sorts results by status, and fails for those that an outage must not
// bring: anything but 200 and 503, and any cookie that is set or deleted.
func count(t *testing.T, results []result) (ok, unavailable int) {
	t.Helper()
	shown := 0
	for _, r := range results {
		switch {
		case r.err == nil && r.status == http.StatusOK && !r.setCookie:
			ok++
		case r.err == nil && r.status == http.StatusServiceUnavailable && !r.setCookie:
			unavailable++
		default:
			if shown++; shown <= 5 {
				t.Errorf("a request got %v", r)
			}
		}
	}
	return ok, unavailable
}

// spread describes how long something took.
func spread(took []time.Duration) string {
	if len(took) == 0 {
		return "never"
	}
	sorted := slices.Sorted(slices.Values(took))
	at := func(q float64) time.Duration {
		return sorted[int(q*float64(len(sorted)-1))].Round(10 * time.Microsecond)
	}
	return fmt.Sprintf("p50 %v, p99 %v, max %v of %d", at(.5), at(.99), at(1), len(sorted))
}
