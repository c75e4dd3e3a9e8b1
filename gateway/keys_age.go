package gateway

import (
	"context"
	"os"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/assertion"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

const (
	// keyWarning is how often the log names keys that should have been rotated.
	keyWarning = 24 * time.Hour
	// keyRetry is how often it is tried to learn since when files are known.
	keyRetry = time.Minute
)

// keyWatch knows how old the keys of both rings are.
type keyWatch struct {
	core *core
	log  *zap.Logger
	// sights tell since when signing keys from files are known, which do not tell.
	sights atomic.Pointer[map[string]time.Time]
}

// warnAge is that of the configuration which counts now; 0 before there is one.
func (k *keyWatch) warnAge() time.Duration {
	if p := k.core.now(); p != nil {
		return p.cfg.Session.KeysWarnAge
	}
	return 0
}

// ages are those of the oldest key of each state, without asking the store.
func (k *keyWatch) ages() []telemetry.KeyAge {
	now, limit := time.Now(), k.warnAge()
	var list []telemetry.KeyAge
	add := func(ring, state string, since time.Time) {
		if since.IsZero() {
			return // it is not known yet
		}
		one := telemetry.KeyAge{Ring: ring, State: state, Age: now.Sub(since)}
		one.Overdue = limit > 0 && state == "current" && one.Age > limit
		for i := range list {
			if other := &list[i]; other.Ring == ring && other.State == state {
				if one.Age > other.Age {
					*other = one
				}
				return
			}
		}
		list = append(list, one)
	}
	for _, key := range k.core.keyring.Known().Keys {
		add("sealing", string(key.State), key.Since)
	}
	keys, _, err := k.core.ring.Keys()
	if err != nil {
		return list
	}
	sights := k.sights.Load()
	for _, key := range keys {
		since := key.Published
		if since.IsZero() && sights != nil {
			since = (*sights)[key.ID]
		}
		add("signing", string(key.State), since)
	}
	return list
}

// look remembers since when signing keys from files are known. It reports whether
// all is known.
func (k *keyWatch) look(ctx context.Context) bool {
	keys, _, err := k.core.ring.Keys()
	if err != nil {
		return false
	}
	var kids []string
	for _, key := range keys {
		if key.Published.IsZero() {
			kids = append(kids, key.ID)
		}
	}
	if len(kids) == 0 {
		return true
	}
	sights := k.core.keyring.Sight(ctx, kids, k.written(keys))
	if sights == nil {
		return false
	}
	k.sights.Store(&sights)
	return true
}

// written is when the one file of signing keys was changed last: of several, it
// could be another key's.
func (k *keyWatch) written(keys []assertion.Key) time.Time {
	p := k.core.now()
	if p == nil || len(keys) != 1 || len(p.cfg.Assertions.KeysFiles) != 1 {
		return time.Time{}
	}
	info, err := os.Stat(p.cfg.Assertions.KeysFiles[0])
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// run names the keys that should have been rotated: at the start, and every day.
func (k *keyWatch) run(ctx context.Context) {
	var warned time.Time
	for {
		known := k.look(ctx)
		if time.Since(warned) >= keyWarning {
			for _, one := range k.ages() {
				if one.Overdue {
					warned = time.Now()
					k.log.Warn("a key has been in use for longer than session.keys_warn_age: rotate it with `sallyport keys rotate "+one.Ring+"`",
						zap.String("ring", one.Ring), zap.Int("days", int(one.Age/(24*time.Hour))))
				}
			}
		}
		wait := time.Hour
		if !known {
			wait = keyRetry
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}
