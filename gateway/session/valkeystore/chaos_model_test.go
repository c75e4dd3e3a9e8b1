//go:build e2e && long

package valkeystore_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/session/sessiontest"
)

// known is what the test knows of a session: what was tried, what was
// acknowledged, and by which gateway. What was answered with an error may have
// happened, or may still happen.
type known struct {
	key  session.Key
	user *user
	sid  string

	mu      sync.Mutex
	created time.Time    // Create had returned nil; zero: not, or unknown
	doomed  time.Time    // the first attempt to end it began; zero: none
	ended   []endAck     // attempts that succeeded
	changes []versionAck // updates that succeeded, the newest of each gateway last
	acked   int          // how many there were
	unknown int          // updates whose outcome is unknown
	seen    time.Time    // the latest Touch that succeeded
	events  []string
}

type endAck struct {
	gateway int
	at      time.Time
}

type versionAck struct {
	gateway int
	version uint64
	at      time.Time
}

// user is one subject, with the sessions that it has had.
type user struct {
	subject string

	mu       sync.Mutex
	sessions []*known
	ending   int // attempts to end all of them that are under way
}

func (k *known) note(begin time.Time, format string, args ...any) {
	if len(k.events) > 60 {
		k.events = k.events[20:]
	}
	k.events = append(k.events, fmt.Sprintf("%s +%v ", begin.Format("05.000"), time.Since(begin).Round(time.Millisecond))+fmt.Sprintf(format, args...))
}

// outage is a failover. Replicas follow late, so that what was acknowledged a
// moment before it, and until the new primary is known, may be lost.
type outage struct{ from, to time.Time } // a zero to: not over

// model is the world as the test knows it.
type model struct {
	t     *testing.T
	users []*user
	next  atomic.Uint64

	mu         sync.RWMutex
	alive      []*known // those that workers choose from
	outages    []outage
	faults     []string
	violations atomic.Int32
}

const (
	lossBefore  = 2 * time.Second // that late a replica may be
	lossAfter   = time.Second     // until everybody has turned away from the old primary
	buriedAfter = 5 * time.Second // that long after it, revocations are in force again
)

// lossy reports whether what was acknowledged at t may have been lost.
func (m *model) lossy(t time.Time) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, o := range m.outages {
		if !t.Before(o.from) && (o.to.IsZero() || t.Before(o.to)) {
			return true
		}
	}
	return false
}

// revived reports whether a revocation that was acknowledged at t may be undone
// at now.
func (m *model) revived(t, now time.Time) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, o := range m.outages {
		if !t.Before(o.from) && (o.to.IsZero() || t.Before(o.to) && now.Before(o.to.Add(buriedAfter))) {
			return true
		}
	}
	return false
}

func (m *model) failover() (over func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.outages = append(m.outages, outage{from: time.Now().Add(-lossBefore)})
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.outages[len(m.outages)-1].to = time.Now().Add(lossAfter)
	}
}

func (m *model) fault(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults = append(m.faults, time.Now().Format("05.000 ")+fmt.Sprintf(format, args...))
}

// broken reports a violation, with what led to it.
func (m *model) broken(k *known, format string, args ...any) {
	if m.violations.Add(1) > 5 {
		return
	}
	var story []string
	if k != nil {
		k.mu.Lock()
		story = append(story, k.events...)
		k.mu.Unlock()
	}
	m.mu.RLock()
	faults := m.faults[max(0, len(m.faults)-20):]
	text := strings.Join(faults, "\n    ")
	m.mu.RUnlock()
	m.t.Errorf("%s: %s\n  faults:\n    %s\n  session:\n    %s", time.Now().Format("05.000"), fmt.Sprintf(format, args...), text, strings.Join(story, "\n    "))
}

// newSession registers a session before it is created.
func (m *model) newSession(u *user) (*known, *session.Session) {
	n := m.next.Add(1)
	in := sessiontest.Session(int(n))
	in.Identity.Ref = sha256.Sum256(binary.BigEndian.AppendUint64([]byte("chaos"), n))
	in.Identity.Subject = u.subject
	in.Identity.Name = "1"
	in.Identity.ProviderSession = u.subject + "/" + strconv.Itoa(int(n%3))
	in.SealedTokens = new([]byte("tokens"))
	k := &known{key: in.Key(), user: u, sid: in.Identity.ProviderSession}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ending > 0 {
		k.doomed = time.Now()
	}
	u.sessions = append(u.sessions, k)
	return k, in
}

