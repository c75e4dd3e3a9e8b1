package login

import (
	"context"
	"errors"
	"time"

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
