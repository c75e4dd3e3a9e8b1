//go:build e2e

package valkeystore_test

import (
	"sync"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/session/valkeystore"
)

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
