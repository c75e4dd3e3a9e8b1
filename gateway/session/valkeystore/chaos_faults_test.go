//go:build e2e && long

package valkeystore_test

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// between is a random time of a fault.
func (c *chaos) between(from, to time.Duration) time.Duration {
	return (from + time.Duration(c.rand.Int64N(int64(to-from)))).Round(time.Millisecond)
}

// hold lets a fault last.
func (c *chaos) hold(d time.Duration) { c.pause(d, d+time.Millisecond) }

// begin names a fault, before it happens.
func (c *chaos) begin(format string, args ...any) string {
	what := fmt.Sprintf(format, args...)
	c.model.fault("begin: %s", what)
	return what
}

// networkFaults happen to one gateway.
func (c *chaos) networkFaults(ways []*env.TCPProxy) []func() string {
	one := func() (int, *env.TCPProxy) {
		i := c.rand.IntN(len(ways))
		return i, ways[i]
	}
	return []func() string{
		func() string {
			i, way := one()
			d := c.between(50*time.Millisecond, 4*time.Second)
			what := c.begin("gateway %d: black hole for %v", i, d)
			way.BlackHole()
			c.hold(d)
			way.Heal()
			return what
		},
		func() string {
			i, way := one()
			d := c.between(50*time.Millisecond, 4*time.Second)
			what := c.begin("gateway %d: black hole of existing connections for %v", i, d)
			way.BlackHoleExisting()
			c.hold(d)
			way.Heal()
			return what
		},
		func() string {
			i, way := one()
			d := c.between(time.Millisecond, time.Second)
			what := c.begin("gateway %d: black hole for %v, then cut", i, d)
			way.BlackHole()
			c.hold(d)
			way.Cut()
			way.Heal()
			return what
		},
		func() string {
			i, way := one()
			n := 1 + c.rand.IntN(10)
			what := c.begin("gateway %d: cut %d times", i, n)
			for range n {
				way.Cut()
				c.pause(time.Millisecond, 100*time.Millisecond)
			}
			return what
		},
		func() string {
			i, way := one()
			d := c.between(50*time.Millisecond, 3*time.Second)
			what := c.begin("gateway %d: refused for %v", i, d)
			way.Refuse()
			way.Cut()
			c.hold(d)
			way.Accept()
			return what
		},
		func() string {
			i, way := one()
			late, d := c.between(time.Millisecond, time.Second), c.between(time.Second, 5*time.Second)
			what := c.begin("gateway %d: delay of %v for %v", i, late, d)
			way.Delay(late)
			c.hold(d)
			way.Delay(0)
			return what
		},
	}
}

// serverFaults happen to a server that keeps its data.
func (c *chaos) serverFaults(v *env.Valkey) []func() string {
	return append(c.clientFaults(func() *env.Valkey { return v }, 2*time.Second), c.freeze(func() *env.Valkey { return v }, 5*time.Second),
		func() string {
			d := c.between(time.Millisecond, 2*time.Second)
			what := c.begin("killed for %v", d)
			v.Kill()
			c.hold(d)
			v.Restart()
			return what
		},
	)
}

func (c *chaos) freeze(server func() *env.Valkey, most time.Duration) func() string {
	return func() string {
		v, d := server(), c.between(20*time.Millisecond, most)
		what := c.begin("%s: frozen for %v", v.Addr, d)
		v.Freeze()
		c.hold(d)
		v.Thaw()
		return what
	}
}

// clientFaults are what a server may do to its clients.
func (c *chaos) clientFaults(server func() *env.Valkey, longest time.Duration) []func() string {
	pause := func(kind string) func() string {
		return func() string {
			v, d := server(), c.between(50*time.Millisecond, longest)
			what := c.begin("%s: clients are paused (%s) for %v", v.Addr, kind, d)
			v.Do("CLIENT", "PAUSE", strconv.FormatInt(d.Milliseconds(), 10), kind)
			c.hold(d)
			return what
		}
	}
	return []func() string{
		pause("ALL"), pause("WRITE"),
		func() string {
			v := server()
			what := c.begin("%s: clients are killed", v.Addr)
			for range 1 + c.rand.IntN(5) {
				v.Do("CLIENT", "KILL", "TYPE", "normal")
				c.pause(time.Millisecond, 200*time.Millisecond)
			}
			return what
		},
		func() string {
			v, n := server(), 1+c.rand.IntN(20)
			what := c.begin("%s: %d keys are tracked", v.Addr, n)
			v.Do("CONFIG", "SET", "tracking-table-max-keys", strconv.Itoa(n))
			c.pause(time.Second, 3*time.Second)
			v.Do("CONFIG", "SET", "tracking-table-max-keys", "1000000")
			return what
		},
		func() string {
			v := server()
			what := c.begin("%s: scripts are flushed", v.Addr)
			v.Do("SCRIPT", "FLUSH")
			return what
		},
	}
}

