//go:build e2e && long

package valkeystore_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
)

// worker does random things with random gateways, one at a time.
type worker struct {
	*chaos

	rand   *rand.Rand
	record record
}

func (w *worker) run(ctx context.Context) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil && w.model.violations.Load() == 0 {
		w.once()
		<-tick.C
	}
}

func (w *worker) once() {
	g := w.rand.IntN(len(w.stores))
	k := w.choose()
	switch n := w.rand.IntN(10000); {
	case k == nil || n < 300:
		w.create(g)
	case n < 800:
		w.touch(g, k)
	case n < 1300:
		w.update(g, k)
	case n < 1450:
		w.delete(g, k)
	case n < 1470:
		w.deleteMany(g, k.user, "")
	case n < 1500:
		w.deleteMany(g, k.user, "/"+strconv.Itoa(w.rand.IntN(3)))
	case n < 1502:
		w.list(g, nil)
	case n < 1550:
		w.list(g, k.user)
	case n < 1700:
		w.beside(g, k)
	case n < 1900:
		w.keepRecord(g)
	case n < 1915:
		w.storm(g)
	default:
		w.get(g, k)
	}
}

// choose prefers some sessions, as users do, and returns nil when there should
// be more.
func (w *worker) choose() *known {
	w.model.mu.RLock()
	defer w.model.mu.RUnlock()
	alive := w.model.alive
	if len(alive) < population {
		return nil
	}
	if w.rand.IntN(2) == 0 {
		return alive[w.rand.IntN(50)]
	}
	return alive[w.rand.IntN(len(alive))]
}

// retire takes ended sessions out of those that are chosen, most of them: the
// others are asked for, to see that they stay away.
func (w *worker) retire(sessions ...*known) {
	m := w.model
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range sessions {
		if i := slices.Index(m.alive, k); i >= 0 && len(m.alive) > population {
			m.alive = slices.Delete(m.alive, i, i+1)
		}
	}
}

// within checks how long a number of calls in a row have taken.
func (w *worker) within(begin time.Time, calls int, k *known, what string) {
	took := time.Since(begin)
	limit := time.Duration(calls)*callTimeout + callSlack
	if took > limit && took > limit+w.stalls.since(begin.Add(-100*time.Millisecond)) {
		w.model.broken(k, "%s: took %v of %v", what, took, limit)
	}
}

func name(what string, g int) string { return what + " at " + strconv.Itoa(g) }

func (w *worker) get(g int, k *known) {
	want := w.model.expect(k, g, lag)
	got, err := w.stores[g].Get(context.Background(), k.key)
	w.within(want.begin, 1, k, name("get", g))
	w.judge(k, want, name("get", g), got, err)
}

func (w *worker) judge(k *known, want want, what string, got *session.Session, err error) {
	w.count(err)
	switch {
	case err == nil:
		w.model.found(k, want, what, got)
	case errors.Is(err, session.ErrNotFound):
		w.model.notFound(k, want, what)
	}
}

// storm reads a new session at every gateway without a pause while one of them
// changes it and ends it.
func (w *worker) storm(g int) {
	k := w.create(g)
	if k.created.IsZero() {
		return // an outage
	}
	done := make(chan struct{})
	var wait sync.WaitGroup
	for i := range 2 * len(w.stores) {
		wait.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					w.get(i%len(w.stores), k)
				}
			}
		})
	}
	for range 3 {
		w.update(g, k)
		w.get(g, k)
	}
	w.delete(g, k)
	for range 3 {
		w.get(g, k)
	}
	close(done)
	wait.Wait()
}

func (w *worker) create(g int) *known {
	u := w.model.users[w.rand.IntN(len(w.model.users))]
	k, in := w.model.newSession(u)
	begin := time.Now()
	err := w.stores[g].Create(context.Background(), in)
	w.within(begin, 2, k, name("create", g))
	w.count(err)
	k.mu.Lock()
	k.note(begin, "create at %d: %v", g, err)
	if err == nil {
		k.created = time.Now()
	}
	k.mu.Unlock()
	if errors.Is(err, session.ErrConflict) {
		w.model.broken(k, "create: %v", err)
	}
	if err == nil || w.rand.IntN(10) == 0 {
		w.model.mu.Lock()
		w.model.alive = append(w.model.alive, k)
		w.model.mu.Unlock()
	}
	return k
}

// touch, update and what is read beside a session ask the server, which is never
// behind.
func (w *worker) touch(g int, k *known) {
	want := w.model.expect(k, g, 0)
	at := time.Now().Truncate(time.Microsecond)
	err := w.stores[g].Touch(context.Background(), k.key, at)
	w.within(want.begin, 1, k, name("touch", g))
	w.judge(k, want, name("touch", g), nil, err)
	if err == nil {
		k.mu.Lock()
		if at.After(k.seen) && !w.model.lossy(time.Now()) {
			k.seen = at
		}
		k.mu.Unlock()
	}
}

func (w *worker) update(g int, k *known) {
	want := w.model.expect(k, g, 0)
	calls := 1
	got, err := w.stores[g].Update(context.Background(), k.key, func(s *session.Session) error {
		calls += 2
		s.Identity.Name = strconv.FormatUint(s.Version+1, 10)
		return nil
	})
	w.within(want.begin, calls, k, name("update", g))
	w.judge(k, want, name("update", g), got, err)
	switch {
	case err == nil:
		k.changedBy(g, got.Version, want.begin)
	case !errors.Is(err, session.ErrNotFound):
		k.mu.Lock()
		k.unknown++
		k.note(want.begin, "update at %d: %v", g, err)
		k.mu.Unlock()
	}
}

