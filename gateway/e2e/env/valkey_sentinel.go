//go:build e2e

package env

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/tlstest"
)

// SentinelName is what the sentinels call the primary that they watch.
const SentinelName = "sallyport"

// sentinelQuorum is how many sentinels have to miss the primary.
const sentinelQuorum = 2

// Sentinel is a primary with one replica, and three sentinels that watch them.
type Sentinel struct {
	Primary, Replica *Valkey // as they were at the start
	Sentinels        []*Valkey

	t testing.TB
}

// SentinelOption changes how the group is started.
type SentinelOption func(*sentinelSettings)

type sentinelSettings struct {
	password, sentinelPassword string
	ca                         *tlstest.CA
	options                    []ValkeyOption
}

// SentinelDataPassword protects the primary and the replica with a password.
func SentinelDataPassword(password string) SentinelOption {
	return func(s *sentinelSettings) { s.password = password }
}

// SentinelPassword protects the sentinels with a password.
func SentinelPassword(password string) SentinelOption {
	return func(s *sentinelSettings) { s.sentinelPassword = password }
}

// SentinelTLS makes data nodes and sentinels speak TLS only, and refuse clients
// without a certificate of ca.
func SentinelTLS(ca *tlstest.CA) SentinelOption {
	return func(s *sentinelSettings) { s.ca, s.options = ca, append(s.options, ValkeyMutualTLS(ca)) }
}

// SentinelValkey gives the primary and the replica more options.
func SentinelValkey(options ...ValkeyOption) SentinelOption {
	return func(s *sentinelSettings) { s.options = append(s.options, options...) }
}

// StartSentinel starts the group and waits until it can fail over.
func StartSentinel(tb testing.TB, options ...SentinelOption) *Sentinel {
	tb.Helper()
	var settings sentinelSettings
	for _, option := range options {
		option(&settings)
	}
	data := slices.Clone(settings.options)
	if settings.password != "" {
		data = append(data, ValkeyPassword(settings.password))
	}
	// A replica that has just come back is to be in sync at once.
	data = append(data, ValkeyArgs("--repl-diskless-sync-delay", "0"))

	s := &Sentinel{t: tb}
	s.Primary = StartValkey(tb, data...)
	s.Replica = StartValkey(tb, slices.Concat(data, []ValkeyOption{
		ValkeyArgs("--replicaof", fmt.Sprintf("127.0.0.1 %d", s.Primary.Port)),
	})...)
	s.Replica.waitLink()
	for range 3 {
		s.Sentinels = append(s.Sentinels, startOneSentinel(tb, s.Primary.Port, settings))
	}
	WaitUntil(tb, "the sentinels know one another and the replica", func() bool {
		for _, one := range s.Sentinels {
			state := pairs(one.Do("SENTINEL", "MASTER", SentinelName))
			if state["num-other-sentinels"] != "2" || state["num-slaves"] != "1" || state["flags"] != "master" {
				return false
			}
			if _, err := one.TryDo("SENTINEL", "CKQUORUM", SentinelName); err != nil {
				return false
			}
		}
		return true
	})
	return s
}

// startOneSentinel writes the configuration that a sentinel keeps its state in,
// and starts it.
func startOneSentinel(tb testing.TB, primary int, settings sentinelSettings) *Valkey {
	tb.Helper()
	v := newValkey(tb, "valkey-sentinel", nil)
	listen := []string{"port " + strconv.Itoa(v.Port)}
	if settings.ca != nil {
		ValkeyMutualTLS(settings.ca)(v)
		listen = []string{"port 0", "tls-port " + strconv.Itoa(v.Port)}
		for i := 0; i < len(v.args); i += 2 { // a sentinel's settings are in its file alone
			listen = append(listen, strings.TrimPrefix(v.args[i], "--")+" "+v.args[i+1])
		}
	}
	config := append(listen,
		"bind 127.0.0.1",
		"dir "+v.dir,
		fmt.Sprintf("sentinel monitor %s 127.0.0.1 %d %d", SentinelName, primary, sentinelQuorum),
		"sentinel down-after-milliseconds "+SentinelName+" 1000",
		"sentinel failover-timeout "+SentinelName+" 3000",
	)
	if settings.password != "" {
		config = append(config, "sentinel auth-pass "+SentinelName+" "+settings.password)
	}
	if settings.sentinelPassword != "" {
		config = append(config, "requirepass "+settings.sentinelPassword, "sentinel sentinel-pass "+settings.sentinelPassword)
		v.cli = append(v.cli, "--no-auth-warning", "-a", settings.sentinelPassword)
	}
	v.args = []string{WriteFile(tb, v.dir, "sentinel.conf", strings.Join(config, "\n")+"\n")}
	v.start()
	// They are to find one another, and to notice a primary that has come back as
	// one, in seconds and not in half a minute. A machine that stood still for a
	// moment makes them do nothing for 30 seconds, which we don't wait for either.
	v.Do("SENTINEL", "DEBUG", "publish-period", "500", "info-period", "1000", "tilt-period", "2000")
	return v
}