// want is what a look that begins now has to find.
type want struct {
	gone    time.Time // when it was ended, which this gateway must know; zero: not
	version uint64    // at least
	whole   bool      // it was surely created, and no attempt to end it was made
	begin   time.Time
}

// expect is for a look at a gateway that may be behind the others by lag.
func (m *model) expect(k *known, gateway int, lag time.Duration) want {
	k.mu.Lock()
	defer k.mu.Unlock()
	w := want{begin: time.Now(), version: 1, whole: !k.created.IsZero() && k.doomed.IsZero()}
	for _, e := range k.ended {
		if e.gateway == gateway || w.begin.Sub(e.at) > lag {
			if !m.revived(e.at, w.begin) {
				w.gone = e.at
			}
		}
	}
	for _, c := range k.changes {
		if (c.gateway == gateway || w.begin.Sub(c.at) > lag) && !m.lossy(c.at) {
			w.version = max(w.version, c.version)
		}
	}
	return w
}

// found checks that a session was rightly answered.
func (m *model) found(k *known, w want, what string, got *session.Session) {
	if !w.gone.IsZero() && !m.revived(w.gone, w.begin) {
		m.broken(k, "%s: found %v after it was ended", what, w.begin.Sub(w.gone))
	}
	if got == nil {
		return
	}
	if got.Key() != k.key || got.Identity.Name != strconv.FormatUint(got.Version, 10) || got.Identity.Subject != k.user.subject {
		m.broken(k, "%s: a wrong session: version %d, name %s, subject %s", what, got.Version, got.Identity.Name, got.Identity.Subject)
	}
	// A failover that began meanwhile may have undone some changes.
	if got.Version < w.version && got.Version < m.atLeast(k, w) {
		m.broken(k, "%s: version %d, want at least %d", what, got.Version, w.version)
	}
}

// atLeast is what w wants with the failovers that are known by now.
func (m *model) atLeast(k *known, w want) (version uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range k.changes {
		if c.version <= w.version && !m.lossy(c.at) {
			version = max(version, c.version)
		}
	}
	return version
}

// notFound checks that a session may be absent.
func (m *model) notFound(k *known, w want, what string) {
	if !w.whole {
		return
	}
	k.mu.Lock()
	created, doomed := k.created, !k.doomed.IsZero()
	k.mu.Unlock()
	if !doomed && !m.lossy(created) {
		m.broken(k, "%s: not found, and nobody ended it", what)
	}
}

// doom notes that an attempt to end sessions begins, and returns those that are
// surely there and that it therefore has to end.
func doom(begin time.Time, what string, sessions ...*known) (sure []*known) {
	for _, k := range sessions {
		k.mu.Lock()
		if k.doomed.IsZero() {
			k.doomed = begin
		}
		k.note(begin, "%s begins", what)
		if !k.created.IsZero() {
			sure = append(sure, k)
		}
		k.mu.Unlock()
	}
	return sure
}

func (k *known) endedBy(gateway int, begin time.Time, what string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ended = append(k.ended, endAck{gateway, time.Now()})
	k.note(begin, "%s at %d", what, gateway)
}

func (k *known) changedBy(gateway int, version uint64, begin time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.acked++
	k.changes = append(k.changes, versionAck{gateway, version, time.Now()})
	k.note(begin, "update %d at %d", version, gateway)
}

// stalls notices when the machine runs nobody, which no store can help.
type stalls struct {
	mu  sync.Mutex
	all []stall
}

type stall struct {
	end  time.Time
	took time.Duration
}

func (s *stalls) watch(ctx context.Context) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	last := time.Now()
	for ctx.Err() == nil {
		<-tick.C
		now := time.Now()
		if took := now.Sub(last); took > 15*time.Millisecond {
			s.mu.Lock()
			s.all = append(s.all, stall{now, took})
			s.mu.Unlock()
		}
		last = now
	}
}

// since adds up the stalls that ended after begin.
func (s *stalls) since(begin time.Time) (sum time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range slices.Backward(s.all) {
		if one.end.Before(begin) {
			break
		}
		sum += one.took
	}
	return sum
}
