package session

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"
	"sync"
	"sync/atomic"
)

// Purpose separates the uses of one secret: what is sealed or signed for one
// purpose is worthless for another.
type Purpose uint8

// The purposes. Their order is part of no format and may change.
const (
	PurposeCookie  Purpose = iota // the keyed check in the session cookie
	PurposeState                  // the sealed state of a sign-in
	PurposeNonce                  // nonce and PKCE verifier of a sign-in
	PurposeForm                   // form tokens of the gateway's own pages
	PurposeTokens                 // provider tokens at rest
	PurposeSigning                // the gateway's signing keys at rest
	PurposeKept                   // forms at rest, until their users have signed in
	PurposeAdmin                  // what the operators' pages give to browsers
	purposes
)

func (p Purpose) label() string {
	return [purposes]string{
		"session cookie check", "sign-in state", "sign-in nonce", "form token", "provider tokens", "signing keys", "kept forms", "admin pages",
	}[p]
}

// ErrUnsealed means that the value was not sealed by any key of the ring, or was changed.
var ErrUnsealed = errors.New("session: value was not sealed by a key of the ring")

// KeySize is the length of a key ring secret in bytes.
const KeySize = 32

// Keyring seals and signs for the gateway. One secret seals, all open,
// so that secrets can be exchanged without signing anybody out. From each
// secret a key for each purpose is derived (HKDF, RFC 5869); sealing is
// AES-256-GCM with random nonces, signing is HMAC-SHA-256 (RFC 2104). A Keyring
// is safe for concurrent use, also while its secrets are exchanged: whoever holds
// it uses the new ones from the next call on.
type Keyring struct{ now atomic.Pointer[ringState] }

// ringState is a ring at one moment. It is immutable.
type ringState struct {
	keys  []*ringKey
	seals *ringKey
}

// KeyName tells keys apart for people and among gateways: it is derived from the
// secret, tells nothing of it, and begins with the id in cookies.
type KeyName string

// keyNameBytes are enough that two keys of one installation never share a name.
const keyNameBytes = 5

// id is what cookies and sealed values carry of the name.
func (n KeyName) id() (id byte, ok bool) {
	b, err := hex.DecodeString(string(n))
	if err != nil || len(b) != keyNameBytes {
		return 0, false
	}
	return b[0], true
}

// NameKey returns the name of a secret.
func NameKey(secret []byte) (KeyName, error) {
	k, err := newRingKey(secret)
	if err != nil {
		return "", err
	}
	return k.name, nil
}

// Clashes reports whether one ring can't hold keys of these two names, because
// cookies could not tell them apart.
func (n KeyName) Clashes(other KeyName) bool {
	return len(n) >= 2 && len(other) >= 2 && n[:2] == other[:2]
}

type ringKey struct {
	id   byte
	name KeyName
	aead [purposes]cipher.AEAD
	mac  [purposes]*sync.Pool // of *macState: an HMAC keyed once and reset for each use
}

type macState struct {
	hash hash.Hash
	in   []byte
	sum  [sha256.Size]byte
}

// NewKeyring makes a ring of secrets of KeySize bytes each, of which the first
// seals. The id of a key is derived from the secret, so that every gateway gives
// it the same one.
func NewKeyring(secrets ...[]byte) (*Keyring, error) {
	if len(secrets) == 0 {
		return nil, errors.New("a key ring needs at least one secret")
	}
	ring := &ringState{}
	for i, secret := range secrets {
		k, err := newRingKey(secret)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		for _, other := range ring.keys {
			if other.id == k.id {
				return nil, fmt.Errorf("key %d: is the same as another key, or has the same id by chance: generate it anew", i+1)
			}
		}
		ring.keys = append(ring.keys, k)
	}
	ring.seals = ring.keys[0]
	r := new(Keyring)
	r.now.Store(ring)
	return r, nil
}

// Exchange gives the ring the secrets of another one, in one step.
func (r *Keyring) Exchange(other *Keyring) { r.now.Store(other.now.Load()) }

// SealWith makes the named key the one that seals; ok is false when the ring does
// not have it. It is not to be called concurrently with itself or Exchange.
func (r *Keyring) SealWith(name KeyName) (ok bool) {
	state := r.now.Load()
	for _, k := range state.keys {
		if k.name == name {
			if k != state.seals {
				r.now.Store(&ringState{keys: state.keys, seals: k})
			}
			return true
		}
	}
	return false
}

// Names returns the names of the keys, in their order.
func (r *Keyring) Names() []KeyName {
	state := r.now.Load()
	names := make([]KeyName, len(state.keys))
	for i, k := range state.keys {
		names[i] = k.name
	}
	return names
}

// Sealing returns the name of the key that seals.
func (r *Keyring) Sealing() KeyName { return r.now.Load().seals.name }

// ParseKey reads a secret as keys_files hold it: 32 random bytes in base64.
func ParseKey(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		secret, err := enc.DecodeString(text)
		if err != nil {
			continue
		}
		if len(secret) != KeySize {
			return nil, fmt.Errorf("the key has %d bytes: write %d random bytes in base64, as `openssl rand -base64 32` prints", len(secret), KeySize)
		}
		return secret, nil
	}
	return nil, fmt.Errorf("the key is not base64: write %d random bytes in base64, as `openssl rand -base64 32` prints", KeySize)
}

