//go:build e2e

package gateway_test

import (
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/session/valkeystore"
)

func valkey(tb testing.TB, maxBytes int64) session.Store {
	tb.Helper()
	store, err := valkeystore.Open(valkeystore.Options{
		Valkey: config.Valkey{URLs: []string{env.StartValkey(tb).URL()}, Timeout: 5 * time.Second, KeyPrefix: "sp"},
		Cache:  config.Cache{MaxBytes: maxBytes, MaxStaleness: 5 * time.Second},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return store
}

// benchOverValkey adds sessions in a real Valkey to BenchmarkDecide: from the
// near cache, and with a read for every request.
func benchOverValkey(b *testing.B) {
	b.Helper()
	for name, maxBytes := range map[string]int64{"session/near": 64 << 20, "session/valkey": 0} {
		b.Run(name, func(b *testing.B) {
			j := newJudgeOver(b, valkey(b, maxBytes))
			r := j.sessionRequest(b)
			allow(b, j.guard, r)
			b.ReportAllocs()
			for b.Loop() {
				allow(b, j.guard, r)
			}
		})
	}
}
