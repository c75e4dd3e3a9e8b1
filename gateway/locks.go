package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/admin"
	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/lock"
	"github.com/sallyport/sallyport/gateway/login"
)

// openLocks begins to follow the locks. Without open there are none.
func (c *core) openLocks(ctx context.Context, cfg *config.Config) {
	if !c.open {
		return
	}
	o := lock.Options{Feeds: c.feeds, Log: c.log.Named("locks")}
	if cfg.Session.Store == config.StoreValkey {
		// Sessions and tokens are believed for this long without the store; a lock must
		// not make that less. A follower hears at least once a second.
		o.MaxStaleness = max(cfg.Session.Cache.MaxStaleness, cfg.Tokens.Revocation.MaxStaleness) + time.Second
	}
	c.locks = lock.New(o)
	if cfg.Session.Store == config.StoreEmbedded {
		c.locks.ReadNow(ctx)
	}
	c.metrics.Locks(c.locks.Active)
	c.background = append(c.background, c.locks.Run)
}

// locked tells the service of sign-ins who is locked. Before somebody was proven,
// what is known of his address is enough: he can't get far without being asked for.
func locked(locks *lock.Locks, trusted *trust) login.Locked {
	if locks == nil {
		return nil
	}
	return func(r *http.Request, id *identity.Identity) (bool, string, error) {
		q := lock.Question{Identity: id}
		if locks.Any() {
			q.Address = trusted.addr(r)
		}
		if id == nil {
			found := locks.Now(&q)
			return found != nil, messageOf(found), nil
		}
		found, err := locks.Judge(r.Context(), &q)
		return found != nil, messageOf(found), err
	}
}

func messageOf(l *lock.Lock) string {
	if l == nil {
		return ""
	}
	return l.Message
}

// locker is the admin API's view of the locks.
type locker struct {
	cfg   *config.Config
	locks *lock.Locks
}

var _ admin.Locker = (*locker)(nil)

// shownAfter is for how long a lock is listed that is over.
const shownAfter = 24 * time.Hour

// Locks implements admin.Locker.
func (k *locker) Locks(ctx context.Context) ([]admin.Lock, error) {
	known, err := k.locks.List(ctx)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	var list []admin.Lock
	for i := range known {
		one := &known[i]
		if over := one.Over(now); over.IsZero() || now.Sub(over) < shownAfter {
			list = append(list, lockView(one, now))
		}
	}
	return list, nil
}

// Lock implements admin.Locker.
func (k *locker) Lock(ctx context.Context, w admin.LockWish, from netip.Addr) (admin.Lock, error) {
	one, problems := k.read(&w)
	if err := one.Check(time.Now()); err != nil && len(problems) == 0 {
		problems = strings.Split(err.Error(), "\n")
	}
	if len(problems) > 0 {
		return admin.Lock{}, &admin.LockFaultError{Problems: problems}
	}
	if risks := k.risks(&one, from); len(risks) > 0 && !w.Confirm {
		return admin.Lock{}, &admin.LockFaultError{Unconfirmed: true, Problems: risks}
	}
	made, err := k.locks.Set(ctx, one)
	if errors.Is(err, lock.ErrTooMany) {
		return admin.Lock{}, &admin.LockFaultError{Problems: []string{"there are as many locks as there can be: lift some"}}
	}
	if err != nil {
		return admin.Lock{}, err
	}
	view := lockView(made, time.Now())
	view.Warnings = k.warnings(made)
	return view, nil
}

// Unlock implements admin.Locker.
func (k *locker) Unlock(ctx context.Context, id string) (admin.Lock, error) {
	lifted, err := k.locks.Lift(ctx, id)
	if errors.Is(err, lock.ErrUnknown) {
		return admin.Lock{}, admin.ErrNothingSuch
	}
	if err != nil {
		return admin.Lock{}, err
	}
	return lockView(lifted, time.Now()), nil
}

