package jose

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

// The limits of a key set.
const (
	MaxKeySetBytes = 1 << 20
	maxKeys        = 200
	minRSABits     = 2048
	maxRSABits     = 8192 // a larger modulus only makes each forged token costlier to refuse
	maxRSAExponent = 1<<31 - 1
)

// Key is one key that proves tokens, together with the algorithms it may be
// used with. It is immutable.
type Key struct {
	ID string // empty when the set gives it no name

	material   any // *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey, or the bytes of a secret
	algorithms []string
	named      bool // the key names its algorithm itself
}

// Allows reports whether the key may prove tokens of this algorithm.
func (k *Key) Allows(alg string) bool { return slices.Contains(k.algorithms, alg) }

// String names the key and hides what it is made of.
func (k *Key) String() string { return fmt.Sprintf("key %q", k.ID) }

// GoString hides the key from %#v.
func (k *Key) GoString() string { return k.String() }

// KeySet is the keys of one issuer. It is immutable; the nil set is empty.
type KeySet struct {
	keys   []*Key
	byName map[name]*Key
	secret bool
}

type name struct{ kid, alg string }

// Len returns how many keys can be used.
func (s *KeySet) Len() int {
	if s == nil {
		return 0
	}
	return len(s.keys)
}

// Supports reports whether any key may prove tokens of this algorithm.
func (s *KeySet) Supports(alg string) bool {
	return s != nil && slices.ContainsFunc(s.keys, func(k *Key) bool { return k.Allows(alg) })
}

// Find returns the key for a token. A token that names no key is only
// accepted where exactly one key fits its algorithm, so that there is nothing
// to try. A set made of a secret has one key, whatever the token calls it.
func (s *KeySet) Find(kid, alg string) (*Key, bool) {
	if s == nil {
		return nil, false
	}
	if kid != "" && !s.secret {
		k, ok := s.byName[name{kid, alg}]
		return k, ok
	}
	var found *Key
	for _, k := range s.keys {
		if !k.Allows(alg) {
			continue
		}
		if found != nil {
			return nil, false
		}
		found = k
	}
	return found, found != nil
}

// SecretKeySet makes the set of one shared secret, for HS256, HS384 and HS512,
// each only when the secret is at least as long as its hash (RFC 7518 section
// 3.2): 32, 48 and 64 bytes.
func SecretKeySet(secret []byte) (*KeySet, error) {
	k := &Key{material: bytes.Clone(secret)}
	for _, alg := range SecretAlgorithms() {
		if a, _ := find(alg); len(secret) >= a.bytes {
			k.algorithms = append(k.algorithms, alg)
		}
	}
	if len(k.algorithms) == 0 {
		return nil, &Invalid{WeakKey, fmt.Errorf("a secret of %d bytes, where 32 are needed", len(secret))}
	}
	return &KeySet{keys: []*Key{k}, secret: true}, nil
}

// ParseKeySet reads a JWK Set (RFC 7517) of public keys. A key that is broken,
// weak, of a broken generator, private, symmetric, of an unknown kind or not for
// signatures is left out and counted, and the others stay; so is the second of two
// keys with the same id and algorithm. A body that is no key set, or has more than
// 200 keys, is an error. A set without any usable key is none.
func ParseKeySet(data []byte) (set *KeySet, dropped int, err error) {
	list, err := splitKeySet(data)
	if err != nil {
		return nil, 0, &Invalid{MalformedKeys, err}
	}
	keys := make([]*Key, 0, len(list))
	for _, one := range list {
		k, err := parseKey(one)
		if err != nil {
			dropped++
			continue
		}
		keys = append(keys, k)
	}
	set, doubled := newKeySet(keys)
	return set, dropped + doubled, nil
}

func splitKeySet(data []byte) ([]json.RawMessage, error) {
	if len(data) > MaxKeySetBytes {
		return nil, fmt.Errorf("key set of %d bytes", len(data))
	}
	// Checked first: a decoder that reads token by token would stop before
	// what comes after the set.
	if !json.Valid(data) {
		return nil, errJSON
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil, errNotObject
	}
	var keys json.RawMessage
	for dec.More() {
		member, err := dec.Token()
		if err != nil {
			return nil, errJSON
		}
		var v json.RawMessage
		if err := dec.Decode(&v); err != nil {
			return nil, errJSON
		}
		if member != "keys" {
			continue
		}
		if keys != nil {
			return nil, errDuplicate
		}
		keys = v
	}
	var list []json.RawMessage
	if err := json.Unmarshal(keys, &list); err != nil || list == nil {
		return nil, errors.New("no list of keys")
	}
	if len(list) > maxKeys {
		return nil, fmt.Errorf("%d keys", len(list))
	}
	return list, nil
}

