//go:build e2e && long

package valkeystore_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/session/valkeystore"
)

var (
	chaosTime = flag.Duration("chaos", 45*time.Second, "how long TestChaos takes for each topology")
	chaosSeed = flag.Uint64("chaos.seed", uint64(time.Now().UnixNano()), "what TestChaos does")
)

const (
	callTimeout  = 250 * time.Millisecond // of the stores
	callSlack    = 100 * time.Millisecond // for the answer to reach whoever asked, with the race detector
	maxStaleness = 1500 * time.Millisecond
	lag          = maxStaleness + 100*time.Millisecond // how long a gateway may not know
	recovery     = 8 * time.Second                     // from the end of a fault until all is well
	population   = 1500
	smallCache   = 1 << 20 // holds fewer sessions than there are
	issuer       = "https://id.example.com/realms/corp"
)

// chaos is a fleet of gateways, and those who use it. What has to hold, whatever
// happens between it and the servers:
//
//   - A session that nobody ended is never answered with ErrNotFound.
//   - One that was ended is never answered again: by the gateway that ended it at
//     once, and by the others after maxStaleness.
//   - Changes are seen in the same way, and none is lost.
//   - No call takes longer than its deadline.
//   - When all is well again, everything works within seconds, and nothing is left
//     behind.
//
// A failover excuses the loss of what was acknowledged just before it.
type chaos struct {
	t             *testing.T
	stores        []*valkeystore.Store
	model         *model
	stalls        stalls
	rand          *rand.Rand
	callsToDelete int

	answered, refused atomic.Int64
	slowest           time.Duration // recovery
	slowestAfter      string
}

func newChaos(t *testing.T, configs ...config.Valkey) *chaos {
	t.Helper()
	t.Logf("-chaos.seed %d", *chaosSeed)
	t.Cleanup(func() {
		// A closed client may be about to ask a cluster for its topology.
		stacks := make([]byte, 1<<20)
		defer func() {
			if t.Failed() {
				t.Logf("%s", stacks)
			}
		}()
		eventually(t, "nothing is left of the clients", func() bool {
			stacks = stacks[:runtime.Stack(stacks[:cap(stacks)], true)]
			return !bytes.Contains(stacks, []byte("valkey-go"))
		})
	})
	c := &chaos{t: t, model: &model{t: t}, rand: rand.New(rand.NewPCG(*chaosSeed, 0)), callsToDelete: 1}
	for i, cfg := range configs {
		cfg.Timeout = callTimeout
		cache := config.Cache{MaxBytes: 64 << 20, MaxStaleness: maxStaleness}
		if i == 0 {
			cache.MaxBytes = smallCache
		}
		c.stores = append(c.stores, open(t, cfg, cache))
	}
	for i := range 200 {
		c.model.users = append(c.model.users, &user{subject: "user" + strconv.Itoa(i)})
	}
	return c
}

func (c *chaos) count(err error) {
	if err == nil || errors.Is(err, session.ErrNotFound) {
		c.answered.Add(1)
	} else {
		c.refused.Add(1)
	}
}

// run lets the workers work while faults are injected, one after the other, and
// looks at everything at the end.
func (c *chaos) run(faults []func() string) {
	const workers = 24
	ctx, stop := context.WithCancel(c.t.Context())
	defer stop()
	var wait sync.WaitGroup
	wait.Go(func() { c.stalls.watch(ctx) })
	for i := range workers {
		w := &worker{chaos: c, rand: rand.New(rand.NewPCG(*chaosSeed, uint64(i+1))), record: record{name: fmt.Sprint(i)}}
		wait.Go(func() { w.run(ctx) })
	}
	eventually(c.t, "the population is there", func() bool {
		c.model.mu.RLock()
		defer c.model.mu.RUnlock()
		return len(c.model.alive) >= population || c.model.violations.Load() > 0
	})
	goroutines := runtime.NumGoroutine()
	var order []func() string
	for end := time.Now().Add(*chaosTime); time.Now().Before(end) && c.model.violations.Load() == 0; {
		if len(order) == 0 {
			order = slices.Clone(faults)
			c.rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		}
		what := order[0]()
		order = order[1:]
		c.model.fault("over: %s", what)
		c.healed(what)
		c.pause(300*time.Millisecond, time.Second)
	}
	stop()
	wait.Wait()
	c.lookAtAll()
	c.calm(goroutines)
	c.t.Logf("%d calls were answered, %d were not; %d sessions; all was well again %v after the worst fault (%s)",
		c.answered.Load(), c.refused.Load(), c.model.next.Load(), c.slowest.Round(time.Millisecond), c.slowestAfter)
	for i, s := range c.stores {
		c.t.Logf("gateway %d: %+v", i, s.Stats())
	}
}

