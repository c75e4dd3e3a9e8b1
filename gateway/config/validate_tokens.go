package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// minHMACSecret is the least size of a shared secret in bytes (RFC 7518,
// section 3.2: as long as the hash of HS256).
const minHMACSecret = 32

func asymmetricAlgorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

func sharedAlgorithms() []string { return []string{"HS256", "HS384", "HS512"} }

func (k *checker) tokens() {
	issuers := map[string]int{}
	for i, t := range k.Tokens.Issuers {
		at := item("tokens.issuers", i)
		switch first, twice := issuers[t.Issuer]; {
		case t.Issuer == "":
			k.missing(at+".issuer", "is missing", "write the iss of the tokens, such as https://id.example.com")
		case twice:
			k.fault(at+".issuer", fmt.Sprintf("%q is the issuer of tokens.issuers[%d] already", shorten(t.Issuer), first), "write one entry for each issuer")
		default:
			issuers[t.Issuer] = i
		}
		if len(t.Audiences) == 0 {
			k.missing(at+".audiences", "is missing or empty, so that a token made for another application would do", "write audiences: [NAME], the aud of tokens for this gateway")
		}
		for j, aud := range t.Audiences {
			if strings.TrimSpace(aud) == "" {
				k.fault(item(at+".audiences", j), "is empty", "write the aud of tokens for this gateway")
			}
		}
		if t.Leeway < 0 || t.Leeway > 5*time.Minute {
			k.fault(at+".leeway", fmt.Sprintf("%s is not between 0s and 5m", t.Leeway), "write how far the clocks may differ, such as 60s")
		}
		k.tokenClaims(at, t)
		k.file(at+".ca_file", t.CAFile)
		k.tokenKeys(at, t)
	}
	if k.Tokens.Cache.MaxBytes < 0 {
		k.fault("tokens.cache.max_bytes", "is negative", "write a size such as 32MiB, or 0 to prove every token anew")
	}
	k.between("tokens.dpop.max_age", k.Tokens.DPoP.MaxAge, 10*time.Minute, "write how old a proof of possession may be, such as 60s")
	k.between("tokens.revocation.max_staleness", k.Tokens.Revocation.MaxStaleness, 30*24*time.Hour, "write how long tokens are accepted while the store is out of sight, such as 5s")
	for i, r := range k.Routes {
		k.tokenAudiences(item("routes", i)+".token_audiences", r)
	}
}

// tokenAudiences refuses audiences that no token of any issuer could have, and
// those of a route that takes no token with one.
func (k *checker) tokenAudiences(at string, r Route) {
	if len(r.TokenAudiences) == 0 {
		if k.given(at) {
			k.missing(at, "is empty, so that no token could be accepted", "name an audience, or remove it for any of the issuers'")
		}
		return
	}
	opaque := slices.Contains(r.Auth, AuthIntrospection)
	if !opaque && !slices.Contains(r.Auth, AuthBearer) && !slices.Contains(r.Auth, AuthBasic) {
		k.fault(at, "does not apply: the route takes no token that has an audience", "add bearer or introspection to auth, or remove it")
		return
	}
	var known []string
	for _, t := range k.Tokens.Issuers {
		known = append(known, t.Audiences...)
	}
	if k.Tokens.Exchange.Enabled {
		known = append(known, k.Tokens.Exchange.Audiences...)
	}
	for _, s := range k.Tokens.Introspection {
		if known = append(known, s.Audiences...); opaque && len(s.Audiences) == 0 {
			return // whatever that server says
		}
	}
	for i, aud := range r.TokenAudiences {
		if !slices.Contains(known, aud) && !k.lost.touches("tokens") {
			k.fault(item(at, i), fmt.Sprintf("no issuer accepts the audience %q", shorten(aud)), "add it to audiences of the issuer as well")
		}
	}
}

