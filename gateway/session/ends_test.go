package session_test

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/session/embedded"
)

// stepped is a store that lets somebody else act before its nth call.
type stepped struct {
	*embedded.Store
	calls  int
	before int
	act    func()
}

func (s *stepped) step() {
	if s.calls++; s.calls == s.before {
		s.act()
	}
}

func (s *stepped) Create(ctx context.Context, in *session.Session) error {
	s.step()
	return s.Store.Create(ctx, in)
}

func (s *stepped) Get(ctx context.Context, key session.Key) (*session.Session, error) {
	s.step()
	return s.Store.Get(ctx, key)
}

func (s *stepped) Tokens(ctx context.Context, key session.Key) ([]byte, error) {
	s.step()
	return s.Store.Tokens(ctx, key)
}

func (s *stepped) Update(ctx context.Context, key session.Key, change func(*session.Session) error) (*session.Session, error) {
	s.step()
	return s.Store.Update(ctx, key, change)
}

func (s *stepped) Touch(ctx context.Context, key session.Key, at time.Time) error {
	s.step()
	return s.Store.Touch(ctx, key, at)
}

func (s *stepped) Delete(ctx context.Context, key session.Key) error {
	s.step()
	return s.Store.Delete(ctx, key)
}

func (s *stepped) DeleteKeys(ctx context.Context, keys ...session.Key) (int, error) {
	s.step()
	return s.Store.DeleteKeys(ctx, keys...)
}

func (s *stepped) LoadRecord(ctx context.Context, kind, name string) (session.Record, error) {
	s.step()
	return s.Store.LoadRecord(ctx, kind, name)
}

// meeting is two gateways over one store: at one of them a user does something, and
// the other one's operator ends his session in the middle of it.
type meeting struct {
	t              *testing.T
	way            *stepped
	user, operator *session.Manager
}

