//go:build e2e

package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

func sentinels(group *env.Sentinel) string {
	return fmt.Sprintf("urls: [%s], sentinel_master: %s", strings.Join(group.URLs(), ", "), env.SentinelName)
}

// TestSentinelFailoverSignsNobodyOut kills the primary under load.
func TestSentinelFailoverSignsNobodyOut(t *testing.T) {
	group := env.StartSentinel(t)
	f := startFleet(t, 2, sentinels(group), "")
	cookies := f.sessions(t, 200)
	f.allWork(t, cookies)
	stop := f.load(cookies, 8, 2*time.Millisecond, f.gateways...)
	old := group.CurrentPrimary()
	old.Kill()
	group.WaitNewPrimary(old)
	begin := time.Now()
	env.WaitUntil(t, "writes work again", func() bool {
		cookie, _ := f.trySignIn(f.gateways[0], "bob")
		return cookie != ""
	})
	writes := time.Since(begin)
	f.allWork(t, cookies)
	ok, unavailable := count(t, stop())
	t.Logf("failover of a Sentinel group under load: %d answers 200, %d answers 503; writes work %v after there was a new primary", ok, unavailable, writes)
	if writes > 5*time.Second {
		t.Errorf("writes took %v to recover", writes)
	}
}

// TestRevocationSurvivesAFailoverThatLostIt: the primary ends before its replica,
// frozen meanwhile, has heard of the sign-out. The gateway that did it does it
// again.
func TestRevocationSurvivesAFailoverThatLostIt(t *testing.T) {
	group := env.StartSentinel(t)
	f := startFleet(t, 2, sentinels(group), "")
	a, b := f.gateways[0], f.gateways[1]
	ended, kept := f.signIn(t, a, "alice"), f.signIn(t, a, "bob")
	f.allWork(t, []string{ended, kept})
	group.WaitReplica(group.Replica)
	replica := group.Replica
	replica.Freeze()
	if status := f.signOut(a, ended); status != http.StatusSeeOther {
		t.Fatalf("sign-out: %d", status)
	}
	f.waitStatus(t, b, ended, http.StatusFound)
	group.Primary.Kill()
	replica.Thaw()
	group.WaitNewPrimary(group.Primary)
	begin := time.Now()
	f.waitStatus(t, a, kept, http.StatusOK)
	env.WaitUntil(t, "the revocation was written again", func() bool {
		return f.metric(t, a, `sallyport_store_seconds_count{operation="bury"}`) > 0
	})
	for _, g := range f.gateways {
		f.waitStatus(t, g, ended, http.StatusFound)
	}
	t.Logf("after a failover that lost a sign-out, it was in force again within %v of the new primary", time.Since(begin))
	f.allWork(t, []string{kept})
}

// TestRevokedSessionThatComesBackIsRefused restores the record of a session that
// was ended, as a failover or a backup could.
func TestRevokedSessionThatComesBackIsRefused(t *testing.T) {
	t.Parallel()
	server := env.StartValkey(t)
	f := startFleet(t, 2, valkeyAt(server.URL()), "")
	a, b := f.gateways[0], f.gateways[1]
	cookie := f.signIn(t, a, "alice")
	f.allWork(t, []string{cookie})
	name := server.Do("--scan", "--pattern", "*}s*")
	if name == "" || strings.Contains(name, "\n") {
		t.Fatalf("sessions in Valkey: %q", name)
	}
	server.Do("COPY", name, "backup", "REPLACE")
	if status := f.signOut(a, cookie); status != http.StatusSeeOther {
		t.Fatalf("sign-out: %d", status)
	}
	server.Do("COPY", "backup", name)
	for range 10 {
		for _, g := range []*env.Gateway{b, a} {
			if r := f.get(g, "/", cookie); r.status != http.StatusFound {
				t.Fatalf("a session that was ended and came back: %v", r)
			}
		}
	}
	env.WaitUntil(t, "the session is deleted again", func() bool { return server.Do("EXISTS", name) == "0" })
}

// TestMovingSlotsGoesUnnoticed reshards a cluster under load, sign-ins included.
func TestMovingSlotsGoesUnnoticed(t *testing.T) {
	cluster := env.StartCluster(t)
	f := startFleet(t, 2, "urls: ["+strings.Join(cluster.URLs(), ", ")+"], timeout: 1s", "") // a machine that is busy is no outage
	cookies := f.sessions(t, 600)                                                            // some of them in the slots that move
	f.allWork(t, cookies)
	stop := f.load(cookies, 8, 10*time.Millisecond, f.gateways...) // what moves the slots has to get on as well
	done := make(chan struct{})
	var signedIn, signedOut int
	var wait sync.WaitGroup
	end := sync.OnceFunc(func() { close(done); wait.Wait() })
	defer end()
	wait.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			cookie, status := f.trySignIn(f.gateways[n%2], "bob")
			if cookie == "" {
				t.Errorf("signing in while slots move: %d", status)
				continue
			}
			signedIn++
			if r := f.get(f.gateways[(n+1)%2], "/", cookie); r.status != http.StatusOK {
				t.Errorf("a new session while slots move: %v", r)
			}
			if status := f.signOut(f.gateways[(n+1)%2], cookie); status != http.StatusSeeOther {
				t.Errorf("signing out while slots move: %d", status)
			}
			if r := f.get(f.gateways[n%2], "/", cookie); r.status == http.StatusOK {
				// The push may be on its way, but not for long.
				f.waitStatus(t, f.gateways[n%2], cookie, http.StatusFound)
			}
			signedOut++
		}
	})
	cluster.MoveSlots(300, cluster.Nodes[0], cluster.Nodes[1])
	cluster.MoveSlots(300, cluster.Nodes[1], cluster.Nodes[2])
	end()
	f.allWork(t, cookies)
	ok, unavailable := count(t, stop())
	t.Logf("600 slots moved under load: %d answers 200, %d answers 503, %d sign-ins, %d sign-outs", ok, unavailable, signedIn, signedOut)
	if unavailable > 0 {
		t.Errorf("%d requests could not be answered", unavailable)
	}
}

// TestClusterFailoverSignsNobodyOut kills one primary of three.
func TestClusterFailoverSignsNobodyOut(t *testing.T) {
	cluster := env.StartCluster(t)
	f := startFleet(t, 2, "urls: ["+strings.Join(cluster.URLs(), ", ")+"]", "")
	cookies := f.sessions(t, 100)
	f.allWork(t, cookies)
	stop := f.load(cookies, 8, 2*time.Millisecond, f.gateways...)
	old := cluster.PrimaryOf(0)
	old.Kill()
	begin := time.Now()
	cluster.WaitNewPrimary(0, old)
	elected := time.Since(begin)
	f.allWork(t, cookies)
	ok, unavailable := count(t, stop())
	t.Logf("failover of one shard of three: %d answers 200, %d answers 503; a new primary after %v, all sessions %v later", ok, unavailable, elected, time.Since(begin)-elected)
	if unavailable > ok {
		t.Error("more than the one shard was unavailable")
	}
}
