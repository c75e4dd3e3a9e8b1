package login

import (
	"context"
	"errors"
	"hash/maphash"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/identity"
)

// LockedOut is the answer to a password that is not judged, because too many
// were wrong for the same account or from the same address. Whether there is
// such an account, and whether the password is right, makes no difference to it.
type LockedOut struct { //nolint:errname // an answer, and an error only to travel as one
	Wait time.Duration // until the next one is judged
}

// Error implements error.
func (e *LockedOut) Error() string { return "login: locked out for " + e.Wait.String() }

// lockout counts wrong passwords, in the memory of this gateway: what nobody has
// proven writes nothing to a store. Several gateways therefore allow as many
// times more. It is safe for concurrent use.
//
// An attempt counts as wrong from its beginning and is taken back when it turns
// out otherwise, so that many at once are not more than many in turn.
type lockout struct {
	seed maphash.Seed // names are kept as hashes: people type passwords as names

	mu        sync.Mutex
	accounts  tallies
	addresses tallies
}

func newLockout(cfg config.Lockout) *lockout {
	return &lockout{
		seed:      maphash.MakeSeed(),
		accounts:  tallies{limit: cfg.Attempts, window: cfg.Window, all: map[uint64]*tally{}},
		addresses: tallies{limit: cfg.PerAddress, window: cfg.Window, all: map[uint64]*tally{}},
	}
}

// guess is one attempt at a password.
type guess struct {
	owner            *lockout
	account, address uint64
	addressed        bool // the client's address is known
}

// of names the attempt. The account need not exist.
func (l *lockout) of(provider, username, address string) guess {
	var h maphash.Hash
	h.SetSeed(l.seed)
	_, _ = h.WriteString(provider) // which has no zero byte in it; Write never fails
	_ = h.WriteByte(0)
	_, _ = h.WriteString(username)
	g := guess{owner: l, account: h.Sum64()}
	if network, ok := networkOf(address); ok {
		bytes := network.Addr().As16()
		g.address, g.addressed = maphash.Bytes(l.seed, bytes[:]), true
	}
	return g
}

// networkOf is what one client can choose his addresses in: all of IPv4, and
// the upper half of IPv6 (RFC 4291, section 2.5.1). Behind a unix socket there is
// no address, and nobody to tell apart.
func networkOf(address string) (netip.Prefix, bool) {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}, false
	}
	addr = addr.Unmap().WithZone("")
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	network, err := addr.Prefix(bits)
	return network, err == nil
}

// closed returns how long no password is judged, or 0.
func (g guess) closed() time.Duration {
	now := time.Now()
	g.owner.mu.Lock()
	defer g.owner.mu.Unlock()
	return g.wait(now)
}

func (g guess) wait(now time.Time) time.Duration {
	wait := g.owner.accounts.wait(g.account, now)
	if g.addressed {
		wait = max(wait, g.owner.addresses.wait(g.address, now))
	}
	return wait
}

// begin counts the attempt, or returns *LockedOut and counts nothing.
func (g guess) begin() error {
	now := time.Now()
	g.owner.mu.Lock()
	defer g.owner.mu.Unlock()
	if wait := g.wait(now); wait > 0 {
		return &LockedOut{Wait: wait}
	}
	g.owner.accounts.add(g.account, now)
	if g.addressed {
		g.owner.addresses.add(g.address, now)
	}
	return nil
}

// end tells how the attempt ended: nil is the right password, which clears the
// account but not what else came from the address.
func (g guess) end(err error) {
	now := time.Now()
	wrong := errors.Is(err, ErrWrongPassword)
	g.owner.mu.Lock()
	defer g.owner.mu.Unlock()
	switch {
	case wrong:
		g.owner.accounts.close(g.account, now)
	case err == nil:
		delete(g.owner.accounts.all, g.account)
	default: // it was not judged
		g.owner.accounts.takeBack(g.account)
	}
	if !g.addressed {
		return
	}
	if wrong {
		g.owner.addresses.close(g.address, now)
	} else {
		g.owner.addresses.takeBack(g.address)
	}
}

// provePassword judges the password of a form. What is locked out is not hashed.
func (s *Service) provePassword(r *http.Request, p passwords, username, password string) (*identity.Identity, error) {
	if _, ok := p.(*users); !ok {
		return p.verify(r.Context(), username, password)
	}
	return s.guarded(r.Context(), p, username, password, s.clientAddr(r))
}

func (s *Service) guarded(ctx context.Context, p passwords, username, password, address string) (*identity.Identity, error) {
	g := s.lockout.of(p.name(), username, address)
	if err := g.begin(); err != nil {
		return nil, err
	}
	who, err := p.verify(ctx, username, password)
	g.end(err)
	return who, err
}

// tooMany is the answer to a LockedOut, the same for every account.
func tooMany(reason, public string, wait time.Duration) *httperr.Error {
	e := refuse(http.StatusTooManyRequests, reason, public, nil)
	e.Header = httperr.RetryAfter(wait)
	return e
}

func lockedOut(locked *LockedOut) *httperr.Error {
	return tooMany(ReasonLockedOut, "There were too many wrong passwords. Wait before the next attempt.", locked.Wait)
}
