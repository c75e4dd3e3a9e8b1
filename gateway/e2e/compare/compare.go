//go:build e2e && linux

package compare

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// Settings say how long and how hard it is measured.
type Settings struct {
	Rounds      int
	Turns       int           // of each proxy under full load in a round: many short ones are hit alike by what else goes on
	Warm        time.Duration // of a turn, before anything is counted
	Saturated   time.Duration // of all turns of a round: CPU time and allocations are counted
	Paced       time.Duration // latencies are taken
	Rate        int           // requests a second, while paced
	Connections int
}

// Full are the settings that the figures of the documentation are made with.
func Full() Settings {
	return Settings{Rounds: 6, Turns: 5, Warm: 100 * time.Millisecond, Saturated: 3 * time.Second, Paced: 2 * time.Second, Rate: 2000, Connections: 32}
}

// Run measures all contenders in alternating rounds. What does not answer fails the
// test; nothing that is slow does.
func Run(tb testing.TB, s Settings) *Report {
	tb.Helper()
	b := &bench{tb: tb, s: s, binary: env.BuildPackage(tb, "github.com/sallyport/sallyport/cmd/sallyport"), issuer: newIssuer(tb)}
	// More than any gateway takes, at 10,000 a second.
	cold := b.issuer.tokens(tb, int((time.Duration(s.Turns)*s.Warm+s.Saturated).Seconds()*10_000)+s.pacedRequests())
	b.cores = takeCores(tb)
	b.app = startApp(tb)
	contenders := b.start(cold)

	results := make([]result, len(contenders))
	for round := range s.Rounds {
		b.round(round, contenders, results)
	}
	return newReport(s, contenders, results)
}

func (s Settings) pacedRequests() int { return int(s.Paced.Seconds() * float64(s.Rate)) }

// start starts everything, in the order of the table. tokens are for the contender
// to whom each is new.
func (b *bench) start(tokens []string) []*contender {
	b.tb.Helper()
	embedded := b.startGateway(`embedded: {path: sallyport.db}`, "")
	forgetful := b.startGateway(`embedded: {path: sallyport.db}`, ", cache: {max_bytes: 0}")
	valkey := env.StartValkey(b.tb)
	near := b.startGateway(fmt.Sprintf(`store: valkey, valkey: {urls: ["%s"]}, keys_files: [session-key]`, valkey.URL()), "")

	const page, api = "/projects/42/issues?page=2", "/api/projects/42/issues?page=2"
	ask := func(c *contender, path, credential string) *contender {
		c.saturating = always(request(c.address, path, credential))
		c.paced = c.saturating
		return c
	}
	of := func(g *gateway, name string, budget, stretch float64) *contender {
		return &contender{
			name: name, budget: budget, stretch: stretch, address: g.address, processes: []*env.Process{g.Process},
			metrics: "http://" + g.admin + "/metrics",
		}
	}
	known, err := b.issuer.token(-1)
	if err != nil {
		b.tb.Fatal(err)
	}
	asked := b.startGateway(`embedded: {path: sallyport.db}`, "", "forward_auth: {enabled: [nginx]}")
	auth := b.startNginx(asked)
	auth.budget, auth.stretch = 1.6, 1.3
	all := []*contender{
		ask(b.startBare(), page, withCookie(embedded.cookie)),
		ask(b.startNginx(nil), page, withCookie(embedded.cookie)),
		ask(of(embedded, nameEmbedded, 1.12, 0.8), page, withCookie(embedded.cookie)),
		ask(of(near, nameNear, 1.12, 0.8), page, withCookie(near.cookie)),
		ask(of(embedded, nameCached, 1.2, 0.9), api, withToken(known)),
		ask(of(forgetful, nameVerified, 2, 1.6), api, withToken(known)),
		b.startCold(api, tokens),
		ask(auth, page, withCookie(asked.cookie)),
	}
	return all
}

// startCold is a gateway that is started anew for each round, so that it knows none
// of the tokens of the last.
func (b *bench) startCold(path string, tokens []string) *contender {
	b.tb.Helper()
	c := &contender{name: nameCold}
	var g *gateway
	c.fresh = func() {
		if g != nil {
			g.stopped(b.tb)
		}
		g = b.startGateway(`embedded: {path: sallyport.db}`, "")
		c.address, c.metrics, c.processes = g.address, "http://"+g.admin+"/metrics", []*env.Process{g.Process}
		list := make([][]byte, len(tokens))
		for i, token := range tokens {
			list[i] = request(c.address, path, withToken(token))
		}
		rest := len(list) - b.s.pacedRequests()
		c.saturating, c.paced = once(list[:rest]), once(list[rest:])
	}
	return c
}

