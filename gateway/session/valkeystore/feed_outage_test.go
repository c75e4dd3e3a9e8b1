//go:build e2e

package valkeystore_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/session/sessiontest"
	"github.com/sallyport/sallyport/gateway/session/valkeystore"
)

func wantRefused(t *testing.T, s *valkeystore.Store) {
	t.Helper()
	if err := s.Publish(t.Context(), revoked, session.FeedEntry{Name: "refused", Value: []byte("v"), ExpiresAt: time.Now().Add(time.Hour)}); err == nil {
		t.Error("an entry passes for published")
	}
}

func TestAFrozenServerConfirmsNothing(t *testing.T) {
	t.Parallel()
	server := env.StartValkey(t)
	s := quick(t, server.URL())
	f := sessiontest.Follow(t, s, revoked)
	publish(t, s, "a", "1")
	waitConfirmed(t, f)
	server.Freeze()
	frozen := time.Now()
	wantUnconfirmed(t, f, frozen)
	server.Thaw()
	begin := time.Now()
	waitConfirmed(t, f)
	t.Logf("confirmed again after %v", time.Since(begin))
	publish(t, s, "b", "2")
	waitLive(t, f, map[string]string{"a": "1", "b": "2"})
}

func TestAKilledServerThatKeepsItsDataLosesNoEntry(t *testing.T) {
	t.Parallel()
	server := env.StartValkey(t, env.ValkeyArgs("--appendonly", "yes", "--appendfsync", "always"))
	s := quick(t, server.URL())
	f := sessiontest.Follow(t, s, revoked)
	want := map[string]string{}
	for i := range 100 {
		publish(t, s, strconv.Itoa(i), "v")
		want[strconv.Itoa(i)] = "v"
	}
	server.Kill()
	killed := time.Now()
	wantRefused(t, s)
	wantUnconfirmed(t, f, killed)
	server.Restart()
	begin := time.Now()
	waitConfirmed(t, f)
	t.Logf("confirmed again after %v", time.Since(begin))
	// Somebody who never knew them, before anybody could bring one back.
	wantAll(t, quick(t, server.URL()), want)
	publish(t, s, "after", "v")
	want["after"] = "v"
	waitLive(t, f, want)
	if n := server.Do("XLEN", s.FeedKey(revoked)); n != "101" {
		t.Errorf("%s entries, want 101", n)
	}
}

func TestASilentNetworkConfirmsNothing(t *testing.T) {
	t.Parallel()
	server := env.StartValkey(t)
	way := env.StartTCPProxy(t, server.Addr)
	s, direct := quick(t, "valkey://"+way.Addr), quick(t, server.URL())
	f := sessiontest.Follow(t, s, revoked)
	waitConfirmed(t, f)
	way.BlackHole()
	cut := time.Now()
	publish(t, direct, "a", "1")
	wantUnconfirmed(t, f, cut)
	way.Heal()
	waitLive(t, f, map[string]string{"a": "1"})
	waitConfirmed(t, f)
}

// TestASilentConnectionIsReplaced: a firewall forgets the connections that are
// open, and lets new ones through.
func TestASilentConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	server := env.StartValkey(t)
	way := env.StartTCPProxy(t, server.Addr)
	s, direct := quick(t, "valkey://"+way.Addr), quick(t, server.URL())
	f := sessiontest.Follow(t, s, revoked)
	waitConfirmed(t, f)
	way.BlackHoleExisting()
	publish(t, direct, "a", "1")
	begin := time.Now()
	waitLive(t, f, map[string]string{"a": "1"})
	waitConfirmed(t, f)
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("it took %v", took)
	} else {
		t.Logf("replaced after %v", took)
	}
}