func lockView(l *lock.Lock, now time.Time) admin.Lock {
	v := admin.Lock{
		ID: l.ID, State: string(l.StateAt(now)), On: l.String(), Reason: l.Reason, Message: l.Message,
		CreatedAt: l.Created, Until: l.Until, LiftedAt: l.Lifted,
		LockCriteria: admin.LockCriteria{
			Subject: l.Subject, Issuer: l.Issuer, Group: l.Group, ProviderSession: l.ProviderSession, Route: l.Route,
		},
	}
	if l.Address.IsValid() {
		v.Address = l.Address.String()
	}
	return v
}

// read makes a lock of a wish. Problems are what the operator is to mend.
func (k *locker) read(w *admin.LockWish) (one lock.Lock, problems []string) {
	one = lock.Lock{
		Criteria: lock.Criteria{
			Subject: w.Subject, Issuer: w.Issuer, Group: w.Group, ProviderSession: w.ProviderSession, Route: w.Route,
		},
		Reason: w.Reason, Message: w.Message, Until: w.Until,
	}
	if w.Address != "" {
		var err error
		if one.Address, err = lock.ParseAddress(w.Address); err != nil {
			problems = append(problems, "address: "+err.Error())
		}
	}
	if w.Issuer == "" && (w.Subject != "" || w.ProviderSession != "") {
		what := "subject"
		if w.Subject == "" {
			what = "provider_session"
		}
		switch issuers := k.issuers(); len(issuers) {
		case 1:
			one.Issuer = issuers[0]
		default:
			problems = append(problems, fmt.Sprintf("%s is unique only together with its issuer, and there are several: name the issuer too, one of %s", what, strings.Join(issuers, ", ")))
		}
	}
	if w.Route != "" && !slices.ContainsFunc(k.cfg.Routes, func(r config.Route) bool { return r.Name == w.Route }) {
		var names []string
		for _, r := range k.cfg.Routes {
			names = append(names, r.Name)
		}
		problems = append(problems, fmt.Sprintf("there is no route %q: name one of %s", w.Route, strings.Join(names, ", ")))
	}
	return one, problems
}

// risks are what an operator may not have meant.
func (k *locker) risks(l *lock.Lock, from netip.Addr) (risks []string) {
	a := l.Address
	alone := l.Criteria == lock.Criteria{Address: a}
	least := 8 // bits of a network of the size of a continent, and of IPv6 16
	if a.IsValid() && a.Addr().Is6() {
		least = 16
	}
	if alone && a.IsValid() && a.Bits() < least {
		risks = append(risks, fmt.Sprintf("%s is everybody, or nearly: confirm that it is meant", a))
	}
	if alone && from.IsValid() && a.Contains(from) {
		risks = append(risks, fmt.Sprintf("%s is where you are yourself (%s): confirm that it is meant", a, from))
	}
	if issuers := k.issuers(); len(issuers) == 1 && l.Criteria == (lock.Criteria{Issuer: issuers[0]}) {
		risks = append(risks, l.Issuer+" is the issuer of all users: confirm that it is meant")
	}
	return risks
}

// warnings say why a lock may match nothing.
func (k *locker) warnings(l *lock.Lock) (warnings []string) {
	if issuers := k.issuers(); l.Issuer != "" && l.Issuer != ownIssuerName(k.cfg) && !slices.Contains(issuers, l.Issuer) {
		warnings = append(warnings, fmt.Sprintf("no issuer of this configuration is called %q; known are %s", l.Issuer, strings.Join(issuers, ", ")))
	}
	return warnings
}

// issuers are those that can vouch for users, as identities name them, without the
// gateway itself.
func (k *locker) issuers() []string {
	var all []string
	for i := range k.cfg.Login.Providers {
		all = append(all, k.cfg.Login.Providers[i].UserIssuer())
	}
	for _, i := range k.cfg.Tokens.Issuers {
		all = append(all, i.Issuer)
	}
	for i := range k.cfg.Tokens.Introspection {
		all = append(all, k.cfg.Tokens.Introspection[i].UserIssuer())
	}
	for _, r := range k.cfg.Routes {
		if slices.Contains(r.Auth, config.AuthAPIKey) {
			all = append(all, authn.APIKeyIssuer)
		}
		if slices.Contains(r.Auth, config.AuthClientCert) {
			all = append(all, authn.ClientCertIssuer)
		}
	}
	slices.SortFunc(all, cmp.Compare)
	return slices.Compact(all)
}
