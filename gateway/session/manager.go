package session

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/identity"
)

// Definite refusals of the Manager, besides ErrNotFound. Any error that is
// none of them means that the store could not answer.
var (
	// ErrIdle: the session was not used for longer than its idle timeout.
	ErrIdle = errors.New("session: idle for too long")
	// ErrAmbiguous: the request carries two different live sessions, and
	// choosing one would let whoever can plant a cookie choose the user.
	ErrAmbiguous = errors.New("session: two live sessions on one request")
)

// Options are what a Manager needs.
type Options struct {
	Store   Store
	Keyring *Keyring
	Server  config.Server
	Session config.Session
	// Records remember whose sessions were ended until when, so that one that is made
	// at that moment does not slip through. May be nil.
	Records Records
	// Activity is what is known of when sessions were used, which other Managers
	// over the same Store can share; the caller closes it. Nil gives the Manager one
	// of its own, which ends with it.
	Activity *Activity
	// TouchFailed hears of activity that could not be written; may be nil. With an
	// Activity it is not used.
	TouchFailed func(error)
}

// Manager issues, reads, rotates and ends sessions. It is safe for concurrent
// use. Close flushes what it knows of activity.
type Manager struct {
	store    Store
	records  Records
	ring     *Keyring
	cookies  *Cookies
	idle     time.Duration
	absolute time.Duration
	limit    limit
	activity *Activity
	own      bool     // the Activity
	renewer  *renewer // nil until Renewing
}

// NewManager starts a Manager over a store, which it does not own.
func NewManager(o Options) *Manager {
	activity := o.Activity
	if activity == nil {
		activity = NewActivity(o.Store, o.TouchFailed)
	}
	activity.Follow(o.Session.IdleTimeout)
	return &Manager{
		store:    o.Store,
		records:  o.Records,
		ring:     o.Keyring,
		cookies:  NewCookies(o.Server, o.Session, o.Keyring),
		idle:     o.Session.IdleTimeout,
		absolute: o.Session.AbsoluteTimeout,
		limit:    limit{o.Session.MaxPerUser, o.Session.WhenFull == config.WhenFullRefuse},
		activity: activity,
		own:      o.Activity == nil,
	}
}

// Close ends the renewing of tokens, with patience for what is under way, and
// writes the activity that is still to be written. The store stays open.
func (m *Manager) Close() {
	m.renewer.close()
	if m.own {
		m.activity.Close()
	}
}

// Active returns how many sessions were used here within the last minute, or
// quarter of a short idle timeout.
func (m *Manager) Active() int { return int(m.activity.toucher.recent.Load()) }

// Cookies returns the codec of the session cookie.
func (m *Manager) Cookies() *Cookies { return m.cookies }

// Keyring returns the ring that seals for this gateway.
func (m *Manager) Keyring() *Keyring { return m.ring }

// Authenticate finds the one live session among the candidates. active says
// whether this request counts as activity and so slides the idle timeout.
//
// It returns ErrNotFound, ErrIdle or ErrAmbiguous as definite refusals. Any
// other error means that the store could not answer, even where another
// candidate was found: the answer might have been ErrAmbiguous.
func (m *Manager) Authenticate(ctx context.Context, c *Candidates, active bool) (*Session, error) {
	if c.overflow {
		return nil, ErrAmbiguous
	}
	now := time.Now()
	var live *Session
	refusal := ErrNotFound
	for i := range c.n {
		s, err := m.lookUp(ctx, c.ids[i].Key(), now)
		switch {
		case err == nil && live != nil:
			return nil, ErrAmbiguous
		case err == nil:
			live = s
		case errors.Is(err, ErrIdle):
			refusal = ErrIdle
		case !errors.Is(err, ErrNotFound):
			return nil, err
		}
	}
	if live == nil {
		return nil, refusal
	}
	if active {
		m.activity.toucher.note(live, now)
	}
	return live, nil
}

// Live returns whom a session is of while it goes on, and ErrNotFound or ErrIdle
// when it is definitely over. Any other error means that the store could not
// answer. Asking is not activity.
func (m *Manager) Live(ctx context.Context, key Key) (*identity.Identity, error) {
	s, err := m.lookUp(ctx, key, time.Now())
	if err != nil {
		return nil, err
	}
	return s.Identity, nil
}

// lookUp returns the session if it is alive at now.
func (m *Manager) lookUp(ctx context.Context, key Key, now time.Time) (*Session, error) {
	s, err := m.store.Get(ctx, key)
	switch {
	case err == nil:
		m.activity.unread.over()
	case errors.Is(err, ErrNotFound):
		m.activity.unread.over()
		return nil, err
	default:
		if !errors.Is(err, context.Canceled) {
			m.activity.unread.failed()
		}
		return nil, err
	}
	if s.Expired(now) {
		return nil, ErrNotFound
	}
	if m.alive(s, now) {
		return s, nil
	}
	return m.lookAgain(ctx, s, now)
}

// idleTimeout is the shorter of what held at sign-in and what holds now.
func (m *Manager) idleTimeout(s *Session) time.Duration {
	if s.IdleTimeout > 0 {
		return min(s.IdleTimeout, m.idle)
	}
	return m.idle
}

