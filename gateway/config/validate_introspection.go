package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// maxIntrospectionCache is how long an answer may count: a token that was
	// revoked at its server is accepted for so long.
	maxIntrospectionCache   = 30 * time.Second
	maxIntrospectionTimeout = 10 * time.Second
)

// UserIssuer is the issuer of those whose tokens the server knows, where its
// answer names none.
func (i *Introspection) UserIssuer() string {
	if i.Issuer != "" {
		return i.Issuer
	}
	return "introspection " + i.Name
}

func (k *checker) introspection() {
	names := map[string]int{}
	for i := range k.Tokens.Introspection {
		s := &k.Tokens.Introspection[i]
		at := item("tokens.introspection", i)
		switch first, twice := names[s.Name]; {
		case s.Name == "":
			k.missing(at+".name", "is missing", "give the server a short name, such as corp")
		case !providerName.MatchString(s.Name) || len(s.Name) > 63:
			k.fault(at+".name", fmt.Sprintf("%q is not a name", shorten(s.Name)), "write lower-case letters, digits and - only")
		case twice:
			k.fault(at+".name", fmt.Sprintf("%q is the name of tokens.introspection[%d] already", s.Name, first), "give each server a name of its own")
		default:
			names[s.Name] = i
		}
		if s.Endpoint == "" {
			k.missing(at+".endpoint", "is missing", "write the URL of the introspection endpoint, such as https://id.example.com/introspect")
		} else {
			k.outgoingURL(at+".endpoint", s.Endpoint, urlShape{path: true, query: true}, s.InsecureHTTP)
		}
		if s.ClientID == "" {
			k.missing(at+".client_id", "is missing", "write the client id that the server gave this gateway")
		}
		k.introspectionClient(at, s)
		for j, aud := range s.Audiences {
			if strings.TrimSpace(aud) == "" {
				k.fault(item(at+".audiences", j), "is empty", "write the aud of tokens for this gateway")
			}
		}
		if k.given(at+".audiences") && len(s.Audiences) == 0 {
			k.missing(at+".audiences", "is an empty list", "write the aud of tokens for this gateway, or remove it to leave that to the server")
		}
		if s.CacheTTL < 0 || s.CacheTTL > maxIntrospectionCache {
			k.fault(at+".cache_ttl", fmt.Sprintf("%s is not between 0s and %s", s.CacheTTL, maxIntrospectionCache), "write how long an answer counts, such as 10s, or 0s to ask each time")
		}
		if s.Timeout <= 0 || s.Timeout > maxIntrospectionTimeout {
			k.fault(at+".timeout", fmt.Sprintf("%s is not above 0s and up to %s", s.Timeout, maxIntrospectionTimeout), "write how long the server may take, such as 2s")
		}
		k.file(at+".ca_file", s.CAFile)
	}
}

// introspectionClient wants exactly one way in which the gateway proves itself:
// an endpoint that tells anybody about tokens is an oracle.
func (k *checker) introspectionClient(at string, s *Introspection) {
	methods := []string{ClientAuthBasic, ClientAuthPost, ClientAuthPrivateKey}
	if !slices.Contains(methods, s.ClientAuth) {
		k.oneOf(at+".client_auth", s.ClientAuth, methods...)
		return
	}
	k.secret(at, "client_secret", s.ClientSecret, s.ClientSecretFile)
	secret := k.given(at+".client_secret") || s.ClientSecretFile != ""
	if s.ClientAuth == ClientAuthPrivateKey {
		if secret {
			k.fault(at+".client_auth", "is private_key_jwt, and there is a client secret as well", "keep one of them")
		}
		if s.ClientKeyFile == "" {
			k.missing(at+".client_key_file", "is missing", "write client_key_file: FILE, a private key in PEM, such as `openssl genpkey -algorithm ed25519` makes")
		}
		k.file(at+".client_key_file", s.ClientKeyFile)
		return
	}
	if s.ClientKeyFile != "" {
		k.fault(at+".client_key_file", "does not apply to "+s.ClientAuth, "remove it, or write client_auth: private_key_jwt")
	}
	if !secret {
		k.missing(at+".client_secret_file", "is missing", "write client_secret_file: FILE, or client_key_file: FILE for private_key_jwt")
	}
}
