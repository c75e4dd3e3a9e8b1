package jose

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Rules say which proven tokens of one issuer are accepted. The zero Rules
// accept none.
type Rules struct {
	Issuer     string   // compared byte for byte
	Audiences  []string // the token must be for one of them; for ID tokens, the first is the client id
	Algorithms []string // nothing else is accepted, whatever the keys can do

	// Leeway is how far the clocks of issuer and gateway may differ.
	Leeway time.Duration
	// MaxLifetime bounds exp - iat (exp - now without iat). Zero is no bound.
	MaxLifetime time.Duration
	// The others are about access tokens alone.

	// Types are the accepted values of the typ header, without regard to case;
	// "" stands for its absence. Empty accepts what most issuers send: none, JWT
	// and at+jwt. Only at+jwt says by itself that it is an access token (RFC 9068).
	Types []string
	// RequiredClaims must be there and not be null, besides iss, aud, exp and sub.
	RequiredClaims []string
	// SubjectClaim is the claim that names the subject and so is required; empty
	// is sub.
	SubjectClaim string
	// SharedAudience says that one of Audiences is also the client id of
	// somebody who signs people in, so that ID tokens have the same aud. Then a
	// token must show that it is an access token.
	SharedAudience bool
}

// JudgeAlgorithm decides whether the rules accept the token's algorithm at
// all. It belongs before the search for the key, so that a token cannot cause
// a search that is in vain (RFC 8725 section 3.1).
func (r *Rules) JudgeAlgorithm(t *Token) error {
	if !slices.Contains(r.Algorithms, t.Header.Algorithm) {
		return &Invalid{AlgorithmNotAllowed, fmt.Errorf("%s is not configured for this issuer", t.Header.Algorithm)}
	}
	return nil
}

// JudgeAccess decides whether a proven token is an access token for us (RFC
// 9068 section 4, RFC 8725). exp and sub are required. Tokens made for another
// purpose are refused. Whether a token that is bound to a key is presented by
// the one who has it is not judged here: see Claims.Confirmation. Errors are
// *Invalid.
func (r *Rules) JudgeAccess(t *Token, c *Claims, now time.Time) error {
	// 1. The algorithm is one that was configured.
	if err := r.JudgeAlgorithm(t); err != nil {
		return err
	}
	// 2. The token is of the right kind.
	if err := checkType(t, r.types()...); err != nil {
		return err
	}
	if err := accessKind(c); err != nil {
		return err
	}
	if r.SharedAudience && !showsAccess(t, c) {
		return &Invalid{WrongTokenType, errors.New("it may be an ID token: its audience is a client id, and nothing in it is of an access token")}
	}
	// 3. It comes from the issuer, and it is for us.
	if err := r.checkIssuer(c); err != nil {
		return err
	}
	if err := r.checkAudience(c, r.Audiences); err != nil {
		return err
	}
	// 4. It is valid now.
	if err := r.checkTimes(c, now); err != nil {
		return err
	}
	// 5. It is about somebody, and says what it must.
	subject := r.SubjectClaim
	if subject == "" {
		subject = "sub"
	}
	if c.String(subject) == "" {
		return &Invalid{MissingClaim, errors.New(subject)}
	}
	for _, name := range r.RequiredClaims {
		if v, ok := c.Lookup(name); !ok || v == nil {
			return &Invalid{MissingClaim, errors.New(name)}
		}
	}
	return nil
}

// types returns the accepted values of typ. RFC 9068 section 4 wants at+jwt to
// be known with and without its "application/".
func (r *Rules) types() []string {
	if len(r.Types) == 0 {
		return []string{"", "JWT", "at+jwt", "application/at+jwt"}
	}
	types := slices.Clone(r.Types)
	for _, typ := range r.Types {
		if typ != "" && !strings.Contains(typ, "/") {
			types = append(types, "application/"+typ)
		}
	}
	return types
}

