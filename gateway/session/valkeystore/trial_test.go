//go:build e2e

package valkeystore_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/session/valkeystore"
)

func try(t *testing.T, cfg config.Valkey) (*valkeystore.Trial, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	return valkeystore.Try(ctx, valkeystore.Options{Valkey: cfg, Cache: defaultCache()})
}

func TestATrialLeavesNothing(t *testing.T) {
	t.Parallel()
	server := env.StartValkey(t, env.ValkeyArgs("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"))
	got, err := try(t, settings(server.URL()))
	if err != nil {
		t.Fatal(err)
	}
	if got.Version == "" || got.Mode != "standalone" || got.RoundTrip <= 0 || got.Eviction != "allkeys-lru" || !got.Plain {
		t.Errorf("got %+v", got)
	}
	if keys := server.Do("--scan"); keys != "" {
		t.Errorf("it leaves %q", keys)
	}
}

func TestATrialNamesTheStepThatFails(t *testing.T) {
	t.Parallel()
	server := env.StartValkey(t)
	host, port, err := net.SplitHostPort(server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	replica := env.StartValkey(t, env.ValkeyArgs("--replicaof", host, port))
	locked := env.StartValkey(t, env.ValkeyPassword("right"))
	wrong := settings(locked.URL())
	wrong.Password = "wrong"
	for name, test := range map[string]struct {
		cfg  config.Valkey
		step valkeystore.Step
	}{
		"a replica":        {settings(replica.URL()), valkeystore.StepRole},
		"a wrong password": {wrong, valkeystore.StepAuth},
		"nobody":           {settings("valkey://127.0.0.1:1"), valkeystore.StepConnect},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := try(t, test.cfg)
			failed, ok := errors.AsType[*valkeystore.TrialError](err)
			if !ok || failed.Step != test.step {
				t.Errorf("got %v, want a failure at %s", err, test.step)
			}
		})
	}
}
