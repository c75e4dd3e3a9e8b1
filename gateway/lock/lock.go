// Package lock keeps what operators have locked: whatever a lock matches is
// refused by every gateway from that moment on, with every kind of credential, at
// new sign-ins too, until the lock is lifted or runs out. Locks are entries of a
// feed of the store, and all of them are in memory, so that judging a request
// costs no call. What a refusal looks like is the business of others.
package lock

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Criteria say what a lock matches: what has all of those that are given. At least
// one is. Each is compared as a whole with what was proven.
type Criteria struct {
	Issuer          string // who vouches for the user
	Subject         string // his name there; unique only together with Issuer, which is needed
	Group           string
	ProviderSession string       // the provider's id of its session (sid), with Issuer
	Address         netip.Prefix // of the client, seen through trusted proxies
	Route           string       // its name; a public one as well
}

// Lock is one lock.
type Lock struct {
	ID string // random, not secret
	Criteria
	// Partial: there is more to it that this release can't read. It is on everything
	// that the rest of it is on.
	Partial bool

	Reason  string // why, for operators
	Message string // what those read whom it refuses; may be empty

	Created time.Time
	Until   time.Time // from then on it matches nothing; zero: until it is lifted
	Lifted  time.Time // zero where nobody has lifted it
}

// State is what has become of a lock.
type State string

// The states.
const (
	Active  State = "active"
	Lifted  State = "lifted"
	Expired State = "expired"
)

// StateAt returns the state at a time.
func (l *Lock) StateAt(now time.Time) State {
	switch {
	case !l.Lifted.IsZero():
		return Lifted
	case !l.Until.IsZero() && !now.Before(l.Until):
		return Expired
	}
	return Active
}

// Personal reports whether the lock is on somebody who was proven, so that nobody
// can be told whether it matches before that.
func (c *Criteria) Personal() bool {
	return c.Issuer != "" || c.Group != "" || c.Subject != "" || c.ProviderSession != ""
}

// unreadable reports whether nothing is left that says what the lock is on.
func (l *Lock) unreadable() bool { return l.Partial && len(l.parts()) == 0 }

// String puts into words for operators what the lock is on.
func (l *Lock) String() string {
	var parts []string
	for _, one := range l.parts() {
		parts = append(parts, one[0]+" "+one[1])
	}
	if l.Partial {
		parts = append(parts, "something that this release can't read")
	}
	return strings.Join(parts, ", ")
}

func (c *Criteria) parts() (given [][2]string) {
	for _, one := range [...][2]string{
		{"subject", c.Subject},
		{"issuer", c.Issuer},
		{"group", c.Group},
		{"provider session", c.ProviderSession},
		{"address", c.addressText()},
		{"route", c.Route},
	} {
		if one[1] != "" {
			given = append(given, one)
		}
	}
	return given
}

// Kind names what the lock is on, for metrics: one word of a closed set.
func (l *Lock) Kind() string {
	switch given, c := l.parts(), &l.Criteria; {
	case l.Partial:
		return "unreadable"
	case c.Subject != "" && len(given) == 2:
		return "subject"
	case c.ProviderSession != "" && len(given) == 2:
		return "provider_session"
	case len(given) == 1:
		return given[0][0]
	}
	return "several"
}

// Kinds are all that Kind returns.
func Kinds() []string {
	return []string{"subject", "group", "issuer", "provider_session", "address", "route", "several", "unreadable"}
}

func (c *Criteria) addressText() string {
	if !c.Address.IsValid() {
		return ""
	}
	if c.Address.IsSingleIP() {
		return c.Address.Addr().String()
	}
	return c.Address.String()
}

// ParseAddress reads an address or a network as an operator writes it. IPv4 inside
// of IPv6 becomes IPv4, which is how clients are seen.
func ParseAddress(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q is no address: write an IP address such as 203.0.113.7, or a network such as 203.0.113.0/24 or 2001:db8::/32", text)
		}
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, fmt.Errorf("%q has IPv4 and IPv6 in one network: write one lock for each", text)
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("%q is an address within a network: write %s for the network, or %s for the address alone", text, p.Masked(), p.Addr())
	}
	return p, nil
}

// What a lock may hold. Every gateway holds every lock.
const (
	MaxText  = 512 // of one criterion, and of Reason and Message, in bytes
	MaxLocks = 10_000
)

// Check returns what is wrong with a lock that is to be made, all of it.
func (l *Lock) Check(now time.Time) error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(l.parts()) == 0 {
		fault("name what to lock: subject, group, issuer, provider_session, address or route")
	}
	if l.Subject != "" && l.Issuer == "" {
		fault("subject is unique only together with its issuer: name the issuer too")
	}
	if l.ProviderSession != "" && l.Issuer == "" {
		fault("provider_session is unique only together with its issuer: name the issuer too")
	}
	if strings.TrimSpace(l.Reason) == "" {
		fault("reason is missing: say why, for those who find the lock later")
	}
	for _, one := range [...]struct{ name, text string }{
		{"subject", l.Subject},
		{"issuer", l.Issuer},
		{"group", l.Group},
		{"provider_session", l.ProviderSession},
		{"route", l.Route},
		{"reason", l.Reason},
		{"message", l.Message},
	} {
		switch {
		case len(one.text) > MaxText:
			fault("%s is longer than %d bytes", one.name, MaxText)
		case !utf8.ValidString(one.text) || strings.ContainsFunc(one.text, unicode.IsControl):
			fault("%s has a character that can't be shown", one.name)
		}
	}
	if !l.Until.IsZero() && !l.Until.After(now) {
		fault("until is in the past: a lock begins at once and ends then")
	}
	return errors.Join(errs...)
}

// newID is 60 bits in letters and digits that a person can read out.
func newID() string { return strings.ToLower(rand.Text()[:12]) }
