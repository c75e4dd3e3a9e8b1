package valkeystore

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/valkey-io/valkey-go"
	"go.uber.org/zap"
)

// clientOption is how valkey-go is used. Its defaults are meant for other
// things: ten seconds until a frozen server is noticed, and handle a gigabyte of
// cache.
func (s *Store) clientOption() valkey.ClientOption {
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
		DialCtxFn:         s.dialer.dial,
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
	client, err := valkey.NewClient(s.clientOption())
	if err != nil {
		return err
	}
	if err := s.examine(ctx, client); err != nil {
		client.Close()
		return err
	}
	s.ready(client)
	return nil
}

// ready lets calls through to the client, in the place of another.
func (s *Store) ready(client valkey.Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		client.Close()
		return
	}
	if old := s.client.Swap(&client); old != nil {
		go (*old).Close() // it waits for connections that have gone silent
	}
	s.setFaultLocked(nil)
}

// renew tries new connections where the old ones do not answer: a firewall that
// has forgotten them, or a machine that has gone, tells nobody. If they can do
// what the old ones can't, they take their place, and the copies that came over
// the old ones are dropped. A store that is frozen answers on neither.
func (s *Store) renew(b *breaker, h handle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.renewing {
		return
	}
	s.renewing = true
	s.background.Go(func() {
		defer func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.renewing = false
		}()
		var silent []*link
		if s.near != nil {
			silent = s.near.links.all()
		}
		client, err := valkey.NewClient(s.clientOption())
		if err != nil {
			return
		}
		// The very call that fails: in a cluster the others may be well.
		if err = s.exists(client, h, s.cfg.Timeout); err == nil {
			err = s.examine(context.Background(), client)
		}
		if err != nil || !b.open() { // or the old ones have found their voice again
			client.Close()
			return
		}
		s.log.Warn("connections to the session store had gone silent, and were replaced")
		s.ready(client)
		for _, l := range silent {
			l.Close(nil) // valkey-go waits a second first
		}
		b.succeeded()
	})
}

// examine fails with the step that would make every later call fail: a server
// that is no primary, and commands that the user may not call. Without the
// latter, a missing right on CLIENT CACHING could read as "no such session".
func (s *Store) examine(ctx context.Context, client valkey.Client) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	// A name of its own: gateways that start together must not meet here.
	var h handle
	rand.Read(h[:])
	name := s.layout.session(h)
	if err := client.Do(ctx, client.B().Set().Key(name).Value("examined").Px(time.Minute).Build()).Error(); err != nil {
		return examined("SET", err)
	}
	if s.near != nil {
		if err := s.examineTracking(ctx, client, name); err != nil {
			return err
		}
	}
	got, err := client.Do(ctx, client.B().Get().Key(name).Build()).ToString()
	if err != nil {
		return examined("GET", err)
	}
	if !strings.HasPrefix(got, "examined") {
		return &stepError{StepRole, errors.New("what was written is not what is read: a primary is needed")}
	}
	keys := []string{name, s.layout.tokens(h), s.layout.tombstone(h), s.layout.activity(h)}
	if err := scripts.remove.Exec(ctx, client, keys, []string{h.member(), millis(time.Now())}).Error(); err != nil {
		return examined("EVALSHA, EVAL, PTTL, SET, DEL or ZREM", err)
	}
	if err := client.Do(ctx, client.B().Del().Key(s.layout.tombstone(h)).Build()).Error(); err != nil {
		return examined("DEL", err)
	}
	s.advise(ctx, client)
	return nil
}

// examineTracking makes sure that a change is pushed. Where CLIENT CACHING is
// refused, for one, GET would be answered, cached, and never invalidated.
func (s *Store) examineTracking(ctx context.Context, client valkey.Client, name string) error {
	if err := client.Do(ctx, client.B().ClientCaching().Yes().Build()).Error(); err != nil {
		return examined("CLIENT CACHING", err)
	}
	if err := client.DoCache(ctx, client.B().Get().Key(name).Cache().ToStaticTTL(), time.Second).Error(); err != nil {
		return examined("GET", err)
	}
	before := s.near.invalidations.Load()
	if err := client.Do(ctx, client.B().Set().Key(name).Value("examined again").Px(time.Minute).Build()).Error(); err != nil {
		return examined("SET", err)
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for s.near.invalidations.Load() == before {
		select {
		case <-ctx.Done():
			return &stepError{StepTracking, errors.New("no push arrives when a key changes; where there is none, set session.cache.max_bytes to 0")}
		case <-tick.C:
		}
	}
	return nil
}

func examined(commands string, err error) error {
	if stepOf(err) == StepPermissions {
		return &stepError{StepPermissions, fmt.Errorf("%s: %w", commands, err)}
	}
	return err
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
