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
		k.file(at+".ca_file", t.CAFile)
		k.tokenKeys(at, t)
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
