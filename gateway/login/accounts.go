package login

import (
	"context"

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
// being computed, means that it could not be judged. An unknown name takes as
// long as a wrong password.
//
// Programs that send passwords get half of the turns at hashing, so that a flood
// of wrong ones leaves the sign-in page the other half.
func (s *Service) VerifyAccount(ctx context.Context, username, password string) (*identity.Identity, error) {
	if len(s.accounts) == 0 {
		return nil, ErrWrongPassword
	}
	if err := s.programs.take(ctx); err != nil {
		return nil, err
	}
	defer s.programs.release()
	for _, u := range s.accounts {
		if u.has(username) {
			return u.verify(ctx, username, password)
		}
	}
	return s.accounts[0].verify(ctx, username, password)
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
