package sealing

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/followed"
	"github.com/sallyport/sallyport/gateway/session"
)

// Options are what Open needs.
type Options struct {
	Records session.Records
	// Files hold a secret a line. Where there are none, the ring is kept in Records.
	Files []string
	Read  func(file string) ([]byte, error)
	// Shared says that other gateways use the same store. Then there are Files.
	Shared bool
	// Offline neither asks nor tells the store anything but the ring that it keeps.
	Offline  bool
	Absolute time.Duration // session.absolute_timeout
	Host     string        // for operators, who know their gateways by it
	// Told is called when the others were told something new, which they hear when
	// they look. It must not wait. Nil does nothing.
	Told func()
	Log  *zap.Logger
}

// Ring is the key ring of a gateway and what is known of its keys. It is safe for
// concurrent use.
type Ring struct {
	records session.Records
	read    func(string) ([]byte, error)
	shared  bool
	offline bool
	name    string
	log     *zap.Logger
	keyring *session.Keyring
	told    func() // Options.Told
	woken   chan struct{}

	mu       sync.Mutex // one change at a time
	absolute time.Duration
	paths    []string
	files    followed.Files
	origins  map[session.KeyName]origin
	ledger   *ledger // as it was read last; nil before
	missed   string  // what was said last about keys that are missing here
	failed   string  // and about the ledger
	sessions func() Sessions
	reseal   func(ctx context.Context) error
}

// Open makes the ring: from files, or as the store keeps it. That other gateways
// can't be asked is no error.
func Open(ctx context.Context, o Options) (*Ring, error) {
	var suffix [3]byte
	rand.Read(suffix[:])
	r := &Ring{
		records: o.Records, read: o.Read, shared: o.Shared, offline: o.Offline, absolute: o.Absolute, paths: o.Files, log: o.Log,
		name: o.Host + "-" + hex.EncodeToString(suffix[:]), told: o.Told, woken: make(chan struct{}, 1),
	}
	if len(o.Files) == 0 {
		secrets, _, err := loadStored(ctx, o.Records)
		if err != nil {
			return nil, err
		}
		if r.keyring, err = session.NewKeyring(secrets...); err != nil {
			return nil, err
		}
	} else {
		c, err := readFiles(o.Files, o.Read)
		if err != nil {
			return nil, err
		}
		if r.keyring, r.origins, err = c.ring(o.Files); err != nil {
			return nil, err
		}
		r.files.Hold(c.texts...)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tell(ctx)
	return r, nil
}

// Keyring is what seals. It is the same for the life of the Ring.
func (r *Ring) Keyring() *session.Keyring { return r.keyring }

// Sessions are what the keys are for; *session.Manager has them.
type Sessions interface {
	KeyUse(ctx context.Context, key session.KeyName, stopped time.Time) (session.KeyUse, error)
	ReleaseKey(ctx context.Context, key session.KeyName, stopped time.Time) (session.KeyUse, error)
}

// Bind says how to find the sessions, and how to seal anew what else the store
// keeps sealed. It comes before Run and Retire.
func (r *Ring) Bind(sessions func() Sessions, reseal func(ctx context.Context) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sessions, r.reseal = sessions, reseal
}

// changed is told when another key seals.
func (r *Ring) changed(ctx context.Context) {
	r.log.Info("another key seals", zap.String("key", string(r.keyring.Sealing())))
	if r.reseal == nil {
		return
	}
	if err := r.reseal(ctx); err != nil {
		r.log.Warn("what the store keeps sealed can't be sealed anew yet; a restart tries again, and so does the retiring of the old key", zap.Error(err))
	}
}

// Follow names other files, and another session.absolute_timeout. After an error
// nothing has changed. Where the store keeps the ring, there can't be files later.
func (r *Ring) Follow(ctx context.Context, files []string, absolute time.Duration) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.absolute = absolute
	if slices.Equal(files, r.paths) || len(files) == 0 || len(r.paths) == 0 {
		return nil
	}
	c, err := readFiles(files, r.read)
	if err != nil {
		return err
	}
	if err := r.take(&c, files); err != nil {
		return err
	}
	r.paths = files
	r.files.Hold(c.texts...)
	r.tell(ctx)
	return nil
}

// Wake makes Run look what the others know now. It waits for nothing.
func (r *Ring) Wake() {
	select {
	case r.woken <- struct{}{}:
	default: // it is about to look
	}
}

