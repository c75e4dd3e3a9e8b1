//go:build e2e

package valkeystore_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/session/sessiontest"
	"github.com/sallyport/sallyport/gateway/session/valkeystore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// settings are those of a store that waits long enough for the race detector.
func settings(urls ...string) config.Valkey {
	return config.Valkey{URLs: urls, Timeout: 5 * time.Second, KeyPrefix: "sp"}
}

// open opens a store, waits until it is connected, and closes it with the test.
func open(tb testing.TB, cfg config.Valkey, cache config.Cache) *valkeystore.Store {
	tb.Helper()
	s, err := valkeystore.Open(valkeystore.Options{Valkey: cfg, Cache: cache})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	eventually(tb, "the store answers", func() bool { return s.Ping(tb.Context()) == nil })
	return s
}

func eventually(tb testing.TB, what string, condition func() bool) {
	tb.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for !condition() {
		select {
		case <-deadline.C:
			tb.Fatalf("not within 20 s: %s", what)
		case <-poll.C:
		}
	}
}

func defaultCache() config.Cache { return config.Cache{MaxBytes: 64 << 20, MaxStaleness: 5 * time.Second} }

// conform runs the suite, each subtest with keys of its own.
func conform(t *testing.T, cfg config.Valkey, cache config.Cache) {
	t.Helper()
	var n atomic.Int64
	sessiontest.Run(t, func(t *testing.T) sessiontest.Store {
		cfg := cfg
		cfg.KeyPrefix = fmt.Sprintf("t%d", n.Add(1))
		return open(t, cfg, cache)
	})
}

func TestOneServer(t *testing.T) {
	conform(t, settings(env.StartValkey(t).URL()), defaultCache())
}

func TestOneServerWithoutCache(t *testing.T) {
	conform(t, settings(env.StartValkey(t).URL()), config.Cache{MaxStaleness: 5 * time.Second})
}