func (w *worker) delete(g int, k *known) {
	what := name("delete", g)
	begin := time.Now()
	sure := doom(begin, what, k)
	err := w.stores[g].Delete(context.Background(), k.key)
	w.within(begin, w.callsToDelete, k, what)
	w.count(err)
	if err != nil {
		k.mu.Lock()
		k.note(begin, "%s: %v", what, err)
		k.mu.Unlock()
		return
	}
	for _, k := range sure {
		k.endedBy(g, begin, what)
	}
	if w.rand.IntN(10) != 0 {
		w.retire(k)
	}
}

// deleteMany ends the sessions of a user, or of one session at the provider.
func (w *worker) deleteMany(g int, u *user, sid string) {
	what := name("delete all"+sid, g)
	u.mu.Lock()
	u.ending++
	all := slices.Clone(u.sessions)
	u.mu.Unlock()
	defer func() {
		u.mu.Lock()
		u.ending--
		u.mu.Unlock()
	}()
	if sid != "" {
		all = slices.DeleteFunc(all, func(k *known) bool { return k.sid != u.subject+sid })
	}
	begin := time.Now()
	sure := doom(begin, what, all...)
	var err error
	if sid == "" {
		_, err = w.stores[g].DeleteSubject(context.Background(), issuer, u.subject)
	} else {
		_, err = w.stores[g].DeleteProviderSession(context.Background(), issuer, u.subject+sid)
	}
	w.within(begin, 4+w.callsToDelete*(1+len(all)/64), nil, what)
	w.count(err)
	if err != nil {
		return
	}
	for _, k := range sure {
		k.mu.Lock()
		created := k.created
		k.mu.Unlock()
		// Its place in the index, on another shard, may have been lost.
		if !w.model.lossy(created) {
			k.endedBy(g, begin, what)
		}
	}
	w.retire(all...)
	u.mu.Lock()
	u.sessions = slices.DeleteFunc(u.sessions, func(k *known) bool { return slices.Contains(sure, k) })
	u.mu.Unlock()
}

// list checks that all sessions of a user are listed, or of everybody.
func (w *worker) list(g int, u *user) {
	filter := session.Filter{}
	var all []*known
	calls := 3 + 64*2
	if u != nil {
		filter.Issuer, filter.Subject = issuer, u.subject
		u.mu.Lock()
		all = slices.Clone(u.sessions)
		u.mu.Unlock()
		calls = 3 + len(all)
	} else {
		w.model.mu.RLock()
		all = slices.Clone(w.model.alive)
		w.model.mu.RUnlock()
	}
	wants := make([]want, len(all))
	for i, k := range all {
		wants[i] = w.model.expect(k, g, 0)
	}
	begin := time.Now()
	listed, err := w.stores[g].List(context.Background(), filter)
	w.within(begin, calls, nil, name("list", g))
	w.count(err)
	if err != nil {
		return
	}
	got := make(map[session.Key]*session.Session, len(listed))
	for _, l := range listed {
		got[l.Key()] = l.Session
	}
	for i, k := range all {
		if s := got[k.key]; s != nil {
			w.model.found(k, wants[i], name("list", g), s)
		} else {
			w.model.notFound(k, wants[i], name("list", g))
		}
	}
}

// beside reads the last use and the tokens of a session.
func (w *worker) beside(g int, k *known) {
	want := w.model.expect(k, g, 0)
	k.mu.Lock()
	touched := k.seen
	k.mu.Unlock()
	seen, err := w.stores[g].LastSeen(context.Background(), k.key)
	w.within(want.begin, 1, k, name("last seen", g))
	w.judge(k, want, name("last seen", g), nil, err)
	if err == nil && seen.Before(touched) && !w.model.lossy(touched) && want.whole {
		w.model.broken(k, "last seen at %d: %v, touched at %v", g, seen, touched)
	}
	want = w.model.expect(k, g, 0)
	tokens, err := w.stores[g].Tokens(context.Background(), k.key)
	w.within(want.begin, 1, k, name("tokens", g))
	w.judge(k, want, name("tokens", g), nil, err)
	if err == nil && string(tokens) != "tokens" && want.whole {
		w.model.broken(k, "tokens at %d: %q", g, tokens)
	}
}

// record is what a worker knows of the record that it alone writes.
type record struct {
	name           string
	least, highest uint64 // its version is one of these or between
	at             time.Time
}

func (w *worker) keepRecord(g int) {
	r := &w.record
	begin := time.Now()
	got, err := w.stores[g].LoadRecord(context.Background(), "chaos", r.name)
	w.within(begin, 1, nil, name("load record", g))
	w.count(err)
	if err != nil && !errors.Is(err, session.ErrNotFound) {
		return
	}
	if got.Version < r.least || got.Version > r.highest {
		if !w.model.lossy(r.at) {
			w.model.broken(nil, "record %s at %d: version %d, want %d to %d", r.name, g, got.Version, r.least, r.highest)
		}
		r.least = got.Version
	}
	begin = time.Now()
	version, err := w.stores[g].SaveRecord(context.Background(), "chaos", r.name, got.Version, []byte(r.name), time.Now().Add(time.Hour))
	w.within(begin, 1, nil, name("save record", g))
	w.count(err)
	switch {
	case err == nil:
		r.at = time.Now()
		r.least, r.highest = version, max(version, r.highest)
	case !errors.Is(err, session.ErrConflict):
		r.highest = max(r.highest, got.Version+1)
	}
}
