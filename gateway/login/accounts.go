package login

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/gateway/identity"
)

// KnownAccount reports whether a users provider has an account of that name.
// Development identities have no password and are none.
func (s *Service) KnownAccount(username string) bool {
	for _, u := range s.accounts {
		if u.has(username) {
			return true
		}
	}
	return false
}

// VerifyAccount proves a password against the first users provider that has an
// account of that name. It starts no session and is no sign-in.
// ErrWrongPassword is a definite no; any other error, such as of too many hashes
// being computed, means that it could not be judged; *LockedOut that it was not,
// after too many wrong ones. An unknown name takes as long as a wrong password.
// address is the client's; see Options.ClientAddr.
//
// Programs that send passwords get half of the turns at hashing, so that a flood
// of wrong ones leaves the sign-in page the other half.
func (s *Service) VerifyAccount(ctx context.Context, username, password, address string) (*identity.Identity, error) {
	if len(s.accounts) == 0 {
		return nil, ErrWrongPassword
	}
	u := s.accountsOf(username)
	if wait := s.lockout.of(u.name(), username, address).closed(); wait > 0 {
		return nil, &LockedOut{Wait: wait} // without waiting for a turn
	}
	if err := s.programs.take(ctx); err != nil {
		return nil, err
	}
	defer s.programs.release()
	return s.guarded(ctx, u, username, password, address)
}

// LockedOut returns how long no password of this account, or from this address,
// is judged, or 0. Who remembers passwords that were right asks it first, or
// what it remembers could be guessed at.
func (s *Service) LockedOut(username, address string) time.Duration {
	if len(s.accounts) == 0 {
		return 0
	}
	return s.lockout.of(s.accountsOf(username).name(), username, address).closed()
}

// accountsOf returns the provider that judges a name: the first that has it.
func (s *Service) accountsOf(username string) *users {
	for _, u := range s.accounts {
		if u.has(username) {
			return u
		}
	}
	return s.accounts[0]
}

// AccountsGeneration changes whenever a file of accounts was read again: what
// was proven before may no longer hold.
func (s *Service) AccountsGeneration() uint64 {
	var sum uint64
	for _, u := range s.accounts {
		u.current()
		sum += u.generation.Load()
	}
	return sum
}

func (u *users) has(username string) bool {
	_, known := u.current().byName[username]
	return known
}