// brief is too short for sentinels and cluster nodes to think that a server is
// down.
const brief = 400 * time.Millisecond

func (c *chaos) sentinelFaults(group *env.Sentinel) []func() string {
	failover := func() string {
		old := group.CurrentPrimary()
		what := c.begin("the primary %s is killed", old.Addr)
		over := c.model.failover()
		old.Kill()
		group.WaitNewPrimary(old)
		over()
		c.healed(what)
		c.settled(group)
		old.Restart()
		group.WaitReplica(old)
		return what
	}
	frozen := func() string {
		old := group.CurrentPrimary()
		what := c.begin("the primary %s is frozen until there is another", old.Addr)
		over := c.model.failover()
		old.Freeze()
		group.WaitNewPrimary(old)
		c.pause(time.Millisecond, time.Second)
		c.settled(group)
		old.Thaw()
		group.WaitReplica(old)
		over()
		return what
	}
	return append(c.clientFaults(group.CurrentPrimary, brief), c.freeze(group.CurrentPrimary, brief), failover, frozen,
		func() string {
			v := group.Sentinels[c.rand.IntN(len(group.Sentinels))]
			d := c.between(time.Second, 4*time.Second)
			what := c.begin("the sentinel %s is frozen for %v", v.Addr, d)
			v.Freeze()
			c.hold(d)
			v.Thaw()
			return what
		})
}

// settled waits until no sentinel has doubted the primary for a while: it could
// make one that has just come back, with what it had long ago, the primary.
func (c *chaos) settled(group *env.Sentinel) {
	var since time.Time
	env.WaitUntil(c.t, "the sentinels are content with the primary", func() bool {
		for _, one := range group.Sentinels {
			state, err := one.TryDo("SENTINEL", "MASTER", env.SentinelName)
			if err != nil || !strings.Contains(state, "flags\nmaster\n") {
				since = time.Time{}
				return false
			}
		}
		if since.IsZero() {
			since = time.Now()
		}
		return time.Since(since) > 2*time.Second
	})
}

// follows waits until a node that was replaced is in sync with the new primary.
func (c *chaos) follows(v *env.Valkey) {
	env.WaitUntil(c.t, v.Addr+" follows a primary", func() bool {
		state, err := v.TryDo("INFO", "replication")
		return err == nil && strings.Contains(state, "role:slave") && strings.Contains(state, "master_link_status:up")
	})
}

func (c *chaos) clusterFaults(cluster *env.Cluster) []func() string {
	primary := func() *env.Valkey { return cluster.PrimaryOf(c.rand.IntN(16384)) }
	failover := func() string {
		slot := c.rand.IntN(16384)
		old := cluster.PrimaryOf(slot)
		what := c.begin("the primary %s is killed", old.Addr)
		over := c.model.failover()
		old.Kill()
		cluster.WaitNewPrimary(slot, old)
		over()
		c.healed(what)
		old.Restart()
		c.follows(old)
		return what
	}
	frozen := func() string {
		slot := c.rand.IntN(16384)
		old := cluster.PrimaryOf(slot)
		what := c.begin("the primary %s is frozen until there is another", old.Addr)
		over := c.model.failover()
		old.Freeze()
		cluster.WaitNewPrimary(slot, old)
		c.pause(time.Millisecond, time.Second)
		old.Thaw()
		c.follows(old)
		over()
		return what
	}
	move := func() string {
		from := primary()
		to := primary()
		for to == from {
			to = primary()
		}
		n := 1 + c.rand.IntN(300)
		what := c.begin("%d slots move from %s to %s", n, from.Addr, to.Addr)
		cluster.MoveSlots(n, from, to)
		return what
	}
	return append(c.clientFaults(primary, 2*time.Second), c.freeze(primary, brief), failover, frozen, move, move)
}