// newKeySet indexes keys by id and algorithm. A key that names its algorithm
// goes before one that is merely able to do it.
func newKeySet(keys []*Key) (set *KeySet, doubled int) {
	set = &KeySet{byName: make(map[name]*Key, len(keys))}
	for _, named := range []bool{true, false} {
		for _, k := range keys {
			if k.named != named {
				continue
			}
			fits := slices.DeleteFunc(slices.Clone(k.algorithms), func(alg string) bool {
				_, taken := set.byName[name{k.ID, alg}]
				return taken && k.ID != ""
			})
			if len(fits) == 0 {
				doubled++
				continue
			}
			kept := *k
			kept.algorithms = fits
			set.keys = append(set.keys, &kept)
			for _, alg := range fits {
				set.byName[name{k.ID, alg}] = &kept
			}
		}
	}
	return set, doubled
}

// parseKey reads one JWK. Only the members that make up the key reach jwx:
// the others (certificates, unknown algorithm names) could make it refuse a key
// that is good.
func parseKey(data []byte) (*Key, error) {
	members, err := decodeObject(data)
	if err != nil {
		return nil, err
	}
	for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if _, ok := members[private]; ok {
			return nil, errors.New("not a public key")
		}
	}
	k := new(Key)
	if v, ok := members["kid"]; ok && v != "" {
		if k.ID, ok = v.(string); !ok || !validKeyID(k.ID) {
			return nil, errors.New("kid is not a key id")
		}
	}
	if v, ok := members["use"]; ok && v != "sig" {
		return nil, errors.New("not for signatures")
	}
	if v, ok := members["key_ops"]; ok {
		if ops, ok := v.([]any); !ok || !slices.Contains(ops, any("verify")) {
			return nil, errors.New("not for verifying")
		}
	}
	fits, err := k.setMaterial(members)
	if err != nil {
		return nil, err
	}
	if v, ok := members["alg"]; ok {
		alg, _ := v.(string)
		if !slices.Contains(fits, alg) {
			return nil, errors.New("alg does not fit the key")
		}
		fits, k.named = []string{alg}, true
	}
	k.algorithms = fits
	return k, nil
}

// setMaterial makes the public key and returns the algorithms it can do.
func (k *Key) setMaterial(members map[string]any) ([]string, error) {
	bare := make(map[string]any, 4)
	for _, part := range []string{"kty", "crv", "x", "y", "n", "e"} {
		if v, ok := members[part]; ok {
			bare[part] = v
		}
	}
	data, err := json.Marshal(bare)
	if err != nil {
		return nil, err
	}
	parsed, err := jwk.ParseKey(data)
	if err != nil {
		return nil, err
	}
	switch parsed := parsed.(type) {
	case jwk.RSAPublicKey:
		return k.setRSA(parsed)
	case jwk.ECDSAPublicKey:
		return k.setEC(parsed)
	case jwk.OKPPublicKey:
		return k.setEd25519(parsed)
	}
	return nil, errors.New("not a kind of key that proves signatures")
}

func (k *Key) setRSA(parsed jwk.RSAPublicKey) ([]string, error) {
	// jwx cuts a long exponent down to 64 bits without a word.
	if len(bytes.TrimLeft(parsed.E(), "\x00")) > 4 {
		return nil, errors.New("RSA exponent too large")
	}
	var key rsa.PublicKey
	if err := parsed.Raw(&key); err != nil {
		return nil, err
	}
	if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits || key.N.Bit(0) == 0 {
		return nil, fmt.Errorf("RSA modulus of %d bits", bits)
	}
	if key.E < 3 || key.E > maxRSAExponent || key.E%2 == 0 {
		return nil, errors.New("RSA exponent out of range")
	}
	if guessable(key.N) {
		return nil, errors.New("RSA modulus of a broken generator (CVE-2017-15361)")
	}
	k.material = &key
	return namesOf(familyRSA), nil
}

func (k *Key) setEC(parsed jwk.ECDSAPublicKey) ([]string, error) {
	if err := parsed.Validate(); err != nil {
		return nil, err
	}
	var key ecdsa.PublicKey
	if err := parsed.Raw(&key); err != nil {
		return nil, err
	}
	// ECDH refuses a point that is not on the curve.
	if _, err := key.ECDH(); err != nil {
		return nil, err
	}
	k.material = &key
	for _, alg := range namesOf(familyEC) {
		if a, _ := find(alg); a.curve == key.Curve {
			return []string{alg}, nil
		}
	}
	return nil, errors.New("no algorithm for this curve")
}

func (k *Key) setEd25519(parsed jwk.OKPPublicKey) ([]string, error) {
	var key ed25519.PublicKey
	if err := parsed.Raw(&key); err != nil {
		return nil, err
	}
	// crypto/ed25519 panics on a key of another length.
	if len(key) != ed25519.PublicKeySize {
		return nil, errors.New("Ed25519 key of a wrong length")
	}
	k.material = key
	return namesOf(familyEd25519), nil
}