// showsAccess looks for what access tokens have and ID tokens have not.
func showsAccess(t *Token, c *Claims) bool {
	if checkType(t, "at+jwt", "application/at+jwt") == nil {
		return true
	}
	for _, mark := range []string{"scope", "scp", "client_id", "cnf"} {
		if _, ok := c.Raw[mark]; ok {
			return true
		}
	}
	return refuseUse(c, "access", "bearer", "dpop") != nil
}

// JudgeID decides whether a proven token is the ID token of this very sign-in
// (OpenID Connect Core 1.0 section 3.1.3.7). The client id is the first of
// Audiences. The nonce is required, on both sides. at_hash is checked when the
// token has one and there is an access token to check it with. Errors are
// *Invalid.
func (r *Rules) JudgeID(t *Token, c *Claims, now time.Time, nonce, accessToken string) error {
	return r.judgeID(t, c, now, accessToken, func() error { return checkNonce(c, nonce) })
}

// JudgeRefreshedID is JudgeID for an ID token that came with refreshed tokens
// (OpenID Connect Core 1.0 section 12.2). It need not have a nonce; one that it
// has must be that of the sign-in. Whether it is about the same user is for the
// caller to judge.
func (r *Rules) JudgeRefreshedID(t *Token, c *Claims, now time.Time, nonce, accessToken string) error {
	return r.judgeID(t, c, now, accessToken, func() error {
		if _, ok := c.Raw["nonce"]; !ok {
			return nil
		}
		return checkNonce(c, nonce)
	})
}

func (r *Rules) judgeID(t *Token, c *Claims, now time.Time, accessToken string, answers func() error) error {
	// 1. The algorithm is one that was configured.
	if err := r.JudgeAlgorithm(t); err != nil {
		return err
	}
	// 2. The token is of the right kind.
	if err := checkType(t, "", "JWT", "application/jwt"); err != nil {
		return err
	}
	if err := idKind(c); err != nil {
		return err
	}
	// 3. It comes from the issuer, it is for us, and nobody else asked for it.
	if err := r.checkIssuer(c); err != nil {
		return err
	}
	if len(r.Audiences) == 0 {
		return &Invalid{WrongAudience, errors.New("no client id is configured")}
	}
	client := r.Audiences[0]
	if err := r.checkAudience(c, r.Audiences[:1]); err != nil {
		return err
	}
	if azp, ok := c.Raw["azp"]; (ok || len(c.Audience) > 1) && azp != client {
		return &Invalid{WrongAudience, errors.New("azp is not the client id")}
	}
	// 4. It is valid now.
	if c.IssuedAt.IsZero() {
		return &Invalid{MissingClaim, errors.New("iat")}
	}
	if err := r.checkTimes(c, now); err != nil {
		return err
	}
	// 5. It answers the request of this browser, or follows from one.
	if err := answers(); err != nil {
		return err
	}
	// 6. It came with this access token.
	if err := checkAccessTokenHash(t, c, accessToken); err != nil {
		return err
	}
	// 7. It is about somebody.
	if c.Subject == "" {
		return &Invalid{MissingClaim, errors.New("sub")}
	}
	return nil
}

func (r *Rules) checkIssuer(c *Claims) error {
	switch {
	case c.Issuer == "":
		return &Invalid{MissingClaim, errors.New("iss")}
	case r.Issuer == "" || c.Issuer != r.Issuer:
		return &Invalid{WrongIssuer, fmt.Errorf("%.200q instead of %q", c.Issuer, r.Issuer)}
	}
	return nil
}

func (r *Rules) checkAudience(c *Claims, accepted []string) error {
	if _, ok := c.Raw["aud"]; !ok {
		return &Invalid{MissingClaim, errors.New("aud")}
	}
	for _, aud := range c.Audience {
		if aud != "" && slices.Contains(accepted, aud) {
			return nil
		}
	}
	return &Invalid{WrongAudience, fmt.Errorf("%.200q instead of one of %q", c.Audience, accepted)}
}