// TestAServerThatTakesNoWritesIsStillFollowed: nothing can be published, and so
// nothing is missed.
func TestAServerThatTakesNoWritesIsStillFollowed(t *testing.T) {
	t.Parallel()
	for why, fault := range map[string]func(*env.Valkey) (heal func()){
		"out of memory": func(v *env.Valkey) func() {
			v.Do("CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", strconv.FormatInt(v.UsedMemory()/2, 10))
			return func() { v.Do("CONFIG", "SET", "maxmemory", "0") }
		},
		"a full disk": func(v *env.Valkey) func() {
			dir := strings.Fields(v.Do("CONFIG", "GET", "dir"))[1]
			v.Do("CONFIG", "SET", "dir", "/proc")
			_, _ = v.TryDo("BGSAVE")
			env.WaitUntil(t, "it refuses writes", func() bool {
				_, err := v.TryDo("DEL", "x")
				return err != nil && strings.Contains(err.Error(), "MISCONF")
			})
			return func() {
				v.Do("CONFIG", "SET", "dir", dir)
				v.Do("BGSAVE")
			}
		},
	} {
		t.Run(why, func(t *testing.T) {
			server := env.StartValkey(t, env.ValkeyArgs("--save", "3600 1000000", "--enable-protected-configs", "yes"))
			s := quick(t, server.URL())
			publish(t, s, "a", "1")
			early := sessiontest.Follow(t, s, revoked)
			waitConfirmed(t, early)
			heal := fault(server)
			wantRefused(t, s)
			waitConfirmed(t, early)
			wantAll(t, s, map[string]string{"a": "1"})
			heal()
			publish(t, s, "b", "2")
			waitLive(t, early, map[string]string{"a": "1", "b": "2"})
		})
	}
}

// TestADemotedPrimaryConfirmsNothing though it answers reads: it is a replica
// now, and behind.
func TestADemotedPrimaryConfirmsNothing(t *testing.T) {
	t.Parallel()
	primary, replica := replicated(t)
	way := env.StartTCPProxy(t, primary.Addr)
	s := quick(t, "valkey://"+way.Addr)
	f := sessiontest.Follow(t, s, revoked)
	publish(t, s, "a", "1")
	waitConfirmed(t, f)
	replica.Do("REPLICAOF", "NO", "ONE")
	primary.Do("REPLICAOF", "127.0.0.1", strconv.Itoa(replica.Port))
	demoted := time.Now()
	publish(t, quick(t, replica.URL()), "b", "2")
	wantUnconfirmed(t, f, demoted)
	way.Retarget(replica.Addr)
	waitLive(t, f, map[string]string{"a": "1", "b": "2"})
	waitConfirmed(t, f)
}

// TestAPrimaryWithoutItsReplicasConfirmsNothing where its operator wants that: they
// may have another primary by now.
func TestAPrimaryWithoutItsReplicasConfirmsNothing(t *testing.T) {
	t.Parallel()
	server := env.StartValkey(t)
	s := quick(t, server.URL())
	f := sessiontest.Follow(t, s, revoked)
	waitConfirmed(t, f)
	server.Do("CONFIG", "SET", "min-replicas-to-write", "1")
	wantUnconfirmed(t, f, time.Now())
	wantRefused(t, s)
	server.Do("CONFIG", "SET", "min-replicas-to-write", "0")
	waitConfirmed(t, f)
}

// TestWhatAFailoverLostIsBroughtBack: the new primary lacks the last entries, and
// has older ones in the place of some.
func TestWhatAFailoverLostIsBroughtBack(t *testing.T) {
	t.Parallel()
	primary, replica := replicated(t)
	way := env.StartTCPProxy(t, primary.Addr)
	s := quick(t, "valkey://"+way.Addr)
	f := sessiontest.Follow(t, s, revoked)
	publish(t, s, "alice", "old")
	publish(t, s, "kept", "v")
	env.WaitUntil(t, "the replica has both", func() bool { return replica.Do("XLEN", s.FeedKey(revoked)) == "2" })
	replica.Do("REPLICAOF", "NO", "ONE")
	publish(t, s, "alice", "new")
	publish(t, s, "bob", "v")
	want := map[string]string{"alice": "new", "kept": "v", "bob": "v"}
	waitLive(t, f, want)
	way.Retarget(replica.Addr)
	way.Cut()
	primary.Kill()
	eventually(t, "the new primary has what it lacked", func() bool { return replica.Do("XLEN", s.FeedKey(revoked)) == "4" })
	wantAll(t, quick(t, replica.URL()), want)
	waitConfirmed(t, f)
	for i, value := range f.Heard() {
		if value == "old" && i > 0 {
			t.Errorf("an entry that was replaced is told again: %q", f.Heard())
		}
	}
	waitLive(t, f, want)
}

