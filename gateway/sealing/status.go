package sealing

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
)

// Status is the ring as it is known to this gateway.
type Status struct {
	Files    []string // that the keys are; empty where the store keeps them
	Keys     []Key
	Gateways []Gateway
}

// Status tells of the keys and the gateways. It asks the store first; where that
// does not answer, it tells what was known last.
func (r *Ring) Status(ctx context.Context) Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tell(ctx)
	return r.status()
}

// Known is Status without asking the store.
func (r *Ring) Known() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status()
}

func (r *Ring) status() Status {
	s := Status{Files: r.paths}
	l := r.ledger
	if l == nil {
		l, _ = decodeLedger(nil)
		l.Gateways[r.name] = member{Knows: r.keyring.Names(), Seals: r.keyring.Sealing(), Seen: time.Now()}
	}
	sealing := make(map[session.KeyName]bool)
	names := r.keyring.Names()
	own := len(names)
	for _, name := range slices.Sorted(maps.Keys(l.Gateways)) {
		m := l.Gateways[name]
		sealing[m.Seals] = true
		for _, k := range m.Knows {
			if !slices.Contains(names, k) {
				names = append(names, k)
			}
		}
		s.Gateways = append(s.Gateways, Gateway{Name: name, Knows: m.Knows, Seals: m.Seals, Seen: m.Seen, Self: name == r.name})
	}
	for i, name := range names {
		h := l.Keys[name]
		k := Key{Name: name, File: r.origins[name].file, Since: h.Since, Here: i < own}
		switch {
		case sealing[name] || name == r.keyring.Sealing():
			k.State = StateCurrent
		case h.Sealed.IsZero():
			k.State = StateNext
		default:
			k.State, k.Stopped = StateOld, h.Stopped
			k.Until = h.Stopped.Add(max(r.absolute, session.Transient))
		}
		s.Keys = append(s.Keys, k)
	}
	order := []State{StateCurrent, StateNext, StateOld}
	slices.SortStableFunc(s.Keys, func(a, b Key) int {
		return cmp.Or(slices.Index(order, a.State)-slices.Index(order, b.State), b.Stopped.Compare(a.Stopped))
	})
	return s
}

// Ready reports why this gateway should not be asked: it can't open what another
// one seals, which was there first. Of two that can't open each other's, one stays.
func (r *Ring) Ready() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	theirs, _, ok := r.missing()
	if !ok {
		return nil
	}
	first, mine := r.ledger.Keys[theirs].Sealed, r.ledger.Keys[r.keyring.Sealing()].Sealed
	if !first.IsZero() && (mine.IsZero() || first.Before(mine)) {
		return ErrUnknownKey
	}
	return nil
}

// Sight tells since when a signing key from a file is known, and remembers it.
func (r *Ring) Sight(ctx context.Context, kids []string, hint time.Time) map[string]time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.offline {
		return nil
	}
	l, err := r.change(ctx, func(l *ledger, now time.Time) (write bool) {
		for _, kid := range kids {
			if _, ok := l.Signing[kid]; ok {
				continue
			}
			if l.Signing == nil {
				l.Signing = make(map[string]time.Time)
			}
			since := now
			if !hint.IsZero() && hint.Before(now) {
				since = hint.UTC()
			}
			l.Signing[kid], write = since, true
		}
		maps.DeleteFunc(l.Signing, func(kid string, since time.Time) bool {
			return !slices.Contains(kids, kid) && now.Sub(since) > remembered
		})
		return write
	})
	if err != nil {
		return nil
	}
	return l.Signing
}
