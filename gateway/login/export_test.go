package login

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/pages"
)

// What the tests in package login_test must see inside.

// ReturnTo is returnTo.
func (s *Service) ReturnTo(raw string) (string, error) { return s.returnTo(raw) }

// StateStarted makes the state of a sign-in that began at a time, and the value
// of the login cookie that goes with it.
func (s *Service) StateStarted(provider, origin, returnTo string, started time.Time) (state, cookie string) {
	a := s.newAttempt(origin, returnTo)
	a.Started = started.Unix()
	state, err := s.sealState(a, provider)
	if err != nil {
		return "", ""
	}
	return state, string(a.Nonce)
}

// ParseLoginCookie reads a login cookie and writes it again.
func ParseLoginCookie(value string) (nonces []string, again string) {
	var p pending
	p.parse(value, time.Now())
	for _, n := range p.nonces {
		nonces = append(nonces, string(n))
	}
	return nonces, p.String()
}

// LoginMark is a mark in the login cookie, of something that happened before.
func LoginMark(kind byte, target string, ago time.Duration) string {
	m := newMark(kind, target)
	m.at -= int64(ago / time.Second)
	return m.String()
}

// OpenState is openState.
func (s *Service) OpenState(state, provider string) (returnTo string, err error) {
	a, err := s.openState(state, provider)
	if err != nil {
		return "", err
	}
	return a.ReturnTo, nil
}

// PasswordMatches parses a hash and compares.
func PasswordMatches(hash, password string) (bool, error) {
	h, err := parseHash(hash)
	if err != nil {
		return false, err
	}
	return h.matches(password), nil
}

// ParseHash only parses.
func ParseHash(hash string) error {
	h, err := parseHash(hash)
	if (h == nil) != (err != nil) {
		return err
	}
	return err
}

// CheckFormToken is checkFormToken.
func (s *Service) CheckFormToken(text string, bound []byte) bool {
	return s.checkFormToken(text, bound)
}

// ParseAccounts says how many users a file holds.
func ParseAccounts(data []byte) (int, error) {
	all, err := parseAccounts(data)
	if err != nil {
		return 0, err
	}
	return len(all.list), nil
}

// CheckPasswordWhileBusy is a check that finds every slot taken.
func CheckPasswordWhileBusy(ctx context.Context) (busy bool, err error) {
	slots := make(hashSlots, 1)
	slots <- struct{}{}
	_, err = slots.check(ctx, nil, "x")
	return errors.Is(err, errBusy), err
}

// KeepProgramsBusy takes every turn that programs have at hashing.
func (s *Service) KeepProgramsBusy() {
	for range cap(s.programs) {
		s.programs <- struct{}{}
	}
}

// ParseFields is parseFields.
func ParseFields(body string) ([]pages.FormField, bool) { return parseFields(body) }

// Lockout is a lockout of its own.
type Lockout struct{ l *lockout }

// NewLockout is newLockout.
func NewLockout(cfg config.Lockout) Lockout { return Lockout{newLockout(cfg)} }

// Try makes an attempt that ends as it is told to.
func (l Lockout) Try(username, address string, end error) error {
	g := l.l.of("local", username, address)
	if err := g.begin(); err != nil {
		return err
	}
	g.end(end)
	return nil
}

// Begin makes an attempt that has not ended.
func (l Lockout) Begin(username, address string) error {
	return l.l.of("local", username, address).begin()
}

// Remembered is how much is remembered.
func (l Lockout) Remembered() int { return max(len(l.l.accounts.all), len(l.l.addresses.all)) }

// MaxTallies is maxTallies.
const MaxTallies = maxTallies

// Flood is a flood of its own.
type Flood struct{ flood }

// Take is take.
func (f *Flood) Take(address string) time.Duration { return f.take(address) }

// Remembered is how many addresses are remembered.
func (f *Flood) Remembered() int { return len(f.full) }

// The bounds of a Flood.
const (
	FloodBurst = floodBurst
	MaxFlood   = maxFlood
)

// ReadWish reads a wish, and says it again.
func ReadWish(q url.Values) (up StepUp, again url.Values, err error) {
	w, err := readWish(q)
	again = url.Values{}
	w.query(again)
	return w.stepUp(), again, err
}
