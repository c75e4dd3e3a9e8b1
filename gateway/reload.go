package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/listener"
)

// ErrNoFile says that the configuration does not stem from a file, so that there is
// nothing to read again.
var ErrNoFile = errors.New("the configuration does not come from a file")

// reloads is where configurations come from, and how the exchange of them went.
type reloads struct {
	file    string // "" = none: nothing is ever exchanged, unless made is there
	made    func() (*config.Config, error)
	of      []string // what made reads
	environ []string
	level   zap.AtomicLevel

	one sync.Mutex // held by a reload

	mu         sync.Mutex
	generation int
	since      time.Time // of the configuration in use
	last       Reloaded
	tried      [sha256.Size]byte // of what the files held then
}

// Reloaded is how the last reload went; the zero value is none.
type Reloaded struct {
	At      time.Time
	Trigger string // file, signal, api
	Err     error  // why the configuration before stays in use; nil = it was taken
}

// The triggers of a reload.
const (
	TriggerFile   = "file"
	TriggerSignal = "signal"
	TriggerAPI    = "api"
)

// FollowFile lets the configuration be exchanged for what its file holds: with Reload,
// and by itself while Run runs. environ overlays it, as config.Load does. level is the
// logger's, which log.level changes. It must be called before Run.
func (g *Gateway) FollowFile(file string, environ []string, level zap.AtomicLevel) {
	g.core.reloads.file, g.core.reloads.environ, g.core.reloads.level = file, environ, level
}

// Reload reads the configuration file and has requests judged by it from now on. Those
// under way end by the configuration that they began with, and everything that is
// unchanged goes on: what is known of providers, connections, streams. After an error
// nothing has changed; config.Faults say what to mend. One reload runs at a time.
func (g *Gateway) Reload(ctx context.Context, trigger string) error {
	r := &g.core.reloads
	r.one.Lock()
	defer r.one.Unlock()
	if !r.follows() {
		return ErrNoFile
	}
	if g.core.draining.Load() {
		return errors.New("the gateway is going away")
	}
	g.notify.Reloading()
	tried, err := g.exchange(ctx)
	g.notify.Ready()
	g.told(trigger, tried, err)
	return err
}

// told says everywhere how a reload went.
func (g *Gateway) told(trigger string, tried [sha256.Size]byte, err error) {
	r, now := &g.core.reloads, time.Now()
	r.mu.Lock()
	r.last, r.tried = Reloaded{At: now, Trigger: trigger, Err: err}, tried
	if err == nil {
		r.generation++
		r.since = now
	}
	generation := r.generation
	r.mu.Unlock()
	g.core.metrics.Reload(err == nil, now)
	log := g.log.Named("reload").With(zap.String("trigger", trigger))
	if err == nil {
		log.Info("the configuration was exchanged", zap.Int("generation", generation))
		return
	}
	faults, ok := errors.AsType[config.Faults](err)
	if !ok {
		log.Error("the configuration can't be taken, the one before stays in use", zap.Error(err))
		return
	}
	lines := make([]string, len(faults))
	for i := range faults {
		lines[i] = faults[i].Error()
	}
	log.Error("the configuration has faults, the one before stays in use", zap.Strings("faults", lines))
}

// read reads the configuration file, and everything else that is read once. The sum of
// it all is what the watch compares with.
func (r *reloads) read(inUse *config.Config) (*config.Config, [sha256.Size]byte, error) {
	if r.made != nil {
		return r.make(inUse)
	}
	text, err := os.ReadFile(r.file)
	if err != nil {
		text = nil // Load words it
	}
	refused := sum(append([][]byte{text}, readOnce(inUse)...)...)
	if err == nil && len(bytes.TrimSpace(text)) == 0 {
		// What was emptied, or is being written, could read as a configuration of defaults.
		return nil, refused, config.Faults{{File: r.file, Problem: "the file is empty", Fix: "write it anew; no reload is meant to leave a gateway without a configuration"}}
	}
	var cfg *config.Config
	if err != nil {
		cfg, err = Load(r.file, r.environ)
	} else {
		cfg, err = Parse(r.file, text, r.environ)
	}
	if err != nil {
		return nil, refused, err
	}
	return cfg, sum(append([][]byte{text}, readOnce(cfg)...)...), nil
}

// exchange takes the configuration of the file: it reads, builds and binds everything,
// and then nothing can fail any more.
func (g *Gateway) exchange(ctx context.Context) (tried [sha256.Size]byte, err error) {
	c := g.core
	inUse := c.now().cfg
	cfg, tried, err := c.reloads.read(inUse)
	if err != nil {
		return tried, err
	}
	if err := g.take(ctx, cfg); err != nil {
		return sum(append(c.reloads.texts(), readOnce(inUse)...)...), err
	}
	return tried, nil
}

// take has requests judged by a configuration.
func (g *Gateway) take(ctx context.Context, cfg *config.Config) error {
	c := g.core
	if faults := onlyByRestart(c.now().cfg, cfg); len(faults) > 0 {
		return everyFault(ctx, cfg, faults)
	}
	level, err := zap.ParseAtomicLevel(cfg.Log.Level)
	if err != nil {
		return err // the configuration was validated
	}
	next, err := c.build(ctx, cfg)
	if err != nil {
		return err
	}
	var change *listener.Change
	if g.group != nil {
		if change, err = g.group.Prepare(ctx, g.binder, next.listening()); err != nil {
			err = errors.Join(err, next.close())
			if bad, ok := errors.AsType[*listener.BindError](err); ok {
				return config.Faults{cfg.Fault(bad.Key, bad.Err.Error(), "name an address that is free and that this host has, or restart")}
			}
			return err
		}
	}
	if err := g.adopt(ctx, cfg); err != nil {
		if change != nil {
			err = errors.Join(err, change.Discard())
		}
		return errors.Join(err, next.close())
	}
	c.swap(next)
	if change != nil {
		change.Commit()
		next.listened(g.group.Addresses())
	}
	if g.checks != nil {
		g.checks.SetMaxConnections(cfg.Server.Limits.MaxConnections)
	}
	c.reloads.level.SetLevel(level.Level())
	return nil
}

// adopt lets what outlives configurations follow another one. After an error it follows
// the one before.
func (g *Gateway) adopt(ctx context.Context, cfg *config.Config) error {
	c := g.core
	inUse := c.now().cfg
	key := c.auditKey
	if err := c.openAudit(cfg); err != nil {
		return errors.Join(err, c.moveAudit(inUse.Audit, key))
	}
	if err := c.keyring.Follow(ctx, cfg.Session.KeysFiles, cfg.Session.AbsoluteTimeout); err != nil {
		fault := cfg.Fault("session.keys_files", err.Error(), "name files that the running gateway can go on with")
		return errors.Join(config.Faults{fault}, c.moveAudit(inUse.Audit, key))
	}
	return nil
}

// await returns when no reload runs any more. Once the gateway drains, none begins.
func (r *reloads) await() {
	r.one.Lock()
	defer r.one.Unlock()
}

// sum tells contents apart.
func sum(texts ...[]byte) [sha256.Size]byte {
	all := sha256.New()
	for _, text := range texts {
		one := sha256.Sum256(text)
		_, _ = all.Write(one[:]) // a hash takes everything
	}
	return [sha256.Size]byte(all.Sum(nil))
}
