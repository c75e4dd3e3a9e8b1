// Package jose reads, proves and makes signed JSON Web Tokens. It owns the
// strict reading of everything that comes from outside (tokens and key sets),
// the binding of algorithms to keys, and the judgement of claims. It leaves to
// others where keys come from (package jwks) and what a proven token may do.
//
// It is the only importer of jwx. That library is lenient where a gateway must
// not be, so a token passes our own reader first (RFC 7515 section 5.2, RFC
// 8725), jwx proves the signature with exactly one algorithm and one key (for
// PSS it is crypto/rsa, which can be held to the salt), and the claims are ours
// again.
//
// A token that is refused is always an *Invalid; no function here knows an
// outage.
package jose

// Invalid is why a token, or a key, was refused.
type Invalid struct { //nolint:errname // it reads as what it is: *jose.Invalid
	Reason Reason
	Err    error // the cause, for the log; it holds no part of a token's signature and no key
}

// Error returns the reason and the cause.
func (e *Invalid) Error() string {
	if e.Err == nil {
		return string(e.Reason)
	}
	return string(e.Reason) + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Invalid) Unwrap() error { return e.Err }

// Reason is one word of a closed list. It is safe as a metric label and may be
// told to clients.
type Reason string

// The reasons for which a token or a key is refused.
const (
	MalformedToken      Reason = "malformed_token"       // not a compact JWS as RFC 7515 describes it
	TokenTooLarge       Reason = "token_too_large"       // longer than MaxTokenBytes, or MaxIDTokenBytes
	AlgorithmNotAllowed Reason = "algorithm_not_allowed" // unknown, not configured, or not what the key is for
	UnsupportedHeader   Reason = "unsupported_header"    // crit, b64 or zip
	UnknownKey          Reason = "unknown_key"
	BadSignature        Reason = "bad_signature"
	MalformedClaims     Reason = "malformed_claims"
	MissingClaim        Reason = "missing_claim"
	WrongIssuer         Reason = "wrong_issuer"
	WrongAudience       Reason = "wrong_audience"
	TokenExpired        Reason = "token_expired"
	TokenNotYetValid    Reason = "token_not_yet_valid" //nolint:gosec // a word, not a credential
	TokenLifetime       Reason = "token_lifetime"      // ends before it begins, or lives longer than allowed
	WrongTokenType      Reason = "wrong_token_type"    // an ID token for an access token, a logout token, ...
	BoundToken          Reason = "bound_token"         // bound to a key whose possession was not shown (cnf)
	WrongNonce          Reason = "wrong_nonce"         // an ID token of another sign-in
	WrongAccessToken    Reason = "wrong_access_token"  // an ID token that came with another access token
	InvalidProof        Reason = "invalid_dpop_proof"  // not a DPoP proof for this request and token
	MalformedKeys       Reason = "malformed_keys"
	WeakKey             Reason = "weak_key"
)

// Reasons returns the closed list, in the order of the documentation.
func Reasons() []Reason {
	return []Reason{
		MalformedToken, TokenTooLarge, AlgorithmNotAllowed, UnsupportedHeader,
		UnknownKey, BadSignature, MalformedClaims, MissingClaim, WrongIssuer,
		WrongAudience, TokenExpired, TokenNotYetValid, TokenLifetime,
		WrongTokenType, BoundToken, WrongNonce, WrongAccessToken, InvalidProof,
		MalformedKeys, WeakKey,
	}
}