func newMeeting(t *testing.T) *meeting {
	t.Helper()
	store, err := embedded.Open(embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	srv, cfg := settings()
	m := &meeting{t: t, way: &stepped{Store: store}}
	m.user = session.NewManager(session.Options{Store: m.way, Records: m.way, Keyring: newRing(t, 1), Server: srv, Session: cfg})
	m.operator = session.NewManager(session.Options{Store: store, Records: store, Keyring: newRing(t, 1), Server: srv, Session: cfg})
	t.Cleanup(func() {
		m.user.Close()
		m.operator.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func (m *meeting) start() (*session.Session, *http.Cookie, error) {
	return m.user.Start(m.t.Context(), session.SignIn{Identity: alice(), Provider: "test", ProviderSession: "sid", Tokens: []byte("x")}, nil)
}

// left returns how many sessions go on.
func (m *meeting) left() []session.Listed {
	m.t.Helper()
	all, err := m.way.List(m.t.Context(), session.Filter{})
	if err != nil {
		m.t.Fatal(err)
	}
	return all
}

// ways are how an operator ends a session, all of them.
func ways() map[string]func(ctx context.Context, m *session.Manager, s *session.Session) (int, error) {
	return map[string]func(context.Context, *session.Manager, *session.Session) (int, error){
		"by its id": func(ctx context.Context, m *session.Manager, s *session.Session) (int, error) {
			_, err := m.EndNamed(ctx, s.Key().String())
			if errors.Is(err, session.ErrNotFound) {
				return 0, nil
			}
			return 1, err
		},
		"by its user": func(ctx context.Context, m *session.Manager, s *session.Session) (int, error) {
			return m.EndSubject(ctx, s.Identity.Issuer, s.Identity.Subject)
		},
		"by its session at the provider": func(ctx context.Context, m *session.Manager, s *session.Session) (int, error) {
			return m.EndProviderSession(ctx, s.Identity.Issuer, s.Identity.ProviderSession)
		},
		"by its age": func(ctx context.Context, m *session.Manager, _ *session.Session) (int, error) {
			return m.EndBefore(ctx, time.Now())
		},
	}
}

// A session that an operator ends must be over, whatever its user does at that
// moment: a change of its id copies it, a refresh writes it, a use touches it. The
// revocation comes before every single call of the store in turn.
func TestASessionThatIsRevokedInTheMiddleOfSomethingDoesNotComeBack(t *testing.T) {
	acts := map[string]func(m *meeting, s *session.Session) error{
		"while its id changes": func(m *meeting, s *session.Session) error {
			_, _, err := m.user.Rotate(m.t.Context(), s.Key(), nil)
			return err
		},
		"while it is refreshed": func(m *meeting, s *session.Session) error {
			_, err := m.way.Update(m.t.Context(), s.Key(), func(c *session.Session) error {
				c.SealedTokens = new([]byte("refreshed"))
				return nil
			})
			return err
		},
		"while it is touched": func(m *meeting, s *session.Session) error {
			return m.way.Touch(m.t.Context(), s.Key(), time.Now())
		},
	}
	for doing, act := range acts {
		for how, end := range ways() {
			t.Run(doing+", "+how, func(t *testing.T) {
				for step, more := 1, true; more; step++ {
					synctest.Test(t, func(t *testing.T) { more = revokeBefore(t, step, act, end) })
				}
			})
		}
	}
}

// revokeBefore ends a session before the nth step of an act. It returns false where
// the act has fewer.
func revokeBefore(t *testing.T, step int, act func(*meeting, *session.Session) error, end func(context.Context, *session.Manager, *session.Session) (int, error)) (more bool) {
	t.Helper()
	m := newMeeting(t)
	s, _, err := m.start()
	if err != nil {
		t.Fatal(err)
	}
	pass(time.Millisecond)
	ended, happened := 0, false
	m.way.calls, m.way.before = 0, step
	m.way.act = func() {
		happened = true
		if ended, err = end(t.Context(), m.operator, s); err != nil {
			t.Fatal(err)
		}
	}
	done := act(m, s)
	if !happened {
		return false
	}
	if done != nil && !errors.Is(done, session.ErrNotFound) {
		t.Errorf("before step %d: %v", step, done)
	}
	if left := m.left(); ended > 0 && len(left) != 0 {
		t.Errorf("before step %d: %d ended, and %d go on", step, ended, len(left))
	} else if ended == 0 && len(left) != 1 {
		t.Errorf("before step %d: none was found to end, and %d go on", step, len(left))
	}
	return true
}

// Of the sign-ins that meet the end of all sessions that began before now, those
// survive that began later.
func TestASignInWhileAllSessionsAreRevokedSurvivesOnlyIfItBeganLater(t *testing.T) {
	for step, more := 1, true; more; step++ {
		synctest.Test(t, func(t *testing.T) { more = signInBefore(t, step) })
	}
}

// signInBefore signs in, and has everything ended before the nth step of that. It
// returns false where there are fewer.
func signInBefore(t *testing.T, step int) (more bool) {
	t.Helper()
	m := newMeeting(t)
	var before time.Time
	m.way.before = step
	m.way.act = func() {
		pass(time.Millisecond)
		before = time.Now()
		if _, err := m.operator.EndBefore(t.Context(), before); err != nil {
			t.Fatal(err)
		}
	}
	_, _, err := m.start()
	if before.IsZero() {
		return false
	}
	for _, l := range m.left() {
		if l.CreatedAt().Before(before) {
			t.Errorf("before step %d: a session that began earlier goes on", step)
		}
	}
	if err == nil {
		t.Errorf("before step %d: the sign-in of a session that is over succeeded", step)
	}
	// Whoever tries again is let in.
	if _, _, err := m.start(); err != nil || len(m.left()) != 1 {
		t.Errorf("the sign-in after that: %v", err)
	}
	return true
}

// The same with many at once, for the race detector and for what nobody thought of.
func TestRevocationsMeetEverythingThatSessionsDo(t *testing.T) {
	for how, end := range ways() {
		if how == "by its id" { // ids change here all the time
			continue
		}
		t.Run(how, func(t *testing.T) {
			for range 15 {
				synctest.Test(t, func(t *testing.T) {
					m := newMeeting(t)
					m.way.before = -1
					var all sync.WaitGroup
					var revoked atomic.Int64 // when, in nanoseconds
					begin := make(chan struct{})
					for i := range 8 {
						s, _, err := m.operator.Start(t.Context(), session.SignIn{Identity: alice(), Provider: "test", ProviderSession: "sid", Tokens: []byte("x")}, nil)
						if err != nil {
							t.Fatal(err)
						}
						all.Go(func() {
							<-begin
							for range 20 {
								fresh, _, err := m.operator.Rotate(t.Context(), s.Key(), func(c *session.Session) error {
									c.Identity.Name = strconv.Itoa(i)
									return nil
								})
								if err != nil {
									return // ended
								}
								s = fresh
								_ = m.way.Store.Touch(t.Context(), s.Key(), time.Now())
								_, _ = m.way.Store.Update(t.Context(), s.Key(), func(c *session.Session) error { c.Identity.ACR = "x"; return nil })
							}
						})
					}
					one := m.left()[0].Session
					pass(time.Millisecond)
					all.Go(func() {
						<-begin
						revoked.Store(time.Now().UnixNano())
						if _, err := end(t.Context(), m.operator, one); err != nil {
							t.Error(err)
						}
					})
					close(begin)
					all.Wait()
					for _, l := range m.left() {
						if l.Created < revoked.Load() {
							t.Fatalf("a session that began %v before the revocation goes on", time.Duration(revoked.Load()-l.Created))
						}
					}
				})
			}
		})
	}
}
