package gateway

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	logged "go.uber.org/zap/zaptest/observer"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/sealing"
	"github.com/sallyport/sallyport/gateway/session/embedded"
)

// TestTheLogNamesKeysThatAreTooOld, once a day, until they are rotated.
func TestTheLogNamesKeysThatAreTooOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, err := config.Parse("file", []byte(ownTokens+"session: {keys_warn_age: 90m}\n"), nil)
		if err != nil {
			t.Fatal(err)
		}
		store, err := embedded.Open(embedded.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = store.Close() }()
		c := &core{log: zap.NewNop()}
		if c.keyring, err = sealing.Open(t.Context(), sealing.Options{Records: store, Absolute: time.Hour, Host: "here", Log: zap.NewNop()}); err != nil {
			t.Fatal(err)
		}
		if c.ring, err = openRing(t.Context(), cfg, c.log, &sealedRing{records: store, sealing: c.keyring.Keyring()}, true); err != nil {
			t.Fatal(err)
		}
		c.live.Store(&parts{cfg: cfg})
		logs, seen := logged.New(zap.WarnLevel)
		ctx, end := context.WithCancel(t.Context())
		defer end()
		go (&keyWatch{core: c, log: zap.New(logs)}).run(ctx)
		warned := func(after time.Duration) (rings []string) {
			<-time.After(after)
			synctest.Wait()
			for _, line := range seen.TakeAll() {
				rings = append(rings, line.ContextMap()["ring"].(string))
			}
			return rings
		}

		if got := warned(time.Hour + time.Minute); len(got) != 0 {
			t.Errorf("before their time: %v", got)
		}
		if got := warned(time.Hour); len(got) != 2 {
			t.Errorf("after two hours: %v", got)
		}
		if got := warned(22 * time.Hour); len(got) != 0 {
			t.Errorf("again on the same day: %v", got)
		}
		if err := c.keyring.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := c.ring.Rotate(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		if got := warned(80 * time.Minute); len(got) != 0 {
			t.Errorf("after the rotation: %v", got)
		}
		end()
		synctest.Wait()
	})
}
