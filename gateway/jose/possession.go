package jose

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

// Confirmation names the key whose possession a token demands (RFC 7800). An
// empty member demands nothing.
type Confirmation struct {
	JKT     string // RFC 9449: thumbprint of the key of a DPoP proof
	X5TS256 string // RFC 8705: SHA-256 of the client certificate
}

// IsZero reports whether the token demands nothing: a bearer token.
func (c Confirmation) IsZero() bool { return c == Confirmation{} }

// thumbprintSize is the length of a SHA-256 hash in base64url.
const thumbprintSize = 43

// Confirmation returns what the cnf claim demands; the zero Confirmation where
// there is none. A demand that can't be checked here makes the token invalid,
// for ignoring it would make a bound token a bearer token. Errors are *Invalid.
func (c *Claims) Confirmation() (Confirmation, error) {
	v, ok := c.Raw["cnf"]
	if !ok {
		return Confirmation{}, nil
	}
	members, ok := v.(map[string]any)
	if !ok || len(members) == 0 {
		return Confirmation{}, &Invalid{BoundToken, errors.New("cnf is not an object with a member")}
	}
	var out Confirmation
	for name, v := range members {
		hash, _ := v.(string)
		if len(hash) != thumbprintSize {
			return Confirmation{}, &Invalid{BoundToken, fmt.Errorf("cnf: %.40q can't be checked", name)}
		}
		switch name {
		case "jkt":
			out.JKT = hash
		case "x5t#S256":
			out.X5TS256 = hash
		default:
			return Confirmation{}, &Invalid{BoundToken, fmt.Errorf("cnf: %.40q can't be checked", name)}
		}
	}
	return out, nil
}

// Proof is a DPoP proof whose signature holds.
type Proof struct {
	Thumbprint string // of its key (RFC 7638), to be compared with Confirmation.JKT
	ID         string // jti, which is to be accepted once
	IssuedAt   time.Time
}

// ProofRules say what a DPoP proof must be made for.
type ProofRules struct {
	Method      string
	URL         string // scheme, host and path of the request
	AccessToken string
	MaxAge      time.Duration // how far iat may be from now, either way
}

// JudgeProof proves a DPoP proof (RFC 9449 section 4.3), all but that its key is
// the one of the access token and that its ID was not seen before. The proof
// carries its own key, so by itself it shows that somebody has that key and
// nothing else. Errors are *Invalid, with the reason InvalidProof.
func JudgeProof(raw string, r ProofRules, now time.Time) (*Proof, error) {
	p, err := judgeProof(raw, r, now)
	if err != nil {
		return nil, &Invalid{InvalidProof, err}
	}
	return p, nil
}

func judgeProof(raw string, r ProofRules, now time.Time) (*Proof, error) {
	// 1. A well-formed JWT of the type, signed by the public key that it holds.
	t, err := Parse(raw)
	if err != nil {
		return nil, err
	}
	if err := checkType(t, "dpop+jwt"); err != nil {
		return nil, err
	}
	key, thumbprint, err := embeddedKey(raw)
	if err != nil {
		return nil, err
	}
	c, err := t.Verify(key)
	if err != nil {
		return nil, err
	}
	// 2. It is for this request and this token.
	if method := c.String("htm"); method != r.Method {
		return nil, fmt.Errorf("htm %.20q", method)
	}
	if !sameTarget(c.String("htu"), r.URL) {
		return nil, errors.New("htu is another URL")
	}
	sum := crypto.SHA256.New()
	sum.Write([]byte(r.AccessToken))
	if c.String("ath") != base64.RawURLEncoding.EncodeToString(sum.Sum(nil)) {
		return nil, errors.New("ath is of another token")
	}
	// 3. It is fresh, and can be told from others.
	if age := now.Sub(c.IssuedAt); c.IssuedAt.IsZero() || age.Abs() > r.MaxAge {
		return nil, errors.New("iat is missing or too far from now")
	}
	if c.ID == "" || len(c.ID) > MaxKeyIDBytes {
		return nil, errors.New("jti is missing or too long")
	}
	return &Proof{Thumbprint: thumbprint, ID: c.ID, IssuedAt: c.IssuedAt}, nil
}

// embeddedKey returns the key in the header of a proof, of a token that Parse
// has accepted, and its thumbprint (RFC 7638). Private keys and secrets are none.
func embeddedKey(raw string) (*Key, string, error) {
	parts, err := split(raw)
	if err != nil {
		return nil, "", err
	}
	members, err := decodeObject(parts.header)
	if err != nil {
		return nil, "", err
	}
	object, ok := members["jwk"].(map[string]any)
	if !ok {
		return nil, "", errors.New("there is no jwk in the header")
	}
	data, err := json.Marshal(object)
	if err != nil {
		return nil, "", err
	}
	key, err := parseKey(data)
	if err != nil {
		return nil, "", err
	}
	public, err := jwk.FromRaw(key.material)
	if err != nil {
		return nil, "", err
	}
	hash, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, "", err
	}
	return key, base64.RawURLEncoding.EncodeToString(hash), nil
}

// sameTarget compares two URLs without their query and fragment, after the
// normalization of RFC 3986 sections 6.2.2 and 6.2.3.
func sameTarget(a, b string) bool {
	x, errX := url.Parse(a)
	y, errY := url.Parse(b)
	if errX != nil || errY != nil || x.Host == "" || x.User != nil {
		return false
	}
	return strings.EqualFold(x.Scheme, y.Scheme) && hostOf(x) == hostOf(y) && pathOf(x) == pathOf(y)
}

func hostOf(u *url.URL) string {
	host := strings.ToLower(u.Host)
	switch strings.ToLower(u.Scheme) {
	case "https":
		return strings.TrimSuffix(host, ":443")
	case "http":
		return strings.TrimSuffix(host, ":80")
	}
	return host
}

// pathOf decodes the path, in which an encoded slash stays another thing than a
// slash.
func pathOf(u *url.URL) string {
	escaped := strings.ReplaceAll(strings.ReplaceAll(u.EscapedPath(), "%2F", "%252F"), "%2f", "%252F")
	path, err := url.PathUnescape(escaped)
	if err != nil {
		return u.EscapedPath()
	}
	if path == "" {
		return "/"
	}
	return path
}
