//go:build e2e

package env_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/porttest"
)

func TestValkeyIsKilledAndRestartedOnItsPort(t *testing.T) {
	v := env.StartValkey(t)
	v.Do("SET", "a", "1")
	if n := v.DBSize(); n != 1 {
		t.Errorf("%d keys; want 1", n)
	}
	v.Kill()
	if out, err := v.TryDo("GET", "a"); err == nil {
		t.Errorf("a killed server answered %q", out)
	}
	addr := v.Addr
	v.Restart()
	if n := v.DBSize(); n != 0 || v.Addr != addr {
		t.Errorf("%d keys at %s after a restart; want none at %s", n, v.Addr, addr)
	}
}

func TestValkeyKeepsItsDataWithAppendonly(t *testing.T) {
	v := env.StartValkey(t, env.ValkeyArgs("--appendonly", "yes"))
	v.Do("SET", "a", "1")
	v.Restart()
	if got := v.Do("GET", "a"); got != "1" {
		t.Errorf("after a restart: %q; want 1", got)
	}
	v.Kill()
	v.Restart()
	if got := v.Do("GET", "a"); got != "1" {
		t.Errorf("after a crash: %q; want 1", got)
	}
}

func TestValkeyFreezesAndThaws(t *testing.T) {
	v := env.StartValkey(t)
	l := dial(t, v.Addr)
	l.ask("PING", "+PONG")
	v.Freeze()
	l.send("PING")
	l.wantSilence()
	fresh := dial(t, v.Addr)
	fresh.send("PING")
	fresh.wantSilence()
	v.Thaw()
	l.want("+PONG")
	fresh.want("+PONG")
	v.Freeze()
	v.Restart()
	v.Do("PING")
}

func TestAFrozenValkeyEndsWithItsTest(t *testing.T) {
	var pid int
	t.Run("it", func(t *testing.T) {
		v := env.StartValkey(t)
		v.Freeze()
		pid = v.Pid()
	})
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the process is still there: %v", err)
	}
}

func TestValkeyCounts(t *testing.T) {
	v := env.StartValkey(t, env.ValkeyDebug(), env.ValkeyArgs("--maxmemory", "50mb"))
	if n := v.CommandCalls("get"); n != 0 {
		t.Errorf("GET was called %d times; want 0", n)
	}
	v.Do("GET", "a")
	v.TryDo("GET", "b")
	v.Do("CLIENT", "ID")
	if get, id := v.CommandCalls("GET"), v.CommandCalls("client|id"); get != 2 || id != 1 {
		t.Errorf("GET was called %d times, CLIENT ID %d times; want 2 and 1", get, id)
	}
	before := v.UsedMemory()
	v.Do("DEBUG", "POPULATE", "1000", "k", "1000")
	if grown := v.UsedMemory() - before; grown < 1_000_000 {
		t.Errorf("a megabyte of keys takes %d bytes", grown)
	}
	if got := v.Do("CONFIG", "GET", "maxmemory"); !strings.Contains(got, "52428800") {
		t.Errorf("maxmemory: %q", got)
	}
}

func TestValkeyAsksForItsPassword(t *testing.T) {
	v := env.StartValkey(t, env.ValkeyPassword("s3cret"), env.ValkeyUnixSocket(), env.ValkeyPort(porttest.Free(t)))
	v.Do("SET", "a", "1")
	dial(t, v.Addr).ask("GET a", "-NOAUTH Authentication required.")
	if !strings.HasPrefix(v.URL(), "valkey://127.0.0.1:") {
		t.Errorf("URL: %s", v.URL())
	}
	conn := dialUnix(t, v.Socket)
	conn.ask("AUTH s3cret", "+OK")
	conn.ask("GET a", "$1")
}

func TestValkeyHasAnACLFile(t *testing.T) {
	v := env.StartValkey(t, env.ValkeyACL("gateway", "pw",
		"user default off", "user gateway on >pw ~sess:* +@all -@dangerous"))
	v.Do("SET", "sess:a", "1")
	for _, forbidden := range [][]string{{"SET", "other", "1"}, {"FLUSHALL"}} {
		if out, err := v.TryDo(forbidden...); err == nil || !strings.Contains(err.Error(), "NOPERM") {
			t.Errorf("%v: %q, %v; want NOPERM", forbidden, out, err)
		}
	}
}
