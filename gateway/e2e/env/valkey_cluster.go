//go:build e2e

package env

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/porttest"
)

const (
	clusterSlots     = 16384
	clusterPrimaries = 3
)

// Cluster is three primaries with one replica each.
type Cluster struct {
	Nodes []*Valkey // the primaries, then the replicas, as they were at the start

	t testing.TB
}

// StartCluster starts the cluster, each node with these options, and waits until
// it serves every slot and can fail over. Do on a node follows redirections.
func StartCluster(tb testing.TB, options ...ValkeyOption) *Cluster {
	tb.Helper()
	c := &Cluster{t: tb}
	buses := make([]int, 2*clusterPrimaries)
	for i := range buses {
		buses[i] = porttest.Free(tb)
		c.Nodes = append(c.Nodes, StartValkey(tb, slices.Concat(options, []ValkeyOption{
			func(v *Valkey) { v.cli = append(v.cli, "-c") },
			ValkeyArgs("--cluster-enabled", "yes",
				"--cluster-port", strconv.Itoa(buses[i]),
				"--cluster-node-timeout", "1000",
				// Without it a replica's first sync waits for others, and until
				// then it does not stand for election.
				"--repl-diskless-sync-delay", "0"),
		})...))
	}
	c.form(buses)
	WaitUntil(tb, "the cluster serves every slot", func() bool { return c.settled(clusterPrimaries) })
	for _, replica := range c.Nodes[clusterPrimaries:] {
		replica.waitLink()
	}
	return c
}

// form does what valkey-cli --cluster create does, without its questions and
// pauses.
func (c *Cluster) form(buses []int) {
	c.t.Helper()
	ids := make([]string, len(c.Nodes))
	for i, v := range c.Nodes {
		ids[i] = v.Do("CLUSTER", "MYID")
		v.Do("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
		if i < clusterPrimaries {
			v.Do("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(i*clusterSlots/clusterPrimaries),
				strconv.Itoa((i+1)*clusterSlots/clusterPrimaries-1))
		}
		if i > 0 {
			v.Do("CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(c.Nodes[0].Port), strconv.Itoa(buses[0]))
		}
	}
	for i, v := range c.Nodes[clusterPrimaries:] {
		WaitUntil(c.t, v.Addr+" knows its primary", func() bool {
			_, err := v.TryDo("CLUSTER", "REPLICATE", ids[i])
			return err == nil
		})
	}
}

// URLs are the addresses of all nodes.
func (c *Cluster) URLs() []string { return urls(c.Nodes) }

// PrimaryOf is the node that serves a slot, as most nodes see it.
func (c *Cluster) PrimaryOf(slot int) *Valkey {
	c.t.Helper()
	var primary *Valkey
	WaitUntil(c.t, fmt.Sprintf("most nodes agree on who serves slot %d", slot), func() bool {
		votes := map[int]int{}
		for _, v := range c.Nodes {
			for _, n := range v.clusterNodes() {
				if n.primary && !n.failed && n.serves(slot) {
					votes[n.port]++
				}
			}
		}
		for _, v := range c.Nodes {
			if votes[v.Port] > len(c.Nodes)/2 {
				primary = v
				return true
			}
		}
		return false
	})
	return primary
}

// WaitNewPrimary waits until another node than old serves the slot, and the
// cluster is complete again, and returns it.
func (c *Cluster) WaitNewPrimary(slot int, old *Valkey) *Valkey {
	c.t.Helper()
	var primary *Valkey
	WaitUntil(c.t, fmt.Sprintf("another node than %s serves slot %d", old.Addr, slot), func() bool {
		primary = c.PrimaryOf(slot)
		if primary == old {
			return false
		}
		info, err := primary.TryDo("CLUSTER", "INFO")
		return err == nil && fields(info)["cluster_state"] == "ok"
	})
	return primary
}

// MoveSlots moves n slots with their keys from one primary to another, while
// clients use them, and waits until every running node knows.
func (c *Cluster) MoveSlots(n int, from, to *Valkey) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	out, err := from.runCLI(ctx, []string{
		"--cluster", "reshard", from.Addr, "--cluster-yes",
		"--cluster-from", from.Do("CLUSTER", "MYID"), "--cluster-to", to.Do("CLUSTER", "MYID"),
		"--cluster-slots", strconv.Itoa(n),
	})
	if err != nil {
		c.t.Fatalf("moving %d slots from %s to %s: %v\n%s", n, from.Addr, to.Addr, err, out)
	}
	WaitUntil(c.t, "every node knows where the slots are", func() bool { return c.settled(0) })
}

// settled tells whether all running nodes say that the cluster is complete, see
// the same owners of the slots, and know that many replicas at least.
func (c *Cluster) settled(replicas int) bool {
	var first string
	for _, v := range c.Nodes {
		if !v.Running() {
			continue
		}
		info, err := v.TryDo("CLUSTER", "INFO")
		if err != nil || fields(info)["cluster_state"] != "ok" {
			return false
		}
		var owners []string
		known := 0
		for _, n := range v.clusterNodes() {
			switch {
			case !n.primary:
				known++
			case len(n.slots) > 0:
				owners = append(owners, fmt.Sprint(n.port, n.slots))
			}
		}
		slices.Sort(owners)
		if first == "" {
			first = fmt.Sprint(owners)
		}
		if known < replicas || first != fmt.Sprint(owners) {
			return false
		}
	}
	return true
}

// clusterNode is what one node knows about another.
type clusterNode struct {
	port            int
	primary, failed bool
	slots           [][2]int // from and to, both included
}

func (n clusterNode) serves(slot int) bool {
	return slices.ContainsFunc(n.slots, func(r [2]int) bool { return r[0] <= slot && slot <= r[1] })
}

// clusterNodes returns what this node knows, and nothing when it is down.
func (v *Valkey) clusterNodes() []clusterNode {
	if !v.Running() {
		return nil
	}
	out, err := v.tryWithin(askTimeout, "CLUSTER", "NODES")
	if err != nil {
		return nil
	}
	var all []clusterNode
	for line := range strings.Lines(out) {
		// id ip:port@bus,name flags primary ping pong epoch link slot slot-slot [migrating]
		words := strings.Fields(line)
		if len(words) < 8 {
			continue
		}
		addr, _, _ := strings.Cut(words[1], "@")
		n := clusterNode{failed: strings.Contains(words[2], "fail")} // fail? is a suspicion
		n.primary = slices.Contains(strings.Split(words[2], ","), "master")
		n.port, _ = strconv.Atoi(addr[strings.LastIndex(addr, ":")+1:])
		for _, word := range words[8:] {
			first, last, isRange := strings.Cut(word, "-")
			if !isRange {
				last = first
			}
			from, err1 := strconv.Atoi(first)
			to, err2 := strconv.Atoi(last)
			if err1 == nil && err2 == nil { // else a slot that is on its way
				n.slots = append(n.slots, [2]int{from, to})
			}
		}
		all = append(all, n)
	}
	return all
}
