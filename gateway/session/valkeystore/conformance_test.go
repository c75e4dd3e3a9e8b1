//go:build e2e

package valkeystore_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/e2e/env"
	"github.com/sallyport/sallyport/gateway/session/sessiontest"
	"github.com/sallyport/sallyport/gateway/session/valkeystore"
	"github.com/sallyport/sallyport/gateway/tlstest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// Listing everything looks into 16,384 buckets: fewer runs of the model do,
	// with several topologies.
	if err := flag.Set("rapid.checks", "15"); err != nil {
		panic(err)
	}
	// valkey-go closes the connections that a new map of the cluster makes
	// superfluous five seconds later, and waits for up to a second before it asks
	// for one.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/valkey-io/valkey-go.(*clusterClient)._refresh.func2"),
		goleak.IgnoreAnyFunction("github.com/valkey-io/valkey-go.(*call).DelayDo.func1"))
}

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

func defaultCache() config.Cache {
	return config.Cache{MaxBytes: 64 << 20, MaxStaleness: 5 * time.Second}
}

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
	t.Parallel()
	conform(t, settings(env.StartValkey(t).URL()), defaultCache())
}

func TestOneServerWithoutCache(t *testing.T) {
	t.Parallel()
	conform(t, settings(env.StartValkey(t).URL()), config.Cache{MaxStaleness: 5 * time.Second})
}

func TestUnixSocket(t *testing.T) {
	t.Parallel()
	conform(t, settings("unix://"+env.StartValkey(t, env.ValkeyUnixSocket()).Socket+"?db=3"), defaultCache())
}

// grants is what docs/sessions.md tells operators to give.
func grants(t *testing.T) string {
	t.Helper()
	_, rest, ok := strings.Cut(readFile(t, "../../../docs/sessions.md"), "user sallyport on >")
	line, _, _ := strings.Cut(rest, "\n")
	_, rights, spaced := strings.Cut(line, " ")
	if !ok || !spaced {
		t.Fatal("docs/sessions.md shows no ACL line")
	}
	return rights
}

// TestTheHardestServer wants TLS with a client certificate and an ACL user with
// no more rights than the documentation names, in a database of its own.
func TestTheHardestServer(t *testing.T) {
	t.Parallel()
	ca := tlstest.New(t)
	server := env.StartValkey(t, env.ValkeyMutualTLS(ca),
		env.ValkeyACL("operator", "o", "user default off", "user operator on >o ~* &* +@all",
			"user sallyport on >secret "+strings.ReplaceAll(grants(t), "~sp:", "~t")))
	client := ca.Client("gateway")
	cfg := settings(fmt.Sprintf("valkeys://localhost:%d/2", server.Port))
	cfg.Username, cfg.PasswordFile = "sallyport", env.WriteFile(t, t.TempDir(), "password", "secret\n")
	cfg.TLS = config.ClientTLS{CAFile: ca.CertFile, CertFile: client.CertFile, KeyFile: client.KeyFile}
	conform(t, cfg, defaultCache())
	if n := server.DBSize(); n != 0 {
		t.Errorf("%d keys in the database that was not named", n)
	}
}

func TestSentinelGroup(t *testing.T) {
	t.Parallel()
	group := env.StartSentinel(t, env.SentinelDataPassword("data"), env.SentinelPassword("sentinel"))
	cfg := settings(group.URLs()...)
	cfg.SentinelMaster, cfg.Password, cfg.SentinelPassword = env.SentinelName, "data", "sentinel"
	conform(t, cfg, defaultCache())
}

func TestSentinelGroupWithTLS(t *testing.T) {
	t.Parallel()
	ca := tlstest.New(t)
	client := ca.Client("gateway")
	group := env.StartSentinel(t, env.SentinelTLS(ca), env.SentinelDataPassword("data"))
	cfg := settings(group.URLs()...)
	cfg.SentinelMaster, cfg.Password = env.SentinelName, "data"
	cfg.TLS = config.ClientTLS{CAFile: ca.CertFile, CertFile: client.CertFile, KeyFile: client.KeyFile}
	conform(t, cfg, defaultCache())
}

func TestCluster(t *testing.T) {
	t.Parallel()
	conform(t, settings(env.StartCluster(t).URLs()...), defaultCache())
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestClusterWithTLS(t *testing.T) {
	t.Parallel()
	ca := tlstest.New(t)
	client := ca.Client("gateway")
	cfg := settings(env.StartCluster(t, env.ValkeyMutualTLS(ca)).URLs()...)
	cfg.TLS = config.ClientTLS{CAFile: ca.CertFile, CertFile: client.CertFile, KeyFile: client.KeyFile}
	conform(t, cfg, defaultCache())
}

// TestMissingRightsAreNamed takes the documented rights away one by one. The
// ones left out here are needed in some topologies alone, or can be done without.
func TestMissingRightsAreNamed(t *testing.T) {
	t.Parallel()
	server := env.StartValkey(t)
	all := strings.Fields(strings.ReplaceAll(grants(t), "~sp:", "~t"))
	optional := []string{"+auth", "+hello", "+ping", "+select", "+info", "+client|setname", "+client|setinfo", "+wait", "+cluster|slots", "+cluster|shards", "+asking"}
	for i, right := range all {
		if !strings.HasPrefix(right, "+") || slices.Contains(optional, right) {
			continue
		}
		user := "user" + strconv.Itoa(i)
		server.Do(slices.Concat([]string{"ACL", "SETUSER", user, "on", ">p"}, slices.Delete(slices.Clone(all), i, i+1))...)
		server.Do("SCRIPT", "FLUSH")
		cfg := settings(server.URL())
		cfg.KeyPrefix, cfg.Username, cfg.Password = "t", user, "p"
		core, logs := observer.New(zapcore.ErrorLevel)
		s, err := valkeystore.Open(valkeystore.Options{Valkey: cfg, Cache: defaultCache(), Log: zap.New(core)})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Ping(t.Context()); err == nil {
			t.Errorf("without %s the store passes for usable", right)
		}
		told := ""
		for _, line := range logs.All() {
			told += fmt.Sprintln(line.ContextMap())
		}
		if !strings.Contains(strings.ToLower(told), strings.TrimPrefix(right, "+")) || !strings.Contains(told, "permissions") && !strings.Contains(told, "tracking") {
			t.Errorf("without %s the log says %s", right, told)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	// What an examination that failed leaves ends in a minute; one that succeeds
	// leaves nothing.
	server.Do("FLUSHALL")
	server.Do(slices.Concat([]string{"ACL", "SETUSER", "complete", "on", ">p"}, all)...)
	cfg := settings(server.URL())
	cfg.KeyPrefix, cfg.Username, cfg.Password = "t", "complete", "p"
	open(t, cfg, defaultCache())
	if n := server.DBSize(); n > 0 {
		t.Errorf("%d keys were left behind: %s", n, server.Do("KEYS", "*"))
	}
}