func (r *Rules) checkTimes(c *Claims, now time.Time) error {
	leeway := max(r.Leeway, 0)
	if c.Expires.IsZero() {
		return &Invalid{MissingClaim, errors.New("exp")}
	}
	if !now.Before(c.Expires.Add(leeway)) {
		return &Invalid{TokenExpired, fmt.Errorf("%v ago", now.Sub(c.Expires).Round(time.Second))}
	}
	begin := c.NotBefore
	if c.IssuedAt.After(begin) {
		begin = c.IssuedAt
	}
	if begin.After(now.Add(leeway)) {
		return &Invalid{TokenNotYetValid, fmt.Errorf("not for another %v", begin.Sub(now).Round(time.Second))}
	}
	if !c.Expires.After(begin) {
		return &Invalid{TokenLifetime, errors.New("it ends before it begins")}
	}
	if r.MaxLifetime > 0 {
		from := c.IssuedAt
		if from.IsZero() {
			from = now.Add(leeway)
		}
		if life := c.Expires.Sub(from); life > r.MaxLifetime {
			return &Invalid{TokenLifetime, fmt.Errorf("%v, where %v are allowed", life.Round(time.Second), r.MaxLifetime)}
		}
	}
	return nil
}

// checkType compares typ with the accepted media types, which are without
// case (RFC 2045). A typ that is not known is another kind of token (RFC 8725
// section 3.11).
func checkType(t *Token, accepted ...string) error {
	for _, typ := range accepted {
		if strings.EqualFold(t.Header.Type, typ) {
			return nil
		}
	}
	return &Invalid{WrongTokenType, fmt.Errorf("typ %.40q", t.Header.Type)}
}

// accessKind refuses what only other kinds of tokens carry: providers that set
// no typ sign all kinds with the same key (RFC 8725 section 3.12).
func accessKind(c *Claims) error {
	for _, mark := range []string{"nonce", "at_hash", "c_hash", "s_hash", "events"} {
		if _, ok := c.Raw[mark]; ok {
			return &Invalid{WrongTokenType, fmt.Errorf("an access token has no %s", mark)}
		}
	}
	return refuseUse(c, "id", "id_token", "refresh", "refresh_token", "offline", "logout")
}

func idKind(c *Claims) error {
	if _, ok := c.Raw["events"]; ok {
		return &Invalid{WrongTokenType, errors.New("an ID token has no events")}
	}
	return refuseUse(c, "bearer", "access", "access_token", "refresh", "refresh_token", "offline", "logout")
}

// refuseUse looks at the two claims in which providers say what a token is
// for: token_use (Cognito) and typ (Keycloak).
func refuseUse(c *Claims, refused ...string) error {
	for _, claim := range []string{"token_use", "typ"} {
		v, ok := c.Raw[claim]
		if !ok {
			continue
		}
		use, ok := v.(string)
		if !ok || slices.ContainsFunc(refused, func(s string) bool { return strings.EqualFold(s, use) }) {
			return &Invalid{WrongTokenType, fmt.Errorf("%s %.40q", claim, use)}
		}
	}
	return nil
}

func checkNonce(c *Claims, nonce string) error {
	v, ok := c.Raw["nonce"]
	if !ok || nonce == "" {
		return &Invalid{MissingClaim, errors.New("nonce")}
	}
	got, _ := v.(string)
	if subtle.ConstantTimeCompare([]byte(got), []byte(nonce)) != 1 {
		return &Invalid{WrongNonce, nil}
	}
	return nil
}

// checkAccessTokenHash compares at_hash with the left half of the access
// token's hash (OpenID Connect Core 1.0 section 3.1.3.6).
func checkAccessTokenHash(t *Token, c *Claims, accessToken string) error {
	v, ok := c.Raw["at_hash"]
	if !ok || accessToken == "" {
		return nil
	}
	alg, ok := find(t.Header.Algorithm)
	if !ok {
		return &Invalid{AlgorithmNotAllowed, nil}
	}
	h := alg.hash.New()
	h.Write([]byte(accessToken))
	sum := h.Sum(nil)
	want := base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
	got, _ := v.(string)
	if subtle.ConstantTimeCompare([]byte(got), []byte(want)) != 1 {
		return &Invalid{WrongAccessToken, nil}
	}
	return nil
}