func (k *checker) tokenClaims(at string, t TokenIssuer) {
	for i, typ := range t.Types {
		if kind := strings.TrimPrefix(strings.ToLower(typ), "application/"); kind != "" && kind != "jwt" && !strings.HasSuffix(kind, "+jwt") {
			k.fault(item(at+".types", i), fmt.Sprintf("%q is no type of a JWT", shorten(typ)), `write at+jwt for access tokens as RFC 9068 has them, JWT, or "" for tokens without a typ`)
		}
	}
	if k.given(at+".types") && len(t.Types) == 0 {
		k.missing(at+".types", "is empty, so that no token could be accepted", "write [at+jwt], or remove it for the default")
	}
	for i, name := range t.RequiredClaims {
		if strings.TrimSpace(name) == "" {
			k.fault(item(at+".required_claims", i), "is empty", "write the name of a claim, such as client_id")
		}
	}
	if t.MaxLifetime < 0 {
		k.fault(at+".max_lifetime", "is negative", "write the longest life of a token, such as 24h, or 0 for any")
	}
	if k.given(at+".max_stale") && (t.MaxStale < time.Second || t.MaxStale > 30*24*time.Hour) {
		k.fault(at+".max_stale", fmt.Sprintf("%s is not between 1s and 720h", t.MaxStale), "write how long the last good keys serve while the issuer is down, such as 24h")
	}
}

// tokenKeys checks where the keys come from and which algorithms they serve. A
// public key must never serve as a shared secret, so the two never meet.
func (k *checker) tokenKeys(at string, t TokenIssuer) {
	shared := t.Secret != "" || t.SecretFile != ""
	sources := 0
	for _, has := range []bool{t.JWKSURL != "", t.JWKSFile != "", shared} {
		if has {
			sources++
		}
	}
	if sources > 1 {
		k.fault(at, "has more than one source of keys", "keep one of jwks_url, jwks_file and secret_file")
	}

	secret := k.secret(at, "secret", t.Secret, t.SecretFile)
	if secret != "" && len(secret) < minHMACSecret {
		key := at + ".secret"
		if t.Secret == "" {
			key = at + ".secret_file"
		}
		k.fault(key, fmt.Sprintf("the secret is shorter than %d bytes and can be guessed from any one token", minHMACSecret), "make one with `openssl rand -hex 32`")
	}
	k.file(at+".jwks_file", t.JWKSFile)
	switch {
	case t.JWKSURL != "":
		k.outgoingURL(at+".jwks_url", t.JWKSURL, urlShape{path: true, query: true}, t.InsecureHTTP)
	case sources == 0 && t.Issuer != "" && !k.given(at+".secret"):
		if _, problem := (urlShape{schemes: []string{"https", "http"}, path: true}).parse(t.Issuer); problem != "" {
			k.fault(at+".issuer", problem+", and without jwks_url, jwks_file or secret_file the keys are found through it", "write the issuer's URL, or one of those")
			break
		}
		k.outgoingURL(at+".issuer", t.Issuer, urlShape{path: true}, t.InsecureHTTP)
	}

	if len(t.Algorithms) == 0 {
		k.missing(at+".algorithms", "is empty, so that no token could be accepted", "write [RS256], or remove it for the default")
	}
	for i, alg := range t.Algorithms {
		k.algorithm(item(at+".algorithms", i), alg, shared)
	}
}

func (k *checker) algorithm(at, alg string, shared bool) {
	isShared := slices.Contains(sharedAlgorithms(), alg)
	switch {
	case strings.EqualFold(alg, "none"):
		k.fault(at, "none accepts tokens that nobody has signed", "write the algorithm that the issuer signs with, such as RS256")
	case !isShared && !slices.Contains(asymmetricAlgorithms(), alg):
		k.oneOf(at, alg, append(asymmetricAlgorithms(), sharedAlgorithms()...)...)
	case isShared && !shared:
		k.fault(at, alg+" works with a shared secret, never with published keys", "write RS256, ES256 or EdDSA, or give a secret_file")
	case !isShared && shared:
		k.fault(at, alg+" works with published keys, never with a shared secret", "write HS256, or replace the secret by jwks_url or jwks_file")
	}
}
