//go:build e2e

package valkeystore_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/session/sessiontest"
	"github.com/sallyport/sallyport/gateway/session/valkeystore"
	"github.com/sallyport/sallyport/gateway/tlstest"
)

// TestConnectingMayTakeLongerThanACall: with TLS it takes several round trips,
// where a call takes one. The store once gave up each attempt after the time of
// a call, and so never came back.
func TestConnectingMayTakeLongerThanACall(t *testing.T) {
	t.Parallel()
	ca := tlstest.New(t)
	server := env.StartValkey(t, env.ValkeyMutualTLS(ca))
	way := env.StartTCPProxy(t, server.Addr)
	client := ca.Client("gateway")
	cfg := settings("valkeys://" + way.Addr)
	cfg.TLS = config.ClientTLS{CAFile: ca.CertFile, CertFile: client.CertFile, KeyFile: client.KeyFile, ServerName: "localhost"}
	cfg.Timeout = 500 * time.Millisecond
	s := open(t, cfg, defaultCache())
	way.Delay(175 * time.Millisecond) // each way
	way.Cut()
	eventually(t, "it answers again", func() bool { return s.Ping(t.Context()) == nil })
}

// TestGatewaysThatStartTogether: what each tries out at its start must not get
// in the way of the others.
func TestGatewaysThatStartTogether(t *testing.T) {
	t.Parallel()
	server := env.StartValkey(t)
	core, logs := observer.New(zapcore.WarnLevel)
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			s, err := valkeystore.Open(valkeystore.Options{Valkey: settings(server.URL()), Cache: defaultCache(), Log: zap.New(core)})
			if err != nil {
				t.Error(err)
				return
			}
			_ = s.Close()
		})
	}
	wait.Wait()
	for _, line := range logs.All() {
		t.Errorf("%s %v", line.Message, line.ContextMap())
	}
}

// replicated starts a server and a replica of it.
func replicated(t *testing.T) (primary, replica *env.Valkey) {
	t.Helper()
	primary = env.StartValkey(t, env.ValkeyArgs("--repl-diskless-sync-delay", "0"))
	replica = env.StartValkey(t, env.ValkeyArgs("--replicaof", fmt.Sprintf("127.0.0.1 %d", primary.Port)))
	env.WaitUntil(t, "the replica is in sync", func() bool { return replica.Info("replication")["master_link_status"] == "up" })
	return primary, replica
}

// TestSignOutsDoNotPileUpConnections while a replica is silent, for which each
// waits on a connection of its own.
func TestSignOutsDoNotPileUpConnections(t *testing.T) {
	t.Parallel()
	primary, replica := replicated(t)
	s := open(t, settings(primary.URL()), defaultCache())
	const n = 200
	for i := range n {
		create(t, s, i)
	}
	replica.Freeze()
	defer replica.Thaw()
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() {
			if err := s.Delete(context.Background(), sessiontest.Key(i)); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	clients, err := strconv.Atoi(primary.Info("clients")["connected_clients"])
	if err != nil || clients > 30 {
		t.Errorf("%d connections after %d sign-outs (%v)", clients, n, err)
	}
}

// TestWhoeverWasAskedToEndASessionRemembersIt: an attempt may have succeeded
// though its answer was lost, and only the next one is acknowledged. A failover
// can undo it like any other.
func TestWhoeverWasAskedToEndASessionRemembersIt(t *testing.T) {
	t.Parallel()
	server := env.StartValkey(t)
	first, second := open(t, settings(server.URL()), defaultCache()), open(t, settings(server.URL()), defaultCache())
	in := create(t, first, 1)
	for _, s := range []*valkeystore.Store{first, second} {
		if err := s.Delete(t.Context(), in.Key()); err != nil {
			t.Fatal(err)
		}
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	tombstone := server.Do("--scan", "--pattern", "*}x*")
	server.Do("DEL", tombstone)
	server.Do("CLIENT", "KILL", "TYPE", "normal")
	eventually(t, "the revocation is written again", func() bool { return server.Do("EXISTS", tombstone) == "1" })
}

// TestRevocationsAreRepeatedWhileAnotherShardIsDown: what can't be written there
// must not keep the others waiting.
func TestRevocationsAreRepeatedWhileAnotherShardIsDown(t *testing.T) {
	t.Parallel()
	cluster := env.StartCluster(t, env.ValkeyArgs("--cluster-require-full-coverage", "no"))
	cfg := settings(cluster.URLs()...)
	cfg.Timeout = 250 * time.Millisecond
	s := open(t, cfg, defaultCache())
	end := func(n int) (node *env.Valkey, tombstone string) {
		in := create(t, s, n)
		if err := s.Delete(t.Context(), in.Key()); err != nil {
			t.Fatal(err)
		}
		for _, v := range cluster.Nodes[:3] {
			if names := strings.Fields(v.Do("--scan", "--pattern", "*}x*")); len(names) > 0 {
				node, tombstone = v, names[len(names)-1]
			}
		}
		return node, tombstone
	}
	down, name := end(1)
	up, tombstone := end(2)
	for n := 3; up == down; n++ {
		// The first was the only one there.
		cluster.Nodes[0].Do("DEL", name)
		up, tombstone = end(n)
	}
	for i, v := range cluster.Nodes[:3] {
		if v == down {
			cluster.Nodes[i+3].Kill()
			v.Kill()
		}
	}
	env.WaitUntil(t, "the others serve their slots alone", func() bool {
		_, err := up.TryDo("DEL", tombstone)
		return err == nil
	})
	up.Do("CLIENT", "KILL", "TYPE", "normal")
	eventually(t, "the revocation is written again", func() bool {
		there, err := up.TryDo("EXISTS", tombstone)
		return err == nil && there == "1"
	})
	if _, err := s.Get(t.Context(), sessiontest.Key(1)); err == nil || errors.Is(err, session.ErrNotFound) {
		t.Errorf("a session of the shard that is down: %v", err)
	}
}
