package sealing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
)

// ledgerName is the name of the ledger's record, which holds no secret.
const ledgerName = "ledger"

const ledgerFormat = 1

// ledger is what the gateways of a store tell one another about the keys.
type ledger struct {
	Version  int                         `json:"version"`
	Keys     map[session.KeyName]history `json:"keys"`
	Gateways map[string]member           `json:"gateways"`
	// Signing tells when signing keys from files were first seen.
	Signing map[string]time.Time `json:"signing,omitempty"`
}

type history struct {
	Since   time.Time `json:"since"`
	Sealed  time.Time `json:"sealed,omitzero"`  // when it began
	Stopped time.Time `json:"stopped,omitzero"` // zero while it seals
}

type member struct {
	Knows []session.KeyName `json:"knows"`
	Seals session.KeyName   `json:"seals"`
	Seen  time.Time         `json:"seen"`
}

func decodeLedger(text []byte) (*ledger, error) {
	l := &ledger{Version: ledgerFormat}
	if text != nil {
		if err := json.Unmarshal(text, l); err != nil {
			return nil, fmt.Errorf("sealing: the ledger of the keys can't be read: %w", err)
		}
	}
	if l.Version != ledgerFormat {
		return nil, fmt.Errorf("sealing: the ledger of the keys has format %d, this release knows %d", l.Version, ledgerFormat)
	}
	if l.Keys == nil {
		l.Keys = make(map[session.KeyName]history)
	}
	if l.Gateways == nil {
		l.Gateways = make(map[string]member)
	}
	return l, nil
}

// live drops the gateways that are gone.
func (l *ledger) live(now time.Time) {
	maps.DeleteFunc(l.Gateways, func(_ string, m member) bool { return now.Sub(m.Seen) > goneAfter })
}

// choose returns the first of the keys that every gateway knows, and the first of
// all where there is none.
func (l *ledger) choose(own []session.KeyName) session.KeyName {
	for _, k := range own {
		if !slices.ContainsFunc(slices.Collect(maps.Values(l.Gateways)), func(m member) bool { return !slices.Contains(m.Knows, k) }) {
			return k
		}
	}
	return own[0]
}

// account writes down which keys seal now, and forgets those of long ago.
func (l *ledger) account(now time.Time) (changed bool) {
	seals := make(map[session.KeyName]bool)
	known := make(map[session.KeyName]bool)
	for _, m := range l.Gateways {
		seals[m.Seals] = true
		for _, k := range m.Knows {
			known[k] = true
		}
	}
	for name, h := range l.Keys {
		was := h
		switch {
		case seals[name]:
			if h.Sealed.IsZero() {
				h.Sealed = now
			}
			h.Stopped = time.Time{}
		case !h.Sealed.IsZero() && h.Stopped.IsZero():
			h.Stopped = now
		case !known[name] && now.Sub(h.Stopped) > remembered && now.Sub(h.Since) > remembered:
			delete(l.Keys, name)
			changed = true
			continue
		}
		if h != was {
			l.Keys[name], changed = h, true
		}
	}
	return changed
}

// change applies do to the ledger until the store has taken the result. do says
// whether there is anything to write.
func (r *Ring) change(ctx context.Context, do func(l *ledger, now time.Time) bool) (*ledger, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	for {
		record, err := r.records.LoadRecord(ctx, Kind, ledgerName)
		if err != nil && !errors.Is(err, session.ErrNotFound) {
			return nil, err
		}
		l, err := decodeLedger(record.Value)
		if err != nil {
			return nil, err
		}
		now := time.Now().UTC()
		l.live(now)
		wanted := do(l, now)
		if !l.account(now) && !wanted {
			return l, nil
		}
		text, err := json.Marshal(l)
		if err != nil {
			return nil, err
		}
		_, err = r.records.SaveRecord(ctx, Kind, ledgerName, record.Version, text, time.Time{})
		if err == nil {
			return l, nil
		}
		if !errors.Is(err, session.ErrConflict) {
			return nil, err
		}
	}
}