// URLs are the addresses of the sentinels.
func (s *Sentinel) URLs() []string { return urls(s.Sentinels) }

// CurrentPrimary is the server that the sentinels name. It waits until those that
// answer agree.
func (s *Sentinel) CurrentPrimary() *Valkey {
	s.t.Helper()
	var primary *Valkey
	WaitUntil(s.t, "the sentinels agree on a primary", func() bool {
		primary = s.agreed()
		return primary != nil
	})
	return primary
}

// WaitNewPrimary waits until the sentinels have made another server than old the
// primary and it takes writes, and returns it.
func (s *Sentinel) WaitNewPrimary(old *Valkey) *Valkey {
	s.t.Helper()
	var primary *Valkey
	WaitUntil(s.t, "another primary than "+old.Addr, func() bool {
		primary = s.agreed()
		if primary == nil || primary == old {
			return false
		}
		role, err := primary.TryDo("ROLE")
		return err == nil && strings.HasPrefix(role, "master")
	})
	return primary
}

// WaitReplica waits until v follows the current primary and has all that was
// written there before the call. A link that is up is not enough: a primary
// streams only after the first acknowledgement, up to a second later.
func (s *Sentinel) WaitReplica(v *Valkey) {
	s.t.Helper()
	primary := s.CurrentPrimary()
	offset := func(v *Valkey, name string) (int, map[string]string) {
		text, err := v.TryDo("INFO", "replication") // it is disconnected when its role changes
		state := fields(text)
		at, parseErr := strconv.Atoi(state[name])
		if err != nil || parseErr != nil {
			return -1, state
		}
		return at, state
	}
	var written int
	WaitUntil(s.t, primary.Addr+" tells what it has written", func() bool {
		written, _ = offset(primary, "master_repl_offset")
		return written >= 0
	})
	WaitUntil(s.t, v.Addr+" has all of "+primary.Addr, func() bool {
		at, state := offset(v, "slave_repl_offset")
		return at >= written && state["master_port"] == strconv.Itoa(primary.Port) && state["master_link_status"] == "up"
	})
}

// agreed returns what all sentinels name that answer, or nil: also when they are
// too few to decide anything.
func (s *Sentinel) agreed() *Valkey {
	named, votes := "", 0
	for _, one := range s.Sentinels {
		out, err := one.tryWithin(askTimeout, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", SentinelName)
		switch {
		case err != nil:
			continue
		case named != "" && named != out:
			return nil
		}
		named = out
		votes++
	}
	if votes < sentinelQuorum {
		return nil
	}
	for _, v := range []*Valkey{s.Primary, s.Replica} {
		if named == fmt.Sprintf("127.0.0.1\n%d", v.Port) {
			return v
		}
	}
	return nil
}

// waitLink waits until a replica is in sync with its primary.
func (v *Valkey) waitLink() {
	v.t.Helper()
	WaitUntil(v.t, v.Addr+" is in sync with its primary", func() bool {
		return v.Info("replication")["master_link_status"] == "up"
	})
}

func urls(servers []*Valkey) []string {
	all := make([]string, 0, len(servers))
	for _, v := range servers {
		all = append(all, v.URL())
	}
	return all
}

// pairs reads an answer of name, value, name, value.
func pairs(text string) map[string]string {
	all := map[string]string{}
	lines := strings.Split(text, "\n")
	for i := 0; i+1 < len(lines); i += 2 {
		all[lines[i]] = lines[i+1]
	}
	return all
}