// ParseKeys reads a file of keys: a secret a line, as ParseKey reads it. Empty
// lines and what follows a # are passed over.
func ParseKeys(text string) ([][]byte, error) {
	var secrets [][]byte
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		secret, err := ParseKey(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		secrets = append(secrets, secret)
	}
	if len(secrets) == 0 {
		return nil, fmt.Errorf("the file holds no key: write %d random bytes in base64, as `openssl rand -base64 32` prints", KeySize)
	}
	return secrets, nil
}

func newRingKey(secret []byte) (*ringKey, error) {
	if len(secret) != KeySize {
		return nil, fmt.Errorf("has %d bytes instead of %d", len(secret), KeySize)
	}
	if allEqual(secret) {
		return nil, errors.New("is one byte repeated, not a random key")
	}
	id, err := hkdf.Key(sha256.New, secret, nil, "sallyport key id", keyNameBytes)
	if err != nil {
		return nil, err
	}
	k := &ringKey{id: id[0], name: KeyName(hex.EncodeToString(id))}
	for p := range purposes {
		sub, err := hkdf.Key(sha256.New, secret, nil, "sallyport "+p.label(), 32)
		if err != nil {
			return nil, err
		}
		block, err := aes.NewCipher(sub)
		if err != nil {
			return nil, err
		}
		if k.aead[p], err = cipher.NewGCMWithRandomNonce(block); err != nil {
			return nil, err
		}
		macKey, err := hkdf.Key(sha256.New, sub, nil, "mac", 32)
		if err != nil {
			return nil, err
		}
		k.mac[p] = &sync.Pool{New: func() any {
			return &macState{hash: hmac.New(sha256.New, macKey), in: make([]byte, 0, 64)}
		}}
	}
	return k, nil
}

func allEqual(b []byte) bool {
	for _, c := range b {
		if c != b[0] {
			return false
		}
	}
	return true
}

// Seal encrypts and authenticates plaintext, and authenticates bound with it.
func (r *Keyring) Seal(p Purpose, plaintext, bound []byte) []byte {
	k := r.now.Load().seals
	out := make([]byte, 1, 1+k.aead[p].Overhead()+len(plaintext))
	out[0] = k.id
	return k.aead[p].Seal(out, nil, plaintext, bound) //nolint:gosec // this AEAD makes a random nonce by itself and takes none
}

// Stale reports whether what was sealed would be sealed with another key today.
func (r *Keyring) Stale(sealed []byte) bool {
	return len(sealed) == 0 || sealed[0] != r.now.Load().seals.id
}

// SealedBy reports whether what was sealed needs the named key to be opened.
func SealedBy(sealed []byte, name KeyName) bool {
	id, ok := name.id()
	return ok && len(sealed) > 0 && sealed[0] == id
}

// Open reverses Seal, or returns ErrUnsealed.
func (r *Keyring) Open(p Purpose, sealed, bound []byte) ([]byte, error) {
	if len(sealed) == 0 {
		return nil, ErrUnsealed
	}
	k := r.find(sealed[0])
	if k == nil {
		return nil, ErrUnsealed
	}
	plain, err := k.aead[p].Open(nil, nil, sealed[1:], bound)
	if err != nil {
		return nil, ErrUnsealed
	}
	return plain, nil
}

// Sign returns the id of the sealing key and the HMAC of the message under it.
func (r *Keyring) Sign(p Purpose, message []byte) (keyID byte, mac [sha256.Size]byte) {
	k := r.now.Load().seals
	return k.id, k.sign(p, message)
}

// SignWith is Sign with a named key; ok is false when the ring has it no more.
func (r *Keyring) SignWith(keyID byte, p Purpose, message []byte) (mac [sha256.Size]byte, ok bool) {
	k := r.find(keyID)
	if k == nil {
		return mac, false
	}
	return k.sign(p, message), true
}

// Check reports, in constant time, whether mac (which may be shortened) is the
// HMAC of the message under the named key.
func (r *Keyring) Check(keyID byte, p Purpose, message, mac []byte) bool {
	want, ok := r.SignWith(keyID, p, message)
	if !ok || len(mac) == 0 || len(mac) > len(want) {
		return false
	}
	return subtle.ConstantTimeCompare(want[:len(mac)], mac) == 1
}

func (r *Keyring) find(id byte) *ringKey {
	for _, k := range r.now.Load().keys {
		if k.id == id {
			return k
		}
	}
	return nil
}

// sign copies the message into a pooled buffer: handing the caller's own to
// the hash interface would move it to the heap on every request.
func (k *ringKey) sign(p Purpose, message []byte) (mac [sha256.Size]byte) {
	st := k.mac[p].Get().(*macState) //nolint:forcetypeassert // the pool's New makes nothing else
	defer k.mac[p].Put(st)
	st.hash.Reset()
	st.in = append(st.in[:0], message...)
	st.hash.Write(st.in)
	st.hash.Sum(st.sum[:0])
	return st.sum
}
