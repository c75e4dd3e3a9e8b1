//go:build e2e

package e2e_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// refuseWrites makes the server refuse to write: its memory is full.
func refuseWrites(server *env.Valkey) (undo func()) {
	server.Do("CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", strconv.FormatInt(server.UsedMemory()/2, 10))
	return func() { server.Do("CONFIG", "SET", "maxmemory", "0") }
}

// TestStoreThatTakesNoWritesSignsNobodyOut: uses can't be recorded, so nobody may
// be taken for idle, at no gateway, and nobody is once it takes writes again.
func TestStoreThatTakesNoWritesSignsNobodyOut(t *testing.T) {
	t.Parallel()
	server := env.StartValkey(t)
	f := startFleet(t, 2, valkeyAt(server.URL())+", timeout: 1s", "idle_timeout: 2s")
	uncached := startFleetLike(t, f, 0, "idle_timeout: 2s\n  cache: {max_bytes: 0}")
	a, b, c := f.gateways[0], f.gateways[1], uncached.gateways[0]
	cookie, idle := f.signIn(t, a, "alice"), f.signIn(t, a, "bob")
	for _, g := range []*env.Gateway{a, b, c} {
		f.waitStatus(t, g, cookie, http.StatusOK)
	}
	undo := refuseWrites(server)
	end := time.Now().Add(6 * time.Second) // three idle timeouts
	env.WaitUntil(t, "three idle timeouts have passed", func() bool {
		for _, g := range []*env.Gateway{a, c} {
			if r := f.get(g, "/", cookie); r.status != http.StatusOK || r.setCookie {
				t.Fatalf("where it is used all the time: %v", r)
			}
		}
		return time.Now().After(end)
	})
	// B has not seen the user, and can't know that others have.
	for _, stranger := range []string{cookie, idle} {
		if r := f.get(b, "/", stranger); r.status != http.StatusServiceUnavailable || r.setCookie {
			t.Errorf("where it was not used: %v", r)
		}
	}
	if _, status := f.trySignIn(a, "alice"); status != http.StatusServiceUnavailable {
		t.Errorf("signing in: %d", status)
	}
	if f.metric(t, a, "sallyport_store_writable") != 0 || f.metric(t, a, "sallyport_store_up") != 1 {
		t.Error("the metrics don't tell")
	}
	if !strings.Contains(a.Output(), `"step":"write"`) {
		t.Error("the log does not tell")
	}
	// What is deleted needs no memory.
	if status := f.signOut(a, idle); status != http.StatusSeeOther {
		t.Errorf("signing out: %d", status)
	}
	if r := f.get(b, "/", idle); r.status != http.StatusFound {
		t.Errorf("after signing out: %v", r)
	}
	undo()
	for _, g := range []*env.Gateway{a, b, c} {
		env.WaitUntil(t, "it is served again", func() bool {
			r := f.get(g, "/", cookie)
			if r.status != http.StatusOK && r.status != http.StatusServiceUnavailable {
				t.Fatalf("afterwards: %v", r)
			}
			return r.status == http.StatusOK
		})
	}
	// And then it is idle like any other.
	idleAt := time.Now().Add(2*time.Second + 100*time.Millisecond)
	env.WaitUntil(t, "an idle timeout has passed", func() bool { return time.Now().After(idleAt) })
	f.waitStatus(t, b, cookie, http.StatusFound)
}

// TestOutageStopsTheIdleClock: somebody who could not be served for longer than
// the idle timeout has not been idle.
func TestOutageStopsTheIdleClock(t *testing.T) {
	t.Parallel()
	server := env.StartValkey(t)
	f := startFleet(t, 1, valkeyAt(server.URL()), "idle_timeout: 2s\n  cache: {max_staleness: 1s}")
	cookie := f.signIn(t, f.gateways[0], "alice")
	f.waitStatus(t, f.gateways[0], cookie, http.StatusOK)
	server.Freeze()
	end := time.Now().Add(5 * time.Second)
	env.WaitUntil(t, "two idle timeouts have passed", func() bool {
		f.get(f.gateways[0], "/", cookie)
		return time.Now().After(end)
	})
	server.Thaw()
	env.WaitUntil(t, "it answers", func() bool {
		r := f.get(f.gateways[0], "/", cookie)
		if r.status != http.StatusOK && r.status != http.StatusServiceUnavailable {
			t.Fatalf("after the outage: %v", r)
		}
		return r.status == http.StatusOK
	})
}

// TestDemotedPrimaryIsLeft: behind an address that leads to another server by
// now, the open connections stay with the old one, which answers every read.
func TestDemotedPrimaryIsLeft(t *testing.T) {
	t.Parallel()
	primary := env.StartValkey(t)
	replica := env.StartValkey(t, env.ValkeyArgs("--replicaof", "127.0.0.1 "+strconv.Itoa(primary.Port), "--repl-diskless-sync-delay", "0"))
	env.WaitUntil(t, "the replica is in sync", func() bool { return replica.Info("replication")["master_link_status"] == "up" })
	way := env.StartTCPProxy(t, primary.Addr)
	f := startFleet(t, 1, valkeyAt("valkey://"+way.Addr), "")
	cookie := f.signIn(t, f.gateways[0], "alice")
	f.waitStatus(t, f.gateways[0], cookie, http.StatusOK)
	primary.Do("WAIT", "1", "10000") // a replica that did not get the session can't know it
	way.Retarget(replica.Addr)
	replica.Do("REPLICAOF", "NO", "ONE")
	primary.Do("REPLICAOF", "127.0.0.1", strconv.Itoa(replica.Port))
	begin := time.Now()
	env.WaitUntil(t, "signing in works", func() bool {
		fresh, _ := f.trySignIn(f.gateways[0], "bob")
		return fresh != ""
	})
	t.Logf("sign-ins work %v after the primary was demoted", time.Since(begin))
	f.waitStatus(t, f.gateways[0], cookie, http.StatusOK)
}
