package jose

import (
	"crypto"
	"crypto/elliptic"
	_ "crypto/sha256" // the hashes that find names
	_ "crypto/sha512"
	"slices"
)

// family is a kind of key. Each algorithm belongs to exactly one, and that is
// what makes key confusion (CVE-2015-9235) impossible: a public key is never a
// secret, whatever a token says.
type family uint8

const (
	familyRSA family = iota + 1
	familyEC
	familyEd25519
	familySecret
)

type algorithm struct {
	name   string
	family family
	hash   crypto.Hash    // of signatures, and what at_hash is made with
	curve  elliptic.Curve // EC only: RFC 7518 section 3.4 binds each algorithm to one curve
	pss    bool           // RSA only: RSASSA-PSS instead of PKCS #1 v1.5
	bytes  int            // secrets only: RFC 7518 section 3.2, a key as long as the hash at least
}

// find returns the description of an algorithm that the gateway knows at all.
// "none" is not one of them.
func find(name string) (algorithm, bool) {
	switch name {
	case "RS256":
		return algorithm{name: name, family: familyRSA, hash: crypto.SHA256}, true
	case "RS384":
		return algorithm{name: name, family: familyRSA, hash: crypto.SHA384}, true
	case "RS512":
		return algorithm{name: name, family: familyRSA, hash: crypto.SHA512}, true
	case "PS256":
		return algorithm{name: name, family: familyRSA, hash: crypto.SHA256, pss: true}, true
	case "PS384":
		return algorithm{name: name, family: familyRSA, hash: crypto.SHA384, pss: true}, true
	case "PS512":
		return algorithm{name: name, family: familyRSA, hash: crypto.SHA512, pss: true}, true
	case "ES256":
		return algorithm{name: name, family: familyEC, hash: crypto.SHA256, curve: elliptic.P256()}, true
	case "ES384":
		return algorithm{name: name, family: familyEC, hash: crypto.SHA384, curve: elliptic.P384()}, true
	case "ES512":
		return algorithm{name: name, family: familyEC, hash: crypto.SHA512, curve: elliptic.P521()}, true
	case "EdDSA":
		return algorithm{name: name, family: familyEd25519, hash: crypto.SHA512}, true
	case "HS256":
		return algorithm{name: name, family: familySecret, hash: crypto.SHA256, bytes: 32}, true
	case "HS384":
		return algorithm{name: name, family: familySecret, hash: crypto.SHA384, bytes: 48}, true
	case "HS512":
		return algorithm{name: name, family: familySecret, hash: crypto.SHA512, bytes: 64}, true
	}
	return algorithm{}, false
}

// AsymmetricAlgorithms returns the algorithms that a published key set can
// prove, the customary ones first.
func AsymmetricAlgorithms() []string {
	return []string{"RS256", "ES256", "EdDSA", "PS256", "RS384", "RS512", "PS384", "PS512", "ES384", "ES512"}
}

// SecretAlgorithms returns the algorithms that a shared secret can prove.
func SecretAlgorithms() []string { return []string{"HS256", "HS384", "HS512"} }

// namesOf returns the algorithms of a family, for keys that name none.
func namesOf(f family) []string {
	all := slices.Concat(AsymmetricAlgorithms(), SecretAlgorithms())
	return slices.DeleteFunc(all, func(name string) bool {
		a, _ := find(name)
		return a.family != f
	})
}