// result is what was measured of one contender, a value for each round.
type result struct {
	cpu     []float64 // microseconds a request
	rate    []float64 // requests a second
	mallocs []float64 // allocations a request
	p50     []float64 // microseconds
	p99     []float64
}

func (r *result) last() string {
	n := len(r.cpu) - 1
	return fmt.Sprintf("%6.1f us CPU, %6.0f requests/s, p50 %5.0f us, p99 %5.0f us", r.cpu[n], r.rate[n], r.p50[n], r.p99[n])
}

// round gives each contender its turns.
func (b *bench) round(n int, contenders []*contender, results []result) {
	b.tb.Helper()
	for _, c := range contenders {
		if c.fresh != nil {
			c.fresh()
		}
	}
	counts := make([]count, len(contenders))
	for turn := range b.s.Turns {
		for i := range contenders {
			// Whose turn it is to be the first changes as well.
			i = (i + n + turn) % len(contenders)
			b.saturate(contenders[i], &counts[i])
		}
	}
	for i, c := range contenders {
		b.pace(c, &results[i])
		results[i].add(&counts[i], c.metrics != "")
		b.tb.Logf("round %d: %-45s %s", n+1, c.name, results[i].last())
	}
	for _, log := range b.logs {
		if err := os.Truncate(log, 0); err != nil {
			b.tb.Fatal(err)
		}
	}
}

// pace takes latencies.
func (b *bench) pace(c *contender, r *result) {
	b.tb.Helper()
	l, err := connect(b.tb.Context(), c.address, b.s.Connections, c.paced)
	if err != nil {
		b.tb.Fatalf("%s: %v", c.name, err)
	}
	defer l.close()
	took, err := l.paced(b.s.Rate, b.s.pacedRequests())
	if err != nil {
		b.tb.Fatalf("%s: %v", c.name, err)
	}
	r.p50 = append(r.p50, float64(quantile(took, .5))/1e3)
	r.p99 = append(r.p99, float64(quantile(took, .99))/1e3)
}

// count is what was counted in the turns of a round.
type count struct {
	cpu, took time.Duration
	answered  int64
	mallocs   float64
	counted   int64 // requests, while allocations were
}

// saturate counts what the requests of one turn cost.
func (b *bench) saturate(c *contender, n *count) {
	b.tb.Helper()
	l, err := connect(b.tb.Context(), c.address, b.s.Connections, c.saturating)
	if err != nil {
		b.tb.Fatalf("%s: %v", c.name, err)
	}
	defer l.close()
	stop := l.saturate()
	l.wait(b.s.Warm)
	// To be asked for its allocations costs the proxy something: that is not in the
	// time that is counted.
	if c.metrics != "" {
		n.counted -= l.answered.Load()
		n.mallocs -= c.mallocs(b.tb)
	}
	cpu, answered, begin := cpuTime(b.tb, c.pids()), l.answered.Load(), time.Now()
	l.wait(b.s.Saturated / time.Duration(b.s.Turns))
	n.cpu += cpuTime(b.tb, c.pids()) - cpu
	n.took += time.Since(begin)
	n.answered += l.answered.Load() - answered
	if c.metrics != "" {
		n.counted += l.answered.Load()
		n.mallocs += c.mallocs(b.tb)
	}
	if err := stop(); err != nil {
		b.tb.Fatalf("%s: %v", c.name, err)
	}
}

// add takes the figures of a round.
func (r *result) add(n *count, mallocs bool) {
	answered := max(1, float64(n.answered))
	r.cpu = append(r.cpu, float64(n.cpu.Microseconds())/answered)
	r.rate = append(r.rate, float64(n.answered)/n.took.Seconds())
	if mallocs {
		r.mallocs = append(r.mallocs, n.mallocs/max(1, float64(n.counted)))
	}
}

// wait waits, or until there are no more requests.
func (l *load) wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.done:
	}
}

// machine says where it is measured.
func machine() string {
	model := runtime.GOARCH
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	release := ""
	if text, err := os.ReadFile(filepath.Join("/proc/sys/kernel", "osrelease")); err == nil {
		release, _, _ = strings.Cut(strings.TrimSpace(string(text)), "-")
	}
	return fmt.Sprintf("%d x %s, Linux %s, %s", runtime.NumCPU(), model, release, runtime.Version())
}