func TestAFeedGoesOnAfterASentinelFailover(t *testing.T) {
	t.Parallel()
	group := env.StartSentinel(t)
	cfg := settings(group.URLs()...)
	cfg.SentinelMaster, cfg.Timeout = env.SentinelName, 250*time.Millisecond
	a, b := open(t, cfg, defaultCache()), open(t, cfg, defaultCache())
	f := sessiontest.Follow(t, b, revoked)
	want := map[string]string{}
	entries := func(from, to int) {
		for i := from; i < to; i++ {
			publish(t, a, strconv.Itoa(i), "v")
			want[strconv.Itoa(i)] = "v"
		}
	}
	entries(0, 50)
	waitLive(t, f, want)
	old := group.CurrentPrimary()
	old.Kill()
	killed := time.Now()
	entries(50, 60)
	waitLive(t, f, want)
	waitConfirmed(t, f)
	t.Logf("confirmed %v after the crash", time.Since(killed))
	wantAll(t, a, want)
	// The old one comes back as a replica.
	group.WaitNewPrimary(old)
	old.Restart()
	entries(60, 70)
	waitLive(t, f, want)
}

// lowSlotFeed names a feed in one of the first slots of a node, so that few have
// to be moved to move it.
func lowSlotFeed(t *testing.T, s *valkeystore.Store, node *env.Valkey) (name string, slot int) {
	t.Helper()
	const perNode = 5461
	for i := range 10_000 {
		name := fmt.Sprint("feed-", i)
		slot, err := strconv.Atoi(node.Do("CLUSTER", "KEYSLOT", s.FeedKey(name)))
		if err != nil {
			t.Fatal(err)
		}
		if slot%perNode < 200 && slot < 2*perNode {
			return name, slot
		}
	}
	t.Fatal("no feed in a low slot")
	return "", 0
}

// TestAFeedGoesOnWhereverAClusterHasIt: its slot moves, its primary crashes, and
// the next one loses it.
func TestAFeedGoesOnWhereverAClusterHasIt(t *testing.T) {
	t.Parallel()
	cluster := env.StartCluster(t)
	cfg := settings(cluster.URLs()...)
	cfg.Timeout = 250 * time.Millisecond
	a, b := open(t, cfg, defaultCache()), open(t, cfg, defaultCache())
	name, slot := lowSlotFeed(t, a, cluster.Nodes[0])
	f := sessiontest.Follow(t, b, name)
	var want []string
	entries := func() {
		t.Helper()
		for range 20 {
			value := strconv.Itoa(len(want))
			want = append(want, value)
			eventually(t, "an entry can be published", func() bool {
				return a.Publish(t.Context(), name, session.FeedEntry{Name: value, Value: []byte(value)}) == nil
			})
		}
		eventually(t, "it is heard", func() bool { return len(f.Live()) == len(want) })
	}
	entries()
	from := cluster.PrimaryOf(slot)
	to := cluster.Nodes[0]
	if from == to {
		to = cluster.Nodes[1]
	}
	cluster.MoveSlots(slot%5461+1, from, to)
	if now := cluster.PrimaryOf(slot); now != to {
		t.Fatalf("slot %d is at %s", slot, now.Addr)
	}
	moved := time.Now()
	entries()
	waitConfirmed(t, f)
	t.Logf("confirmed %v after the move", time.Since(moved))
	to.Kill()
	killed := time.Now()
	entries()
	waitConfirmed(t, f)
	t.Logf("confirmed %v after the crash", time.Since(killed))
	// What is lost is brought back there too.
	now := cluster.WaitNewPrimary(slot, to)
	now.Do("DEL", a.FeedKey(name))
	now.Do("CLIENT", "KILL", "TYPE", "normal")
	eventually(t, "all is there again", func() bool { return now.Do("XLEN", a.FeedKey(name)) == strconv.Itoa(len(want)) })
	late := sessiontest.Follow(t, a, name)
	eventually(t, "a new follower has all", func() bool { return !late.Confirmed().IsZero() })
	if diff := cmp.Diff(len(want), len(late.Live())); diff != "" {
		t.Error(diff)
	}
}
