//go:build e2e

package env_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

func TestSentinelFailsOver(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		options []env.SentinelOption
		fault   func(*env.Valkey)
		mend    func(*env.Valkey)
	}{
		"when the primary is killed": {
			fault: (*env.Valkey).Kill, mend: (*env.Valkey).Restart,
		},
		"when the primary freezes, with passwords": {
			options: []env.SentinelOption{env.SentinelDataPassword("d4ta"), env.SentinelPassword("w4tch")},
			fault:   (*env.Valkey).Freeze, mend: (*env.Valkey).Thaw,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := env.StartSentinel(t, test.options...)
			if urls := s.URLs(); len(urls) != 3 || urls[0] != "valkey://"+s.Sentinels[0].Addr {
				t.Errorf("URLs: %q", urls)
			}
			old := s.CurrentPrimary()
			if old != s.Primary {
				t.Fatalf("the primary is %s; want %s", old.Addr, s.Primary.Addr)
			}
			old.Do("SET", "a", "1")
			env.WaitUntil(t, "the replica has the key", func() bool { return s.Replica.DBSize() == 1 })

			start := time.Now()
			test.fault(old)
			primary := s.WaitNewPrimary(old)
			t.Logf("failed over in %v", time.Since(start))
			if primary != s.Replica || s.CurrentPrimary() != primary {
				t.Errorf("the new primary is %s; want %s", primary.Addr, s.Replica.Addr)
			}
			primary.Do("SET", "b", "1")

			test.mend(old)
			s.WaitReplica(old)
			if n := old.DBSize(); n != 2 {
				t.Errorf("the old primary has %d keys as a replica; want 2", n)
			}
			if _, err := old.TryDo("SET", "c", "1"); err == nil || !strings.Contains(err.Error(), "READONLY") {
				t.Errorf("writing to the old primary: %v; want READONLY", err)
			}
		})
	}
}

func TestSentinelAsksForItsPasswords(t *testing.T) {
	t.Parallel()
	s := env.StartSentinel(t, env.SentinelDataPassword("d4ta"), env.SentinelPassword("w4tch"))
	for _, v := range []*env.Valkey{s.Primary, s.Replica, s.Sentinels[2]} {
		dial(t, v.Addr).ask("INFO", "-NOAUTH Authentication required.")
	}
	dial(t, s.Sentinels[0].Addr).ask("AUTH d4ta", "-WRONGPASS invalid username-password pair or user is disabled.")
	dial(t, s.Sentinels[0].Addr).ask("AUTH w4tch", "+OK")
	dial(t, s.Primary.Addr).ask("AUTH d4ta", "+OK")
}
