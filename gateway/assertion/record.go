package assertion

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/gateway/jose"
)

// formatVersion is that of record. A release that reads another one must not
// write over it.
const formatVersion = 1

// record is the ring as all gateways share it. It has one current key, one next
// key, and any number of retired ones.
type record struct {
	Version   int       `json:"version"`
	Algorithm string    `json:"algorithm"` // of keys to be made
	Current   keyRecord `json:"current"`
	Next      keyRecord `json:"next"`
	// SwitchesAt is when Next begins to sign; zero when nothing is planned.
	// Every gateway keeps to it by its own clock, also without the store.
	SwitchesAt time.Time   `json:"switches_at,omitzero"`
	Retired    []keyRecord `json:"retired,omitempty"`
}

type keyRecord struct {
	PKCS8     []byte    `json:"pkcs8"`
	Algorithm string    `json:"algorithm"`
	Published time.Time `json:"published"`
	Until     time.Time `json:"until,omitzero"`
}

// newRecord makes the first ring. Its current key signs at once: nobody has an
// older key set.
func newRecord(algorithm string, now time.Time) (*record, error) {
	r := &record{Version: formatVersion, Algorithm: algorithm}
	var err error
	if r.Current, err = newKey(algorithm, now); err != nil {
		return nil, err
	}
	r.Next, err = newKey(algorithm, now)
	return r, err
}

func newKey(algorithm string, now time.Time) (keyRecord, error) {
	var key crypto.Signer
	var err error
	switch algorithm {
	case AlgorithmES256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case AlgorithmEdDSA:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		err = fmt.Errorf("assertion: no keys are made for %q", algorithm)
	}
	if err != nil {
		return keyRecord{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return keyRecord{PKCS8: der, Algorithm: algorithm, Published: now.UTC()}, err
}

func decodeRecord(plain []byte) (*record, error) {
	r := new(record)
	if err := json.Unmarshal(plain, r); err != nil {
		return nil, errors.New("assertion: the ring can't be read") // the decoder's words could quote a key
	}
	if r.Version != formatVersion {
		return nil, fmt.Errorf("assertion: the ring has format %d, this release knows %d", r.Version, formatVersion)
	}
	if _, err := r.view(); err != nil { // before anything is built on it, and written
		return nil, err
	}
	return r, nil
}

func (r *record) clone() *record {
	c := *r
	c.Retired = slices.Clone(r.Retired)
	return &c
}

// advance does what is due: the planned switch, and retired keys that disappear.
// keep is how long what a key has signed may be valid after it stopped.
func (r *record) advance(now time.Time, keep time.Duration) (changed bool, err error) {
	if !r.SwitchesAt.IsZero() && !now.Before(r.SwitchesAt) {
		if err := r.swap(r.SwitchesAt, now, keep); err != nil {
			return false, err
		}
		changed = true
	}
	before := len(r.Retired)
	r.Retired = slices.DeleteFunc(r.Retired, func(k keyRecord) bool { return !now.Before(k.Until) })
	return changed || len(r.Retired) < before, nil
}

// swap retires the current key as of at, and makes a new next one.
func (r *record) swap(at, now time.Time, keep time.Duration) error {
	fresh, err := newKey(r.Algorithm, now)
	if err != nil {
		return err
	}
	r.retire(r.Current, at, keep)
	r.Current, r.Next, r.SwitchesAt = r.Next, fresh, time.Time{}
	return nil
}

func (r *record) retire(k keyRecord, at time.Time, keep time.Duration) {
	k.Until = at.Add(keep).UTC()
	r.Retired = append(r.Retired, k)
}

// drop takes out a key that does not sign.
func (r *record) drop(kid string, now time.Time, force bool) error {
	is := func(k *keyRecord) (bool, error) {
		signer, err := k.signer()
		return err == nil && signer.KeyID() == kid, err
	}
	for i := range r.Retired {
		k := &r.Retired[i]
		its, err := is(k)
		switch {
		case err != nil:
			return err
		case !its:
			continue
		case !force && now.Before(k.Until):
			return &NeededError{k.Until}
		}
		r.Retired = slices.Delete(r.Retired, i, i+1)
		return nil
	}
	if its, err := is(&r.Current); err != nil || its {
		return errors.Join(err, ErrSigns)
	}
	if its, err := is(&r.Next); err != nil || !its {
		return errors.Join(err, ErrUnknownKey)
	}
	var err error
	r.Next, err = newKey(r.Algorithm, now)
	r.SwitchesAt = time.Time{}
	return err
}

// rotate plans the switch to the next key, or does it at once where that key
// has been published for long enough, or where it is wanted now: then verifiers
// with an older key set refuse tokens until they look again.
func (r *record) rotate(now time.Time, immediately bool, keep time.Duration) (changed bool, err error) {
	if len(r.Retired) >= maxRetired {
		return false, ErrCrowded
	}
	ready := r.Next.Published.Add(publishAhead)
	if immediately || !now.Before(ready) {
		return true, r.swap(now, now, keep)
	}
	if !r.SwitchesAt.IsZero() {
		return false, nil
	}
	r.SwitchesAt = ready.UTC()
	return true, nil
}

// adopt makes keys of another algorithm follow. It is for the start alone: while
// gateways of two configurations run side by side, the last one to start wins,
// where a look at every poll would have them fight.
func (r *record) adopt(algorithm string, now time.Time, keep time.Duration) (changed bool, err error) {
	if r.Algorithm == algorithm || len(r.Retired) >= maxRetired {
		return false, nil // when crowded, after another start
	}
	r.Algorithm = algorithm
	if r.Next.Algorithm != algorithm {
		fresh, err := newKey(algorithm, now)
		if err != nil {
			return false, err
		}
		// A gateway that has not looked yet may begin to sign with it.
		r.retire(r.Next, now.Add(PollInterval), keep)
		r.Next, r.SwitchesAt = fresh, time.Time{}
	}
	if r.Current.Algorithm != algorithm && r.SwitchesAt.IsZero() {
		r.SwitchesAt = r.Next.Published.Add(publishAhead).UTC()
	}
	return true, nil
}

// view makes the keys usable.
func (r *record) view() (*view, error) {
	current, err := r.Current.signer()
	if err != nil {
		return nil, err
	}
	next, err := r.Next.signer()
	if err != nil {
		return nil, err
	}
	v := &view{signer: current, next: next, switchesAt: r.SwitchesAt, keys: []Key{
		{ID: current.KeyID(), Algorithm: current.Algorithm(), State: StateCurrent, Published: r.Current.Published},
		{ID: next.KeyID(), Algorithm: next.Algorithm(), State: StateNext, Published: r.Next.Published},
	}}
	signers := []*jose.Signer{current, next}
	for _, k := range r.Retired {
		s, err := k.signer()
		if err != nil {
			return nil, err
		}
		signers = append(signers, s)
		v.keys = append(v.keys, Key{ID: s.KeyID(), Algorithm: s.Algorithm(), State: StateRetired, Published: k.Published, Until: k.Until})
	}
	return v, v.publish(signers)
}

func (k *keyRecord) signer() (*jose.Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(k.PKCS8)
	if err != nil {
		return nil, errors.New("assertion: a key of the ring can't be read")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("assertion: a key of the ring can't sign")
	}
	return jose.NewThumbprintSigner(signer)
}