// Expiry returns when the session ends without further activity, and when it
// ends whatever happens.
func (m *Manager) Expiry(ctx context.Context, s *Session) (idle, absolute time.Time, err error) {
	at, err := m.store.LastSeen(ctx, s.Key())
	if err != nil {
		return time.Time{}, time.Time{}, err
	}
	raise(&s.activity.seen, m.activity.toucher.lastUse(s.Key()))
	if seen := time.Unix(0, s.activity.seen.Load()); seen.After(at) {
		at = seen
	}
	idle = at.Add(m.idleTimeout(s))
	if idle.After(s.ExpiresAt()) {
		idle = s.ExpiresAt()
	}
	return idle, s.ExpiresAt(), nil
}

// SignIn is what a successful sign-in hands over.
type SignIn struct {
	Identity        *identity.Identity
	Provider        string
	ProviderSession string
	Client          Client
	Route           string    // name of the route that the sign-in is for; may be ""
	Tokens          []byte    // the provider's tokens in the clear; the Manager seals them
	AccessExpires   time.Time // of the access token among them; zero when unknown
	Renewable       bool      // a refresh token is among them

	// Continues is the session that this one takes the place of, after its user
	// has proven himself again: it keeps that one's beginning and end. May be nil.
	Continues *Session
}

// Start makes a session under a new id and ends those that the browser had, so
// that no id from before the sign-in is worth anything after it (session
// fixation, OWASP ASVS 5, 7.2.4). Where the user has as many sessions as he may,
// it ends the oldest, or returns ErrTooMany and changes nothing.
func (m *Manager) Start(ctx context.Context, in SignIn, previous *Candidates) (*Session, *http.Cookie, error) {
	if in.Identity == nil || in.Identity.Subject == "" {
		return nil, nil, errors.New("session: a session needs an identity with a subject")
	}
	now := time.Now()
	s := &Session{
		Provider:    in.Provider,
		Client:      in.Client,
		Route:       in.Route,
		Created:     now.UnixNano(),
		IdleTimeout: m.idle,
	}
	if len(in.Tokens) > 0 {
		s.Grant = newGrant(0, now, in.AccessExpires, in.Renewable)
	}
	id := *in.Identity
	id.ExpiresAt, id.ProviderSession = now.Add(m.absolute), in.ProviderSession
	s.Identity = &id
	if old := in.Continues; old != nil {
		s.Created, s.Identity.ExpiresAt = old.Created, old.ExpiresAt()
	}
	if err := m.checkRoom(ctx, s.Identity, previous); err != nil {
		return nil, nil, err
	}
	ck, err := m.create(ctx, s, in.Tokens)
	if err != nil {
		return nil, nil, err
	}
	if err := m.End(ctx, previous); err != nil {
		return nil, nil, errors.Join(err, m.store.Delete(ctx, s.Key()))
	}
	if err := m.makeRoom(ctx, s); err != nil {
		return nil, nil, errors.Join(err, m.store.Delete(ctx, s.Key()))
	}
	return s, ck, nil
}

// Rotate gives a live session a new id, and ends the old one: at every change
// of privilege. change may adjust the identity. The absolute timeout stays. A
// session that is ended meanwhile does not come back: ErrNotFound.
func (m *Manager) Rotate(ctx context.Context, key Key, change func(*Session) error) (*Session, *http.Cookie, error) {
	old, err := m.store.Get(ctx, key)
	if err != nil {
		return nil, nil, err
	}
	tokens, err := m.Tokens(ctx, key)
	if err != nil {
		return nil, nil, err
	}
	s := old.Clone()
	if change != nil {
		if err := change(s); err != nil {
			return nil, nil, err
		}
	}
	ck, err := m.create(ctx, s, tokens)
	if errors.Is(err, errOutlived) {
		err = ErrNotFound
	}
	if err != nil {
		return nil, nil, err
	}
	// Who ends it at this moment has not seen the new one: then nobody has it.
	n, err := m.store.DeleteKeys(ctx, key)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return nil, nil, errors.Join(err, m.store.Delete(ctx, s.Key()))
	}
	return s, ck, nil
}

// create keeps s under a new id.
func (m *Manager) create(ctx context.Context, s *Session, tokens []byte) (*http.Cookie, error) {
	var id ID
	rand.Read(id[:]) // never fails: crypto/rand ends the process rather than return weak bytes
	s.Identity.Ref, s.Identity.Memo, s.Version = id.Key(), new(identity.Memo), 1
	ck, keyID := m.cookies.issue(id)
	s.activity.marks.setCookieKey(uint16(keyID) + 1)
	s.SealedTokens = nil
	if len(tokens) > 0 {
		s.SealedTokens = new(m.ring.Seal(PurposeTokens, tokens, s.Identity.Ref[:]))
	}
	s.activity.seen.Store(time.Now().UnixNano())
	if err := m.store.Create(ctx, s); err != nil {
		return nil, fmt.Errorf("session: create: %w", err)
	}
	s.SealedTokens = nil
	if err := m.outlived(ctx, s); err != nil {
		return nil, errors.Join(err, m.store.Delete(ctx, s.Key()))
	}
	return ck, nil
}

// Tokens returns the provider's tokens of a session; nil when there are none.
func (m *Manager) Tokens(ctx context.Context, key Key) ([]byte, error) {
	sealed, err := m.store.Tokens(ctx, key)
	if err != nil || len(sealed) == 0 {
		return nil, err
	}
	return m.ring.Open(PurposeTokens, sealed, key[:])
}

// End ends every session that the request carries. Absent ones are no error.
func (m *Manager) End(ctx context.Context, c *Candidates) error {
	if c == nil {
		return nil
	}
	var errs []error
	for i := range c.n {
		errs = append(errs, m.store.Delete(ctx, c.ids[i].Key()))
	}
	return errors.Join(errs...)
}
