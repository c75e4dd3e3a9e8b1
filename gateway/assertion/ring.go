package assertion

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/jose"
)

// Ring is the gateway's signing keys. It is safe for concurrent use; readers
// never wait for the store. What it last read stays in use through an outage.
type Ring struct {
	source source
	log    *zap.Logger

	refreshing sync.Mutex // one look at the source at a time
	woken      chan struct{}
	current    atomic.Pointer[view]
	generation atomic.Uint64
	trouble    atomic.Pointer[error] // of the last look; nil when it was good
}

// source is where keys come from: the store, or files.
type source interface {
	// load returns the keys as they are, or should be, now.
	load(ctx context.Context, now time.Time) (*view, error)
	rotate(ctx context.Context, now time.Time, immediately bool) error
	retire(ctx context.Context, now time.Time, kid string, force bool) error
}

// view is the ring at one moment. It is immutable.
type view struct {
	signer     *jose.Signer
	next       *jose.Signer // signs from switchesAt on; nil for files
	switchesAt time.Time    // zero: never

	keys []Key
	jwks []byte
	etag string
	set  *jose.KeySet
}

// publish makes the key set of the view.
func (v *view) publish(signers []*jose.Signer) error {
	var err error
	if v.jwks, err = jose.PublicJWKS(signers...); err != nil {
		return err
	}
	sum := sha256.Sum256(v.jwks)
	v.etag = `"` + hex.EncodeToString(sum[:12]) + `"`
	v.set, _, err = jose.ParseKeySet(v.jwks)
	return err
}

func (v *view) signerAt(now time.Time) *jose.Signer {
	if !v.switchesAt.IsZero() && !now.Before(v.switchesAt) {
		return v.next
	}
	return v.signer
}

func newRing(s source, log *zap.Logger) *Ring {
	if log == nil {
		log = zap.NewNop()
	}
	return &Ring{source: s, log: log, woken: make(chan struct{}, 1)}
}

// Wake makes Run look at the keys now. It waits for nothing.
func (r *Ring) Wake() {
	select {
	case r.woken <- struct{}{}:
	default: // it is about to look
	}
}

// Run looks at the keys at once and then every PollInterval, more often while
// there are none, and when it is woken, until ctx ends.
func (r *Ring) Run(ctx context.Context) {
	for {
		_ = r.Refresh(ctx) // it tells of its errors itself
		wait := PollInterval
		if r.current.Load() == nil {
			wait = firstRetry
		}
		select {
		case <-ctx.Done():
			return
		case <-r.woken:
		case <-time.After(wait):
		}
	}
}

// Refresh looks at the keys now. After an error those of the last look stay.
func (r *Ring) Refresh(ctx context.Context) error {
	r.refreshing.Lock()
	defer r.refreshing.Unlock()
	return r.refresh(ctx)
}

func (r *Ring) refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	v, err := r.source.load(ctx, time.Now())
	if err != nil {
		r.tell(ctx, err)
		return err
	}
	if r.trouble.Swap(nil) != nil {
		r.log.Info("the signing keys can be read again")
	}
	old := r.current.Swap(v)
	if old == nil || !bytes.Equal(old.jwks, v.jwks) {
		r.generation.Add(1)
	}
	if old != nil && old.signer.KeyID() != v.signer.KeyID() {
		r.log.Info("the signing key has changed", zap.String("kid", v.signer.KeyID()))
	}
	return nil
}

// tell logs trouble once, not at every look.
func (r *Ring) tell(ctx context.Context, err error) {
	if errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	if last := r.trouble.Swap(&err); last == nil || (*last).Error() != err.Error() {
		r.log.Error("the signing keys can't be read", zap.Error(err), zap.Bool("kept", r.current.Load() != nil))
	}
}

// view returns the ring, or ErrNoRing with what stands in its way.
func (r *Ring) view() (*view, error) {
	if v := r.current.Load(); v != nil {
		return v, nil
	}
	if why := r.trouble.Load(); why != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoRing, *why)
	}
	return nil, ErrNoRing
}

// Ready reports why nothing can be signed now, or nil.
func (r *Ring) Ready() error {
	_, err := r.view()
	return err
}

// sign makes a token with the key of the moment, and says which that was.
func (r *Ring) sign(typ string, claims map[string]any, now time.Time) (token, kid string, err error) {
	v, err := r.view()
	if err != nil {
		return "", "", err
	}
	signer := v.signerAt(now)
	token, err = signer.Sign(typ, claims)
	return token, signer.KeyID(), err
}

// publishes reports whether verifiers still find a key.
func (r *Ring) publishes(kid string) bool {
	v := r.current.Load()
	return v != nil && slices.ContainsFunc(v.keys, func(k Key) bool { return k.ID == kid })
}

// JWKS returns the published key set (RFC 7517), and an entity tag of it. The
// bytes are shared and read-only.
func (r *Ring) JWKS() (body []byte, etag string, err error) {
	v, err := r.view()
	if err != nil {
		return nil, "", err
	}
	return v.jwks, v.etag, nil
}

// Find returns the published key that proves a token. ok is false where the ring
// has none; the error is ErrNoRing.
func (r *Ring) Find(kid, alg string) (key *jose.Key, ok bool, err error) {
	v, err := r.view()
	if err != nil {
		return nil, false, err
	}
	key, ok = v.set.Find(kid, alg)
	return key, ok, nil
}

// Generation changes whenever the published keys do.
func (r *Ring) Generation() uint64 { return r.generation.Load() }

// Keys lists the keys, and says when the next one begins to sign, or the zero
// time.
func (r *Ring) Keys() (keys []Key, switchesAt time.Time, err error) {
	v, err := r.view()
	if err != nil {
		return nil, time.Time{}, err
	}
	keys, switchesAt = slices.Clone(v.keys), v.switchesAt
	if !switchesAt.IsZero() && !time.Now().Before(switchesAt) {
		// It was due and no gateway has written it down yet.
		keys[0].State, keys[1].State, switchesAt = StateRetired, StateCurrent, time.Time{}
	}
	return keys, switchesAt, nil
}

// Rotate makes the next key the current one: at once where it has been published
// for long enough or immediately is set, and otherwise as soon as it has. It
// returns ErrFiles where files decide.
func (r *Ring) Rotate(ctx context.Context, immediately bool) error {
	r.refreshing.Lock()
	defer r.refreshing.Unlock()
	bounded, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	if err := r.source.rotate(bounded, time.Now(), immediately); err != nil {
		return err
	}
	return r.refresh(ctx)
}

// Retire no longer publishes a key that has stopped signing. It returns ErrSigns for
// the current key, ErrUnknownKey, ErrFiles where files decide, and a *NeededError
// while something that the key has signed may be valid, unless force is set:
// verifiers refuse that then. In the place of the next key, which has signed
// nothing, there is another one.
func (r *Ring) Retire(ctx context.Context, kid string, force bool) error {
	r.refreshing.Lock()
	defer r.refreshing.Unlock()
	bounded, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	if err := r.source.retire(bounded, time.Now(), kid, force); err != nil {
		return err
	}
	return r.refresh(ctx)
}