// pause waits for a random time.
func (c *chaos) pause(from, to time.Duration) {
	timer := time.NewTimer(from + time.Duration(c.rand.Int64N(int64(to-from))))
	defer timer.Stop()
	<-timer.C
}

// healed waits until every gateway answers, and changes a session.
func (c *chaos) healed(what string) {
	begin := time.Now()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for i, s := range c.stores {
		for j := 0; j < 10; {
			err := s.Ping(context.Background())
			if err == nil {
				_, in := c.model.newSession(&user{subject: "canary"})
				if err = s.Create(context.Background(), in); err == nil {
					j++
					continue
				}
			}
			if time.Since(begin) > recovery {
				c.model.broken(nil, "gateway %d %v after %s: %v", i, time.Since(begin), what, err)
				return
			}
			<-tick.C
		}
	}
	if took := time.Since(begin); took > c.slowest {
		c.slowest, c.slowestAfter = took, what
	}
}

// lookAtAll checks every session at every gateway, when all is well and nobody
// can have an excuse.
func (c *chaos) lookAtAll() {
	c.pause(lag+buriedAfter, lag+buriedAfter+time.Second)
	all := make(map[*known]bool)
	for _, k := range c.model.alive {
		all[k] = true
	}
	for _, u := range c.model.users {
		for _, k := range u.sessions {
			all[k] = true
		}
	}
	for round := range 2 {
		for k := range all {
			for g, s := range c.stores {
				want := c.model.expect(k, g, lag)
				got, err := s.Get(context.Background(), k.key)
				what := fmt.Sprintf("at the end, round %d, get at %d", round, g)
				if err != nil && !errors.Is(err, session.ErrNotFound) {
					c.model.broken(k, "%s: %v", what, err)
					continue
				}
				if err != nil {
					c.model.notFound(k, want, what)
					continue
				}
				c.model.found(k, want, what, got)
				if changes := int(got.Version) - 1; len(c.model.outages) == 0 && (changes < k.acked || changes > k.acked+k.unknown) {
					c.model.broken(k, "%s: %d updates, want %d to %d", what, changes, k.acked, k.acked+k.unknown)
				}
			}
		}
	}
	for i, s := range c.stores {
		w := &worker{chaos: c, rand: c.rand}
		w.list(i, nil)
		limit := int64(64 << 20)
		if i == 0 {
			limit = smallCache
		}
		if st := s.Stats(); st.Bytes > limit {
			c.model.broken(nil, "gateway %d holds %d bytes of %d", i, st.Bytes, limit)
		}
	}
	if c.stores[0].Stats().Evictions == 0 {
		c.t.Error("nothing was evicted")
	}
}

// calm waits until nothing is left of what the faults have set off.
func (c *chaos) calm(before int) {
	// Every gateway may keep 16 connections to each primary for WAIT.
	more := 20 + (c.callsToDelete-1)*3*3*16*3
	now := 0
	for end := time.Now().Add(recovery); time.Now().Before(end); c.pause(50*time.Millisecond, 60*time.Millisecond) {
		if now = runtime.NumGoroutine(); now <= before+more {
			return
		}
	}
	stacks := make([]byte, 1<<20)
	c.model.broken(nil, "%d goroutines, %d before:\n%s", now, before, stacks[:runtime.Stack(stacks, true)])
}

func TestChaosOneServer(t *testing.T) {
	server := env.StartValkey(t, env.ValkeyArgs("--appendonly", "yes", "--appendfsync", "no"))
	ways := []*env.TCPProxy{env.StartTCPProxy(t, server.Addr), env.StartTCPProxy(t, server.Addr), env.StartTCPProxy(t, server.Addr)}
	c := newChaos(t, settings("valkey://"+ways[0].Addr), settings("valkey://"+ways[1].Addr), settings("valkey://"+ways[2].Addr))
	c.run(append(c.networkFaults(ways), c.serverFaults(server)...))
}

func TestChaosSentinel(t *testing.T) {
	group := env.StartSentinel(t)
	cfg := settings(group.URLs()...)
	cfg.SentinelMaster = env.SentinelName
	c := newChaos(t, cfg, cfg, cfg)
	c.callsToDelete = 2 // it waits for a replica
	c.run(c.sentinelFaults(group))
}

func TestChaosCluster(t *testing.T) {
	cluster := env.StartCluster(t)
	cfg := settings(cluster.URLs()...)
	c := newChaos(t, cfg, cfg, cfg)
	c.callsToDelete = 2
	c.run(c.clusterFaults(cluster))
}
