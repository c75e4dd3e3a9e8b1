package lock

import (
	"net/netip"
	"slices"
	"time"

	"github.com/sallyport/sallyport/gateway/identity"
)

// Question is what a request, a sign-in or an open stream is judged by. The zero
// value of what is not known matches no criterion.
type Question struct {
	Route   string
	Address netip.Addr // without a zone, IPv4 as such
	// Identity is who was proven; nil before that, and for nobody.
	Identity *identity.Identity
	// Own is the issuer of the tokens that the gateway signs, whose claim idp says who
	// has proven the user; may be empty.
	Own string

	// by vouches for the user beside the issuer of Identity; "" = nobody.
	by string
}

// index finds the locks that match. It is immutable. Each lock is found by one of
// its criteria, the one that the fewest requests share, and the others are compared.
type index struct {
	subjects, sids map[pair][]*Lock
	groups         map[string][]*Lock
	issuers        map[string][]*Lock
	networks       map[netip.Prefix][]*Lock
	lengths        []length // of the networks, each once
	routes         map[string][]*Lock
	partial        []*Lock // by what can be read of them; each is compared
	unreadable     []*Lock // they may be on anything

	none  bool // there is nothing to look for
	whole bool // the feed was read as a whole
}

type pair struct{ issuer, name string }

// length is how many bits some network has.
type length struct {
	bits int
	v4   bool
}

func newIndex(active []*Lock, whole bool) *index {
	x := &index{
		none: len(active) == 0, whole: whole,
		subjects: map[pair][]*Lock{}, sids: map[pair][]*Lock{}, groups: map[string][]*Lock{}, issuers: map[string][]*Lock{},
		networks: map[netip.Prefix][]*Lock{}, routes: map[string][]*Lock{},
	}
	for _, l := range active {
		switch {
		case l.unreadable():
			x.unreadable = append(x.unreadable, l)
		case l.Partial:
			x.partial = append(x.partial, l)
		case l.ProviderSession != "":
			key := pair{l.Issuer, l.ProviderSession}
			x.sids[key] = append(x.sids[key], l)
		case l.Subject != "":
			key := pair{l.Issuer, l.Subject}
			x.subjects[key] = append(x.subjects[key], l)
		case l.Group != "":
			x.groups[l.Group] = append(x.groups[l.Group], l)
		case l.Issuer != "":
			x.issuers[l.Issuer] = append(x.issuers[l.Issuer], l)
		case l.Address.IsValid():
			x.networks[l.Address] = append(x.networks[l.Address], l)
			if one := (length{l.Address.Bits(), l.Address.Addr().Is4()}); !slices.Contains(x.lengths, one) {
				x.lengths = append(x.lengths, one)
			}
		default:
			x.routes[l.Route] = append(x.routes[l.Route], l)
		}
	}
	return x
}

// find returns a lock that matches, or nil.
func (x *index) find(q *Question, now time.Time) *Lock {
	if x.none {
		return nil
	}
	if l := first(x.routes[q.Route], q, now); l != nil {
		return l
	}
	if l := x.at(q, now); l != nil {
		return l
	}
	if l := first(x.partial, q, now); l != nil {
		return l
	}
	id := q.Identity
	if id == nil {
		return nil
	}
	for _, issuer := range [...]string{id.Issuer, q.by} {
		if issuer == "" {
			continue
		}
		if l := first(x.subjects[pair{issuer, id.Subject}], q, now); l != nil {
			return l
		}
		if l := first(x.issuers[issuer], q, now); l != nil {
			return l
		}
		if id.ProviderSession == "" {
			continue
		}
		if l := first(x.sids[pair{issuer, id.ProviderSession}], q, now); l != nil {
			return l
		}
	}
	if len(x.groups) > 0 {
		for _, group := range id.Groups {
			if l := first(x.groups[group], q, now); l != nil {
				return l
			}
		}
	}
	return nil
}

// at looks for the networks that the client is in: for each length that some
// network has, there is one that could be it.
func (x *index) at(q *Question, now time.Time) *Lock {
	if !q.Address.IsValid() {
		return nil
	}
	for _, one := range x.lengths {
		if one.v4 != q.Address.Is4() {
			continue
		}
		network, err := q.Address.Prefix(one.bits)
		if err != nil {
			continue // a length that its family does not have
		}
		if l := first(x.networks[network], q, now); l != nil {
			return l
		}
	}
	return nil
}

func first(candidates []*Lock, q *Question, now time.Time) *Lock {
	for _, l := range candidates {
		if l.matches(q) && l.StateAt(now) == Active {
			return l
		}
	}
	return nil
}

// matches reports whether everything that the lock asks for is there.
func (c *Criteria) matches(q *Question) bool {
	if c.Route != "" && c.Route != q.Route || c.Address.IsValid() && !c.Address.Contains(q.Address) {
		return false
	}
	if !c.Personal() {
		return true
	}
	id := q.Identity
	return id != nil &&
		(c.Issuer == "" || c.Issuer == id.Issuer || c.Issuer == q.by) &&
		(c.Subject == "" || c.Subject == id.Subject) &&
		(c.ProviderSession == "" || c.ProviderSession == id.ProviderSession) &&
		(c.Group == "" || slices.Contains(id.Groups, c.Group))
}
