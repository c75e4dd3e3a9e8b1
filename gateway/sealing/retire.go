package sealing

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/session"
)

// Rotate makes a new key that seals from now on, where the store keeps the ring.
// What the others sealed can still be opened. It returns ErrFiles where operators
// have the keys, and ErrCrowded where too many old ones are still needed.
func (r *Ring) Rotate(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.paths) > 0 {
		return ErrFiles
	}
	return r.restore(ctx, func(secrets [][]byte) ([][]byte, error) {
		if len(secrets) >= maxKeys {
			return nil, ErrCrowded
		}
		secret, err := fresh(r.keyring.Names())
		if err != nil {
			return nil, err
		}
		return append([][]byte{secret}, secrets...), nil
	})
}

// restore changes the ring that the store keeps.
func (r *Ring) restore(ctx context.Context, change func([][]byte) ([][]byte, error)) error {
	secrets, version, err := loadStored(ctx, r.records)
	if err != nil {
		return err
	}
	if secrets, err = change(secrets); err != nil {
		return err
	}
	ring, err := session.NewKeyring(secrets...)
	if err != nil {
		return err
	}
	if err := saveStored(ctx, r.records, secrets, version); err != nil {
		return err
	}
	sealing := r.keyring.Sealing()
	r.keyring.Exchange(ring)
	r.tell(ctx)
	if r.keyring.Sealing() != sealing {
		r.changed(ctx)
	}
	return nil
}

// Retire takes a key out of use. What is sealed with it in the store is sealed
// anew. While sessions or sign-ins under way need it, it returns a *NeededError
// and changes nothing, unless force is set: then these sessions are ended.
// ErrSeals says that a gateway still seals with it, ErrUnknownKey that there is no
// such key. Where the keys are files, the operator removes it from them next.
func (r *Ring) Retire(ctx context.Context, name session.KeyName, force bool) (session.KeyUse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tell(ctx)
	if !slices.Contains(r.keyring.Names(), name) {
		return session.KeyUse{}, ErrUnknownKey
	}
	if name == r.keyring.Sealing() {
		return session.KeyUse{}, ErrSeals
	}
	var h history
	if r.ledger != nil {
		for _, m := range r.ledger.Gateways {
			if m.Seals == name {
				return session.KeyUse{}, ErrSeals
			}
		}
		h = r.ledger.Keys[name]
	}
	if h.Stopped.IsZero() && !h.Sealed.IsZero() {
		h.Stopped = time.Now() // it is not known
	}
	if !force && !h.Sealed.IsZero() {
		use, err := r.sessions().KeyUse(ctx, name, h.Stopped)
		if err != nil {
			return session.KeyUse{}, err
		}
		until := h.Stopped.Add(session.Transient)
		if use.Until.After(until) {
			until = use.Until
		}
		if use.Sessions > 0 || time.Now().Before(until) {
			return use, &NeededError{Use: use, Until: until}
		}
	}
	if err := r.reseal(ctx); err != nil {
		return session.KeyUse{}, err
	}
	use, err := r.sessions().ReleaseKey(ctx, name, h.Stopped)
	if err != nil || len(r.paths) > 0 {
		return use, err
	}
	return use, r.restore(ctx, func(secrets [][]byte) ([][]byte, error) {
		return slices.DeleteFunc(secrets, func(secret []byte) bool {
			its, err := session.NameKey(secret)
			return err == nil && its == name
		}), nil
	})
}

// tidy retires the old keys of a ring that the store keeps, once nothing needs
// them.
func (r *Ring) tidy(ctx context.Context) {
	known := r.Known()
	if len(known.Files) > 0 {
		return
	}
	for _, k := range known.Keys {
		if k.State != StateOld || time.Now().Before(k.Until) {
			continue
		}
		if _, err := r.Retire(ctx, k.Name, false); err == nil {
			r.log.Info("a sealing key that nothing needs any more was retired", zap.String("key", string(k.Name)))
		}
	}
}
