package jose

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// MaxTokenBytes is the longest token that is looked at.
const MaxTokenBytes = 16 << 10

// MaxKeyIDBytes is the longest key id that a token or a key may have.
const MaxKeyIDBytes = 256

// Token is a well-formed token that nothing is proven of yet. It is immutable.
type Token struct {
	Header Header

	raw     string
	payload []byte
	claims  map[string]any
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
func Parse(raw string) (*Token, error) {
	if len(raw) > MaxTokenBytes {
		return nil, &Invalid{TokenTooLarge, fmt.Errorf("%d bytes", len(raw))}
	}
	head, payload, err := segments(raw)
	if err != nil {
		return nil, &Invalid{MalformedToken, err}
	}
	header, err := readHeader(head)
	if err != nil {
		return nil, err
	}
	claims, err := decodeObject(payload)
	if err != nil {
		return nil, &Invalid{MalformedClaims, fmt.Errorf("payload: %w", err)}
	}
	return &Token{Header: header, raw: raw, payload: payload, claims: claims}, nil
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
	payload, err := jws.Verify([]byte(t.raw), jws.WithKey(jwa.SignatureAlgorithm(alg), k.material), jws.WithCompact())
	if err != nil {
		return nil, &Invalid{BadSignature, err}
	}
	// Two readers saw this token, jwx and ours. What ours read must be what
	// the signature covers.
	if !bytes.Equal(payload, t.payload) {
		return nil, &Invalid{BadSignature, errors.New("the signed payload reads differently")}
	}
	return newClaims(t.claims)
}

// segments cuts a compact JWS and decodes its first two parts. The third is
// only checked to be canonical, so that one signature has one spelling.
func segments(raw string) (header, payload []byte, err error) {
	// encoding/base64 refuses what is not of its alphabet, but skips line ends.
	if strings.ContainsAny(raw, "\r\n") {
		return nil, nil, errors.New("a line end")
	}
	if dots := strings.Count(raw, "."); dots != 2 {
		return nil, nil, fmt.Errorf("%d segments instead of 3", dots+1)
	}
	first, rest, _ := strings.Cut(raw, ".")
	second, third, _ := strings.Cut(rest, ".")
	if first == "" || second == "" || third == "" {
		return nil, nil, errors.New("an empty segment")
	}
	strict := base64.RawURLEncoding.Strict()
	if header, err = strict.DecodeString(first); err != nil {
		return nil, nil, fmt.Errorf("header: %w", err)
	}
	if payload, err = strict.DecodeString(second); err != nil {
		return nil, nil, fmt.Errorf("payload: %w", err)
	}
	if _, err = strict.DecodeString(third); err != nil {
		return nil, nil, fmt.Errorf("signature: %w", err)
	}
	return header, payload, nil
}
