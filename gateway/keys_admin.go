package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/admin"
	"github.com/sallyport/sallyport/gateway/assertion"
	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/sealing"
	"github.com/sallyport/sallyport/gateway/session"
)

// Reasons for which a key stays.
const (
	ReasonKeyNeeded = "key_needed"
	ReasonKeyInUse  = "key_in_use"
	ReasonNoSuchKey = "no_such_key"
)

// retireLimit bounds the look at every session that retiring a key takes.
const retireLimit = 5 * time.Minute

// keysOf are what operators can do with the keys that sign and with those that seal.
func (c *core) keysOf(s *signing) admin.KeysOptions {
	note := func(r *http.Request, act, key string, count int, err error) {
		line := admin.ActOf(r, act, err)
		if refused, ok := errors.AsType[*httperr.Error](err); ok && refused.Reason != "" {
			line.Reason = refused.Reason
		}
		line.Key, line.Count = key, count
		c.audit.Record(line)
	}
	retired := func(act string, do func(context.Context, admin.RetireKey) (admin.RetiredKey, error)) func(*http.Request, admin.RetireKey) (admin.RetiredKey, error) {
		return func(r *http.Request, wish admin.RetireKey) (admin.RetiredKey, error) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), retireLimit)
			defer cancel()
			done, err := do(ctx, wish)
			note(r, act, wish.Key, done.SignedOut, err)
			return done, err
		}
	}
	return admin.KeysOptions{
		List: func(r *http.Request) admin.AllKeys { return c.allKeys(r.Context(), s) },
		RotateSigning: func(r *http.Request, now bool) error {
			err := ringError(s.ring.Rotate(r.Context(), now))
			note(r, "rotate_signing_key", "", 0, err)
			return err
		},
		RotateSealing: func(r *http.Request) error {
			err := sealingError("", c.keyring.Rotate(r.Context()))
			note(r, "rotate_sealing_key", string(c.sealing.Sealing()), 0, err)
			return err
		},
		RetireSigning: retired("retire_signing_key", func(ctx context.Context, wish admin.RetireKey) (admin.RetiredKey, error) {
			return admin.RetiredKey{Key: wish.Key}, retireError(wish.Key, s.ring.Retire(ctx, wish.Key, wish.Force))
		}),
		RetireSealing: retired("retire_sealing_key", c.retireSealing),
	}
}

func (c *core) sealingKeys(s sealing.Status) admin.SealingKeys {
	list := admin.SealingKeys{Source: "store", Files: s.Files, Keys: make([]admin.SealingKey, len(s.Keys)), Gateways: make([]admin.KeyHolder, len(s.Gateways))}
	if len(s.Files) > 0 {
		list.Source = "files"
	}
	for i, g := range s.Gateways {
		holder := admin.KeyHolder{Name: g.Name, Knows: make([]string, len(g.Knows)), Seals: string(g.Seals), Seen: g.Seen.UTC().Truncate(time.Second), Self: g.Self}
		for j, name := range g.Knows {
			holder.Knows[j] = string(name)
		}
		list.Gateways[i] = holder
	}
	for i, k := range s.Keys {
		key := admin.SealingKey{
			ID: string(k.Name), State: string(k.State), File: k.File,
			Since: wireTime(k.Since), StoppedAt: wireTime(k.Stopped), Until: wireTime(k.Until),
		}
		for _, g := range s.Gateways {
			if !slices.Contains(g.Knows, k.Name) {
				key.Unknown = append(key.Unknown, g.Name)
			}
		}
		list.Keys[i] = key
	}
	return list
}

func (c *core) retireSealing(ctx context.Context, wish admin.RetireKey) (admin.RetiredKey, error) {
	name := session.KeyName(wish.Key)
	done := admin.RetiredKey{Key: wish.Key}
	for _, k := range c.keyring.Known().Keys {
		if k.Name == name {
			done.RemoveFrom = k.File
		}
	}
	use, err := c.keyring.Retire(ctx, name, wish.Force)
	if err != nil {
		return admin.RetiredKey{}, sealingError(wish.Key, err)
	}
	done.SignedOut, done.Resealed = use.Sessions, use.Resealed
	for _, id := range use.Users {
		done.Users = append(done.Users, admin.KeyUser{Issuer: id.Issuer, Subject: id.Subject})
	}
	return done, nil
}

func conflict(reason, public string) error {
	return &httperr.Error{Code: http.StatusConflict, Reason: reason, Public: public}
}

// sealingError tells an operator what is in the way. Nil stays nil.
func sealingError(key string, err error) error {
	if needed, ok := errors.AsType[*sealing.NeededError](err); ok {
		what := "sign-ins under way"
		if n := needed.Use.Sessions; n > 0 {
			what = fmt.Sprintf("%d sessions", n)
			if n == 1 {
				what = "1 session"
			}
			what += ", of " + people(&needed.Use)
		}
		return conflict(ReasonKeyNeeded, fmt.Sprintf("The key %.32q is needed until %s, by %s. To force it signs these out.",
			key, needed.Until.UTC().Truncate(time.Second).Add(time.Second).Format(time.RFC3339), what))
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sealing.ErrFiles):
		return conflict("keys_in_files", "The sealing keys are the files of session.keys_files. Put a new key before the others, on every gateway: "+
			"`sallyport keys rotate sealing --file FILE` does so. None seals with it before all know it.")
	case errors.Is(err, sealing.ErrCrowded):
		return conflict("too_many_keys", "There are too many sealing keys: retire old ones first, which the list shows.")
	}
	return retireError(key, err)
}

// people names some of the users of sessions.
func people(use *session.KeyUse) string {
	const some = 3
	var names []string
	for _, id := range use.Users[:min(some, len(use.Users))] {
		names = append(names, fmt.Sprintf("%.64q", id.Subject))
	}
	text := strings.Join(names, ", ")
	if len(use.Users) > some {
		text += " and others"
	}
	return text
}

// retireError tells why a key of either ring stays. Nil stays nil.
func retireError(key string, err error) error {
	if needed, ok := errors.AsType[*assertion.NeededError](err); ok {
		return conflict(ReasonKeyNeeded, fmt.Sprintf("What the key %.64q has signed may be valid until %s. To force it has verifiers refuse that.", key, needed.Until.UTC().Format(time.RFC3339)))
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sealing.ErrSeals), errors.Is(err, assertion.ErrSigns):
		return conflict(ReasonKeyInUse, fmt.Sprintf("The key %.64q is in use: rotate first, and look at the list whether every gateway uses another one.", key))
	case errors.Is(err, sealing.ErrUnknownKey), errors.Is(err, assertion.ErrUnknownKey):
		return &httperr.Error{Code: http.StatusNotFound, Reason: ReasonNoSuchKey, Public: fmt.Sprintf("There is no key %.64q: look at the list.", key)}
	}
	if known := ringError(err); known != nil {
		if e, ok := errors.AsType[*httperr.Error](known); ok && e.Reason != "unavailable" {
			return known
		}
	}
	return &httperr.Error{
		Code: http.StatusServiceUnavailable, Reason: "store_unavailable", Err: err,
		Public: "The store does not answer now, so that it is not known who needs the key.", Header: http.Header{"Retry-After": {"5"}},
	}
}

// allKeys are the keys of both rings as operators see them: as they are now, or were
// when the store last answered.
func (c *core) allKeys(ctx context.Context, s *signing) admin.AllKeys {
	_ = s.ring.Refresh(ctx) // it tells of its errors itself
	list := s.list()
	list.Sealing = c.sealingKeys(c.keyring.Status(ctx))
	return list
}
