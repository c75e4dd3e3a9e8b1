package telemetry

import (
	"context"
	"slices"
	"sync"
	"time"
)

// MaxEvents is how many records Events keeps.
const MaxEvents = 4096

// Kinds of events.
const (
	KindLogin   = "login"
	KindLogout  = "logout"
	KindDeny    = "deny"
	KindRevoke  = "revoke"
	KindRefresh = "refresh"
	KindAdmin   = "admin"
)

// EventKinds are all kinds, in the order in which people read about them.
func EventKinds() []string {
	return []string{KindLogin, KindLogout, KindDeny, KindRevoke, KindRefresh, KindAdmin}
}

// HappenedEvent is an audit record in the order in which this gateway has made it.
type HappenedEvent struct {
	Seq  uint64    `json:"seq"` // one more each time, and still greater after a restart
	Time time.Time `json:"time"`
	Kind string    `json:"kind"`
	Audit
}

// Events keeps the last audit records of this process in memory, for operators who
// look at what goes on. It is safe for concurrent use, and whoever reads slowly
// delays nobody: he misses what was overwritten meanwhile, and is told how much.
type Events struct {
	base uint64 // before the first Seq of this process
	mu   sync.Mutex
	ring []HappenedEvent // that with Seq n is at (n-base-1) % MaxEvents
	last uint64
	wake chan struct{} // closed with the next record; nil while nobody waits
}

// NewEvents makes an empty one.
func NewEvents() *Events {
	// Nobody makes a million records a second for as long as a process lives, so the
	// numbers of the next process are greater, and JSON's numbers hold them exactly.
	base := uint64(time.Now().Unix()) << 20
	return &Events{base: base, last: base}
}

// add takes a record whose texts are no longer than a line may hold.
func (e *Events) add(now time.Time, a *Audit) {
	if e == nil {
		return
	}
	one := HappenedEvent{Time: now.UTC(), Kind: kindOf(a.Event), Audit: *a}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last++
	one.Seq = e.last
	if len(e.ring) < MaxEvents {
		e.ring = append(e.ring, one)
	} else {
		e.ring[e.place(one.Seq)] = one
	}
	if e.wake != nil {
		close(e.wake)
		e.wake = nil
	}
}

// place is where the record of a Seq is in the ring.
func (e *Events) place(seq uint64) uint64 { return (seq - e.base - 1) % MaxEvents }

// kindOf says what an event is about. What is nothing else is an operator's act.
func kindOf(event string) string {
	switch event {
	case "login":
		return KindLogin
	case "logout", "provider_logout":
		return KindLogout
	case "deny":
		return KindDeny
	case "session_ended":
		return KindRefresh
	case "revoke_tokens", "revoke_session", "revoke_sessions", "apikey_revoke":
		return KindRevoke
	}
	return KindAdmin
}

// EventFilter narrows what is read. Empty fields match everything.
type EventFilter struct {
	Kinds []string
	After uint64    // only those with a greater Seq
	Since time.Time // only those that are not older
}

func (f *EventFilter) fits(one *HappenedEvent) bool {
	return (len(f.Kinds) == 0 || slices.Contains(f.Kinds, one.Kind)) && !one.Time.Before(f.Since)
}

// Read returns the records that match, oldest first: the last limit of them, or all
// with 0. next is the After of a later call that goes on from here, and missed how
// many records after f.After were overwritten before they could be read.
func (e *Events) Read(f EventFilter, limit int) (list []HappenedEvent, next, missed uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	from, oldest := min(f.After, e.last), e.last-uint64(len(e.ring))
	if from < oldest {
		if from >= e.base {
			missed = oldest - from
		}
		from = oldest
	}
	for seq := e.last; seq > from && (limit <= 0 || len(list) < limit); seq-- {
		if one := &e.ring[e.place(seq)]; f.fits(one) {
			list = append(list, *one)
		}
	}
	slices.Reverse(list)
	return list, e.last, missed
}

// Wait returns when there is a record with a Seq greater than after, or with the
// error of ctx.
func (e *Events) Wait(ctx context.Context, after uint64) error {
	for {
		e.mu.Lock()
		if e.last > after {
			e.mu.Unlock()
			return nil
		}
		if e.wake == nil {
			e.wake = make(chan struct{})
		}
		wake := e.wake
		e.mu.Unlock()
		select {
		case <-wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
