//go:build e2e

package valkeystore_test

import (
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/session/valkeystore"
)

// TestConnectingMayTakeLongerThanACall: with TLS it takes several round trips,
// where a call takes one. The store once gave up each attempt after the time of
// a call, and so never came back.
func TestConnectingMayTakeLongerThanACall(t *testing.T) {
	t.Parallel()
	ca := env.NewCA(t)
	server := env.StartValkey(t, env.ValkeyMutualTLS(ca))
	way := env.StartTCPProxy(t, server.Addr)
	client := ca.Client("gateway")
	cfg := settings("valkeys://" + way.Addr)
	cfg.TLS = config.ValkeyTLS{CAFile: ca.CertFile, CertFile: client.CertFile, KeyFile: client.KeyFile, ServerName: "localhost"}
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
