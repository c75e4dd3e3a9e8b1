package jose

import (
	"errors"
	"fmt"
	"strings"
)

// knownHeaders are the header parameters of RFC 7515, 7516, 7518 and 7797.
func knownHeaders() [21]string {
	return [...]string{
		"alg", "kid", "typ", "cty", "crit", "b64", "zip", "enc",
		"jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256",
		"epk", "apu", "apv", "iv", "tag", "p2s", "p2c",
	}
}

func readHeader(data []byte) (Header, error) {
	members, err := decodeObject(data)
	if err != nil {
		return Header{}, &Invalid{MalformedToken, fmt.Errorf("header: %w", err)}
	}
	for name := range members {
		switch name {
		case "alg", "kid", "typ": // read below
		case "crit", "b64", "zip":
			// RFC 7515 section 4.1.11: an extension that is critical and not
			// understood makes the token invalid. None is understood here.
			return Header{}, &Invalid{UnsupportedHeader, errors.New(name)}
		default:
			if known, ok := misspelt(name); ok {
				return Header{}, &Invalid{MalformedToken, fmt.Errorf("header: a misspelt %s", known)}
			}
		}
	}

	alg, ok := members["alg"].(string)
	if !ok {
		return Header{}, &Invalid{MalformedToken, errors.New("header: alg is missing or not a string")}
	}
	if _, ok := find(alg); !ok {
		return Header{}, &Invalid{AlgorithmNotAllowed, fmt.Errorf("%.20q", alg)}
	}
	h := Header{Algorithm: alg}
	if v, ok := members["typ"]; ok {
		if h.Type, ok = v.(string); !ok {
			return Header{}, &Invalid{MalformedToken, errors.New("header: typ is not a string")}
		}
	}
	if v, ok := members["kid"]; ok {
		// No key can have such an id, so the answer is that of any other id
		// that is not known.
		if h.KeyID, ok = v.(string); !ok || !validKeyID(h.KeyID) {
			return Header{}, &Invalid{UnknownKey, errors.New("header: kid is not a key id")}
		}
	}
	return h, nil
}

// misspelt returns the known parameter that name differs from in case only. A
// reader that folds names (encoding/json does, by Unicode: "ſ" is an "s" and the
// Kelvin sign a "k") would take "ALG" for the algorithm.
func misspelt(name string) (string, bool) {
	for _, known := range knownHeaders() {
		if name != known && strings.EqualFold(name, known) {
			return known, true
		}
	}
	return "", false
}

// validKeyID reports whether id can name a key: some text, not too long, on one
// line.
func validKeyID(id string) bool {
	if id == "" || len(id) > MaxKeyIDBytes {
		return false
	}
	return !strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 })
}