// Run follows the files and the other gateways until ctx ends, and then says that
// this gateway is gone.
func (r *Ring) Run(ctx context.Context) {
	tick := time.NewTicker(lookAtFiles)
	defer tick.Stop()
	var told, tidied time.Time
	for {
		woken := false
		select {
		case <-ctx.Done():
			r.leave(context.WithoutCancel(ctx))
			return
		case <-r.woken:
			woken = true
		case <-tick.C:
		}
		r.mu.Lock()
		fresh := !woken && r.lookAtFiles() // two looks in a row are some time apart
		if woken || fresh || r.ledger == nil || r.shared && time.Since(told) >= lookAtOthers {
			r.tell(ctx)
			told = time.Now()
		}
		r.mu.Unlock()
		if time.Since(tidied) >= time.Hour {
			tidied = time.Now()
			r.tidy(ctx)
		}
	}
}

// lookAtFiles takes what the files hold once it is settled.
func (r *Ring) lookAtFiles() (fresh bool) {
	if len(r.paths) == 0 {
		return false
	}
	c, err := readFiles(r.paths, r.read)
	change, err := r.files.Look(c.texts, err, func() error { return r.take(&c, r.paths) })
	switch {
	case err != nil:
		r.log.Error("the files of the sealing keys can't be taken, the keys stay as they were", zap.Error(err))
	case change == followed.Taken:
		r.log.Info("the files of the sealing keys were read again", zap.Any("keys", r.keyring.Names()))
	case change == followed.Back:
		r.log.Info("the files of the sealing keys are in order again")
	}
	return change == followed.Taken
}

// take exchanges the ring for what files hold. The key that seals goes on to do so
// where it is still there, until it is known what the others know.
func (r *Ring) take(c *contents, files []string) error {
	ring, origins, err := c.ring(files)
	if err != nil {
		return err
	}
	ring.SealWith(r.keyring.Sealing())
	for _, name := range r.keyring.Names() {
		if _, ok := origins[name]; !ok {
			r.log.Warn("a sealing key has left the files: whoever has a cookie that it made, signs in again", zap.String("key", string(name)))
		}
	}
	r.keyring.Exchange(ring)
	r.origins = origins
	return nil
}

// tell says what this gateway knows, hears what the others do, and seals with what
// all of them can open.
func (r *Ring) tell(ctx context.Context) {
	if r.offline {
		return
	}
	own := r.keyring.Names()
	var seals session.KeyName
	var news bool
	l, err := r.change(ctx, func(l *ledger, now time.Time) (write bool) {
		was, there := l.Gateways[r.name]
		if !r.shared {
			clear(l.Gateways) // of former runs
		}
		l.Gateways[r.name] = member{Knows: own}
		seals = l.choose(own)
		me := member{Knows: own, Seals: seals, Seen: was.Seen}
		news = !there || was.Seals != seals || !slices.Equal(was.Knows, own)
		if write = news || r.shared && now.Sub(was.Seen) >= tellAgain; write {
			me.Seen = now
		}
		l.Gateways[r.name] = me
		for _, name := range own {
			if _, ok := l.Keys[name]; !ok {
				since := now
				if at := r.origins[name].at; !at.IsZero() && at.Before(now) {
					since = at.UTC()
				}
				l.Keys[name], write = history{Since: since}, true
			}
		}
		return write
	})
	if err != nil {
		if text := err.Error(); text != r.failed {
			r.failed = text
			r.log.Warn("what other gateways know of the sealing keys can't be told", zap.Error(err))
		}
		return
	}
	r.failed, r.ledger = "", l
	if news && r.told != nil {
		r.told()
	}
	r.complain()
	if r.keyring.Sealing() != seals {
		r.keyring.SealWith(seals)
		r.changed(ctx)
	}
}

// complain says once that others seal with what this gateway can't open.
func (r *Ring) complain() {
	missing := ""
	if name, by, ok := r.missing(); ok {
		missing = string(name) + by
		if missing != r.missed {
			r.log.Error("another gateway seals with a key that this one does not have: who signed in there, is signed out here; give both the same files",
				zap.String("key", string(name)), zap.String("gateway", by))
		}
	}
	r.missed = missing
}

// missing finds a key that another gateway seals with and this one can't open.
func (r *Ring) missing() (name session.KeyName, by string, ok bool) {
	if r.ledger == nil {
		return "", "", false
	}
	own := r.keyring.Names()
	for other, m := range r.ledger.Gateways {
		if other != r.name && !slices.Contains(own, m.Seals) {
			return m.Seals, other, true
		}
	}
	return "", "", false
}

// leave takes this gateway off the list, so that nobody waits for it.
func (r *Ring) leave(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.shared || r.offline {
		return
	}
	_, _ = r.change(ctx, func(l *ledger, _ time.Time) bool {
		_, there := l.Gateways[r.name]
		delete(l.Gateways, r.name)
		return there
	}) // otherwise it is taken off in a minute
}
