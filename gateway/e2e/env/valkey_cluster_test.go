//go:build e2e

package env_test

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

func TestClusterMovesSlotsUnderLoad(t *testing.T) {
	t.Parallel()
	c := env.StartCluster(t)
	if n := len(c.URLs()); n != 6 {
		t.Errorf("%d URLs; want 6", n)
	}
	from, to := c.PrimaryOf(0), c.PrimaryOf(16383)
	if from != c.Nodes[0] || to != c.Nodes[2] {
		t.Fatalf("slots 0 and 16383 are at %s and %s; want %s and %s", from.Addr, to.Addr, c.Nodes[0].Addr, c.Nodes[2].Addr)
	}

	keys := keysOf(200, 50) // all in the slots that are moved
	if got := from.Do("CLUSTER", "KEYSLOT", keys[0]); got != strconv.Itoa(keySlot(keys[0])) {
		t.Fatalf("slot of %s: %s; want %d", keys[0], got, keySlot(keys[0]))
	}
	end := startWriters(c, keys)
	defer end()
	env.WaitUntil(t, "all keys are written", func() bool { return from.DBSize() == len(keys) })
	c.MoveSlots(50, from, to)
	if c.PrimaryOf(0) != to || c.PrimaryOf(49) != to || c.PrimaryOf(50) != from {
		t.Errorf("slots 0, 49, 50 are at %s, %s, %s; want %s, %[4]s, %[5]s",
			c.PrimaryOf(0).Addr, c.PrimaryOf(49).Addr, c.PrimaryOf(50).Addr, to.Addr, from.Addr)
	}
	written, refused := end()
	t.Logf("%d writes", written)
	if len(refused) > 0 {
		t.Errorf("%d writes failed: %v", len(refused), refused[0])
	}
	if was, is := from.DBSize(), to.DBSize(); was != 0 || is != len(keys) {
		t.Errorf("%d keys are where they were, %d where they should be; want 0 and %d", was, is, len(keys))
	}
}

func TestClusterFailsOver(t *testing.T) {
	t.Parallel()
	c := env.StartCluster(t, env.ValkeyPassword("s3cret"))
	old := c.PrimaryOf(0)
	key := keysOf(1, 1)[0]
	c.Nodes[2].Do("SET", key, "1") // is redirected to slot 0
	env.WaitUntil(t, "the replica has the key", func() bool { return c.Nodes[3].DBSize() == 1 })
	start := time.Now()
	old.Kill()
	primary := c.WaitNewPrimary(0, old)
	t.Logf("failed over in %v", time.Since(start))
	if primary != c.Nodes[3] {
		t.Errorf("slot 0 is at %s; want its replica %s", primary.Addr, c.Nodes[3].Addr)
	}
	if got := c.Nodes[1].Do("GET", key); got != "1" {
		t.Errorf("the key is %q; want 1", got)
	}
	old.Restart()
	env.WaitUntil(t, "the old primary follows the new one", func() bool {
		state := old.Info("replication")
		return state["master_port"] == strconv.Itoa(primary.Port) && state["master_link_status"] == "up"
	})
}

// keysOf makes n keys in the slots below limit.
func keysOf(n, limit int) []string {
	var keys []string
	for i := 0; len(keys) < n; i++ {
		key := "key:" + strconv.Itoa(i)
		if keySlot(key) < limit {
			keys = append(keys, key)
		}
	}
	return keys
}

// keySlot is the CRC16 (XMODEM) of a key without a tag.
func keySlot(key string) int {
	crc := uint16(0)
	for _, b := range []byte(key) {
		crc ^= uint16(b) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc) % 16384
}

// startWriters writes keys over and over from several clients, until end is
// called; it returns how often and what was refused.
func startWriters(c *env.Cluster, keys []string) (end func() (int, []error)) {
	var (
		once    sync.Once
		wg      sync.WaitGroup
		mu      sync.Mutex
		written int
		refused []error
	)
	stop := make(chan struct{})
	for i := range 3 {
		wg.Go(func() {
			for n := i; ; n += 3 {
				select {
				case <-stop:
					return
				default:
				}
				_, err := c.Nodes[i].TryDo("SET", keys[n%len(keys)], "1")
				mu.Lock()
				if err == nil {
					written++
				} else {
					refused = append(refused, err)
				}
				mu.Unlock()
			}
		})
	}
	return func() (int, []error) {
		once.Do(func() { close(stop) })
		wg.Wait()
		return written, refused
	}
}
