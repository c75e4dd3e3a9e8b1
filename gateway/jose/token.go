package jose

import (
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
)

const (
	// MaxTokenBytes is the longest token that is looked at.
	MaxTokenBytes = 16 << 10
	// MaxIDTokenBytes is the same for ID tokens that a provider has handed over
	// itself: those of users with thousands of groups are long.
	MaxIDTokenBytes = 512 << 10
)

// MaxKeyIDBytes is the longest key id that a token or a key may have.
const MaxKeyIDBytes = 256

// Token is a well-formed token that nothing is proven of yet. It is immutable.
type Token struct {
	Header Header

	signed    string // what the signature covers: the first two segments as they were sent
	signature []byte
	claims    map[string]any
}

// Header holds the header parameters (RFC 7515 section 4.1) that the gateway
// looks at. Those that carry or point to a key (jku, jwk, x5u, x5c, x5t) are not
// among them: keys come from configuration alone.
type Header struct {
	Algorithm string // one of the closed list; never "none"
	KeyID     string // empty when the token names no key
	Type      string // as written; empty when absent
}

// Parse reads a token and checks everything that needs no key: the size before
// anything else, then three segments of canonical base64url (RFC 7515 section
// 7.1), then a header and claims that are one JSON object each, without
// repeated names. The algorithm is one that the gateway knows. Critical
// extensions and unencoded or compressed payloads are refused, as are header
// names that differ from a known one in case only.
//
// The cost is linear in the length. Errors are *Invalid.
func Parse(raw string) (*Token, error) { return parse(raw, MaxTokenBytes) }

// ParseID is Parse for ID tokens.
func ParseID(raw string) (*Token, error) { return parse(raw, MaxIDTokenBytes) }

func parse(raw string, most int) (*Token, error) {
	if len(raw) > most {
		return nil, &Invalid{TokenTooLarge, fmt.Errorf("%d bytes", len(raw))}
	}
	parts, err := split(raw)
	if err != nil {
		return nil, &Invalid{MalformedToken, err}
	}
	header, err := readHeader(parts.header)
	if err != nil {
		return nil, err
	}
	claims, err := decodeObject(parts.payload)
	if err != nil {
		return nil, &Invalid{MalformedClaims, fmt.Errorf("payload: %w", err)}
	}
	return &Token{Header: header, signed: parts.signed, signature: parts.signature, claims: claims}, nil
}

// UnverifiedIssuer returns who the token says has made it. Anybody can write
// that; it may only decide whose keys must prove the token.
func (t *Token) UnverifiedIssuer() (string, error) {
	v, ok := t.claims["iss"]
	if !ok {
		return "", &Invalid{MissingClaim, errors.New("iss")}
	}
	iss, ok := v.(string)
	if !ok {
		return "", &Invalid{MalformedClaims, errors.New("iss is not a string")}
	}
	return iss, nil
}

// Verify proves the signature with this key alone and the token's algorithm,
// which must be one that the key is for, and returns the claims. Errors are
// *Invalid.
func (t *Token) Verify(k *Key) (*Claims, error) {
	if k == nil {
		return nil, &Invalid{UnknownKey, errors.New("no key")}
	}
	alg := t.Header.Algorithm
	if !k.Allows(alg) {
		return nil, &Invalid{AlgorithmNotAllowed, fmt.Errorf("the key is not for %q", alg)}
	}
	if err := k.prove(alg, t.signed, t.signature); err != nil {
		return nil, &Invalid{BadSignature, err}
	}
	return newClaims(t.claims)
}

// prove checks the signature for one algorithm and one key. The libraries that
// do it see nothing else of the token, so that what was read of it is what the
// signature covers.
func (k *Key) prove(alg, signed string, signature []byte) error {
	a, _ := find(alg)
	if pub, ok := k.material.(*rsa.PublicKey); ok && a.pss {
		// jwx takes a salt of any length, where RFC 7518 section 3.5 wants that
		// of the hash.
		h := a.hash.New()
		h.Write([]byte(signed))
		return rsa.VerifyPSS(pub, a.hash, h.Sum(nil), signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	}
	v, err := jws.NewVerifier(jwa.SignatureAlgorithm(alg))
	if err != nil {
		return err
	}
	return v.Verify([]byte(signed), signature, k.material)
}

// segments are the parts of a compact JWS, decoded.
type segments struct {
	header, payload, signature []byte
	signed                     string
}

// split cuts a compact JWS and decodes its parts. Each has one spelling only,
// for caches and revocation lists know a token by its text.
func split(raw string) (segments, error) {
	// encoding/base64 refuses what is not of its alphabet, but skips line ends.
	if strings.IndexByte(raw, '\n') >= 0 || strings.IndexByte(raw, '\r') >= 0 {
		return segments{}, errors.New("a line end")
	}
	if dots := strings.Count(raw, "."); dots != 2 {
		return segments{}, fmt.Errorf("%d segments instead of 3", dots+1)
	}
	first, last := strings.IndexByte(raw, '.'), strings.LastIndexByte(raw, '.')
	if first == 0 || last == first+1 || last == len(raw)-1 {
		return segments{}, errors.New("an empty segment")
	}
	strict := base64.RawURLEncoding.Strict()
	room := make([]byte, 0, len(raw)) // one piece of memory for all three
	room, err := strict.AppendDecode(room, []byte(raw[:first]))
	if err != nil {
		return segments{}, fmt.Errorf("header: %w", err)
	}
	payload := len(room)
	if room, err = strict.AppendDecode(room, []byte(raw[first+1:last])); err != nil {
		return segments{}, fmt.Errorf("payload: %w", err)
	}
	signature := len(room)
	if room, err = strict.AppendDecode(room, []byte(raw[last+1:])); err != nil {
		return segments{}, fmt.Errorf("signature: %w", err)
	}
	return segments{room[:payload], room[payload:signature], room[signature:], raw[:last]}, nil
}
