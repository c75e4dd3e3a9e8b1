package valkeystore

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"time"

	"github.com/valkey-io/valkey-go"
	"go.uber.org/zap"
)

// clientOption is how valkey-go is used. Its defaults are meant for other
// things: ten seconds until a frozen server is noticed, and half a gigabyte of
// cache.
func (s *Store) clientOption(d *dials) valkey.ClientOption {
	addresses := make([]string, len(s.addresses))
	for i, a := range s.addresses {
		addresses[i] = a.Address
	}
	// A connection without an answer is given up a little after its sessions
	// have ceased to count, so that a store which only paused keeps its
	// connections.
	const pingGap = time.Second
	o := valkey.ClientOption{
		InitAddress:       addresses,
		SelectDB:          s.addresses[0].Database,
		DialCtxFn:         d.dial,
		AuthCredentialsFn: s.dialer.credentials,
		ClientName:        "sallyport",
		Dialer:            net.Dialer{Timeout: dialTimeout, KeepAlive: pingGap},
		ConnWriteTimeout:  s.cache.MaxStaleness,
		// One connection a node: on it, a read that was sent before a write is
		// answered before the write is, and nothing stale is kept afterwards.
		PipelineMultiplex:   -1,
		AlwaysPipelining:    true, // also reads pushes and notices a close when nothing is asked
		RingScaleEachConn:   9,
		ReadBufferEachConn:  64 << 10,
		WriteBufferEachConn: 64 << 10,
		DisableCache:        s.near == nil,
		Sentinel: valkey.SentinelOption{
			MasterSet:               s.cfg.SentinelMaster,
			Dialer:                  net.Dialer{Timeout: dialTimeout, KeepAlive: pingGap, FallbackDelay: sentinelMark},
			TopologyRefreshInterval: 2 * time.Second,
		},
		RetryDelay:    retryDelay,
		ClusterOption: valkey.ClusterOption{ShardsRefreshInterval: 2 * time.Second, MaxMovedRedirections: 16},
	}
	if s.addresses[0].TLS {
		// Dialling has its own, but a cluster's map of TLS ports hangs on these.
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		o.Sentinel.TLSConfig = o.TLSConfig
	}
	if s.near != nil {
		o.CacheSizeEachConn = 1 // ours is bounded as a whole
		o.NewCacheStoreFn = func(valkey.CacheStoreOption) valkey.CacheStore {
			return s.near.links.add(&link{near: s.near, onLost: s.lost})
		}
	}
	return o
}

// client is valkey-go's, with the connections that it has made.
type client struct {
	valkey.Client
	dials *dials
}

func (s *Store) newClient() (*client, error) {
	d := &dials{dialer: s.dialer, open: make(map[*dialed]struct{})}
	c, err := valkey.NewClient(s.clientOption(d))
	if err != nil {
		d.close()
		return nil, s.dialer.discreet(err)
	}
	return &client{c, d}, nil
}

// Close implements valkey.Client. A client of a cluster that is closed while it
// asks for the cluster's map would connect again and be left behind.
func (c *client) Close() {
	c.Client.Close()
	c.dials.close()
}

// retryDelay lets a read that met a broken connection try again for some 30 ms,
// which is what a new connection takes. Where nobody listens, waiting longer would
// make requests pay for what is known.
func retryDelay(attempts int, _ valkey.Completed, _ error) time.Duration {
	if attempts > 4 {
		return -1
	}
	return time.Millisecond << attempts
}

// Waits between attempts to connect.
const (
	firstRetry = 50 * time.Millisecond
	maxRetry   = time.Second
)

// connect makes the client, and tries until it succeeds: a store that is down
// at the start is an outage like any other.
func (s *Store) connect(ctx context.Context) {
	for wait := firstRetry; ; wait = min(2*wait, maxRetry) {
		err := s.attempt(ctx)
		s.tried.Do(func() { close(s.attempted) })
		if err == nil || ctx.Err() != nil {
			return
		}
		s.setFault(err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func (s *Store) attempt(ctx context.Context) error {
	c, err := s.newClient()
	if err != nil {
		return err
	}
	if err := s.examine(ctx, c); err != nil {
		c.Close()
		return err
	}
	s.ready(c)
	return nil
}

// ready lets calls through to the client, in the place of another.
func (s *Store) ready(c *client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		go c.Close() // it waits for its connections
		return
	}
	if old := s.client.Swap(c); old != nil {
		go old.Close()
	}
	s.setFaultLocked(nil)
}

// renew tries a new client where the old one is of no use: its connections get
// no answers, because a firewall has forgotten them or a machine has gone and
// tells nobody, or they lead to a server that is no primary any more. If the new
// one can do what the old can't, it takes its place, and the copies that came
// over the old one are dropped. A store that is frozen answers on neither.
//
// silent is the session that the old one gets no answer for; nil where it is
// refused.
func (s *Store) renew(b *breaker, silent *handle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.renewing || time.Since(s.renewed) < maxRetry {
		return
	}
	s.renewing = true
	s.background.Go(func() {
		s.tryAnother(b, silent)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.renewing, s.renewed = false, time.Now()
	})
}

func (s *Store) tryAnother(b *breaker, silent *handle) {
	var old []*link
	if s.near != nil {
		old = s.near.links.all()
	}
	c, err := s.newClient()
	if err != nil {
		return
	}
	if silent != nil {
		// The very call that fails: in a cluster the others may be well.
		err = s.exists(c, *silent, s.cfg.Timeout)
	}
	if err == nil {
		err = s.examine(context.Background(), c)
	}
	// Or the old connections have found their voice again.
	if err != nil || silent != nil && !b.open() {
		c.Close()
		return
	}
	s.log.Warn("the connections to the session store were of no use, and were replaced")
	s.ready(c)
	for _, l := range old {
		l.Close(nil) // valkey-go waits a second first
	}
	b.succeeded() // ends the watch
}

// advise warns of settings that lose sessions. Not being allowed to ask is fine.
func (s *Store) advise(ctx context.Context, client valkey.Client) {
	s.replicated.Store(client.Mode() != valkey.ClientModeStandalone)
	text, err := client.Do(ctx, client.B().Info().Section("memory", "server", "replication").Build()).ToString()
	if err != nil {
		return
	}
	info := make(map[string]string)
	for line := range strings.SplitSeq(text, "\r\n") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			info[name] = value
		}
	}
	if info["connected_slaves"] != "0" {
		s.replicated.Store(true)
	}
	version := info["valkey_version"]
	if version == "" {
		version = info["redis_version"]
	}
	s.log.Info("connected to the session store", zap.String("version", version), zap.String("mode", string(client.Mode())))
	if policy := info["maxmemory_policy"]; info["maxmemory"] != "0" && policy != "" && policy != "noeviction" {
		s.log.Warn("the session store may drop sessions when its memory is full, and with them sign people out: set maxmemory-policy to noeviction",
			zap.String("maxmemory_policy", policy))
	}
}
