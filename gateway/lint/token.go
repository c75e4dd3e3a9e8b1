package lint

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
)

// The longest times of tokens that need no reason.
const (
	longLeeway   = 2 * time.Minute
	longToken    = 24 * time.Hour
	longStale    = 72 * time.Hour
	longProof    = 5 * time.Minute
	longExchange = 15 * time.Minute
)

func tokenCodes() []Code {
	return []Code{
		{
			ID: "SP050", Severity: Warning, Title: "tokens are proven with a shared secret",
			Why:        "Whoever can verify such a token can also make one: everybody who holds the secret can come as anybody. With key pairs only the issuer can.",
			References: []string{"ASVS 9.1.2", "RFC 8725 section 3.2"},
			Bad: `tokens:
  issuers:
    - issuer: https://id.example.com
      audiences: [api]
      secret_file: /run/secrets/shared  # SP050
`,
			Good: `tokens:
  issuers:
    - issuer: https://id.example.com
      audiences: [api]
      jwks_url: https://id.example.com/keys
`,
			find: func(l *linter) {
				for i, t := range l.Tokens.Issuers {
					if key := secretKey(&t); key != "" {
						l.found(item("tokens.issuers", i)+"."+key, "proves tokens by "+strings.Join(t.Algorithms, ", "), "let the issuer sign with ES256, EdDSA or RS256, and write jwks_url")
					}
				}
			},
		},
		{
			ID: "SP051", Severity: Warning, Title: "access tokens have the audience of ID tokens",
			Why:        "An ID token is for the client. Where both have one audience, only what else they hold tells a token that an API may take from one that any page with a sign-in gets.",
			References: []string{"ASVS 9.2.2", "ASVS 9.2.3", "RFC 8725 section 3.12"},
			Bad: `tokens:
  issuers:
    - issuer: https://id.example.com
      audiences: [app]  # SP051
`,
			Good: `tokens:
  issuers:
    - issuer: https://id.example.com
      audiences: [https://api.example.com]
`,
			find: (*linter).clientAudience,
		},
		{
			ID: "SP052", Severity: Warning, Title: "clocks may differ much",
			Why:        "A token is accepted for that long after it has expired, and before it counts.",
			References: []string{"ASVS 9.2.1", "RFC 7519 section 4.1.4"},
			Bad: `tokens:
  issuers:
    - issuer: https://id.example.com
      audiences: [api]
      leeway: 5m  # SP052
`,
			Good: `tokens:
  issuers:
    - issuer: https://id.example.com
      audiences: [api]
      leeway: 60s
`,
			find: func(l *linter) {
				for i, t := range l.Tokens.Issuers {
					if t.Leeway > longLeeway {
						l.found(item("tokens.issuers", i)+".leeway", fmt.Sprintf("is %s, more than %s", hours(t.Leeway), hours(longLeeway)), "write leeway: 60s, and keep the clocks right")
					}
				}
			},
		},
		{
			ID: "SP053", Severity: Warning, Title: "tokens may live long",
			Why:        "A token that was stolen is good until it expires, unless somebody notices and revokes it.",
			References: []string{"ASVS 9.2.1", "RFC 6750 section 5.3"},
			Bad: `tokens:
  issuers:
    - issuer: https://id.example.com
      audiences: [api]
      max_lifetime: 720h  # SP053
`,
			Good: `tokens:
  issuers:
    - issuer: https://id.example.com
      audiences: [api]
      max_lifetime: 1h
`,
			find: func(l *linter) {
				for i, t := range l.Tokens.Issuers {
					if t.MaxLifetime > longToken {
						l.found(item("tokens.issuers", i)+".max_lifetime", fmt.Sprintf("is %s, more than %s", hours(t.MaxLifetime), hours(longToken)), "write max_lifetime: 1h, or what the issuer gives")
					}
				}
			},
		},
		{
			ID: "SP054", Severity: Warning, Title: "a shared secret shorter than its hash",
			Why:        "Who has one token can try secrets on a machine of his own; an HMAC is as strong as its secret, and no stronger.",
			References: []string{"RFC 7518 section 3.2", "RFC 8725 section 3.5"},
			Bad: `tokens:
  issuers:
    - issuer: https://id.example.com
      audiences: [api]
      algorithms: [HS512]
      secret_file: /run/secrets/shared  # SP054 SP050
`,
			Good: `tokens:
  issuers:
    - issuer: https://id.example.com
      audiences: [api]
      algorithms: [ES512]
      jwks_url: https://id.example.com/keys
`,
			find: (*linter).shortSecret,
		},
		{
			ID: "SP055", Severity: Warning, Title: "opaque tokens for any audience are accepted",
			Why:        "A token that another application was given for itself opens this one, unless the server refuses to introspect it here. Most don't.",
			References: []string{"ASVS 10.3.1", "RFC 9700 section 2.3", "RFC 7662 section 4"},
			Bad: `tokens:
  introspection:
    - name: corp
      endpoint: https://id.example.com/introspect  # SP055
      client_id: gateway
      client_secret_file: /run/secrets/introspection
`,
			Good: `tokens:
  introspection:
    - name: corp
      endpoint: https://id.example.com/introspect
      client_id: gateway
      client_secret_file: /run/secrets/introspection
      audiences: [https://api.example.com]
`,
			find: func(l *linter) {
				for i, s := range l.Tokens.Introspection {
					if len(s.Audiences) == 0 {
						l.found(item("tokens.introspection", i)+".endpoint", "has no audiences beside it", "write audiences: [NAME], the aud that the server answers for tokens of this gateway")
					}
				}
			},
		},
		{
			ID: "SP056", Severity: Warning, Title: "keys of an issuer count long after it was seen last",
			Why:        "A key that the issuer has withdrawn, because it was stolen, proves tokens for that long if the issuer can be kept out of sight.",
			References: []string{"ASVS 9.1.3"},
			Bad: `tokens:
  issuers:
    - issuer: https://id.example.com
      audiences: [api]
      max_stale: 720h  # SP056
`,
			Good: `tokens:
  issuers:
    - issuer: https://id.example.com
      audiences: [api]
      max_stale: 24h
`,
			find: func(l *linter) {
				for i, t := range l.Tokens.Issuers {
					if t.MaxStale > longStale {
						l.found(item("tokens.issuers", i)+".max_stale", fmt.Sprintf("is %s, more than %s", hours(t.MaxStale), hours(longStale)), "write max_stale: 24h")
					}
				}
			},
		},
		{
			ID: "SP057", Severity: Note, Title: "proofs of possession count long",
			Why:        "A proof that was read on the way can be sent again for that long at a gateway that has not seen it.",
			References: []string{"RFC 9449 section 11.1", "ASVS 10.3.5"},
			Bad: `tokens:
  dpop: {max_age: 10m}  # SP057
`,
			Good: `tokens:
  dpop: {max_age: 60s}
`,
			find: func(l *linter) {
				if d := l.Tokens.DPoP.MaxAge; d > longProof {
					l.found("tokens.dpop.max_age", fmt.Sprintf("is %s, more than %s", hours(d), hours(longProof)), "write dpop: {max_age: 60s}")
				}
			},
		},
		{
			ID: "SP058", Severity: Warning, Title: "tokens of the exchange outlive their session",
			Why:        "What a session was exchanged for is good until it expires, also after its user has signed out.",
			References: []string{"ASVS 7.4.1", "RFC 6750 section 5.3"},
			Bad: `tokens:
  exchange: {enabled: true, audiences: [api], lifetime: 1h}  # SP058
`,
			Good: `tokens:
  exchange: {enabled: true, audiences: [api], lifetime: 5m}
`,
			find: func(l *linter) {
				if x := l.Tokens.Exchange; x.Enabled && x.Lifetime > longExchange {
					l.found("tokens.exchange.lifetime", fmt.Sprintf("is %s, more than %s", hours(x.Lifetime), hours(longExchange)), "write lifetime: 5m; clients can exchange the session again")
				}
			},
		},
	}
}

// secretKey is the key by which an issuer's secret is given.
func secretKey(t *config.TokenIssuer) string {
	switch {
	case t.SecretFile != "":
		return "secret_file"
	case t.Secret != "":
		return "secret"
	}
	return ""
}

// clientAudience looks at the providers that sign with the same keys: others' ID
// tokens have another issuer.
func (l *linter) clientAudience() {
	for i, t := range l.Tokens.Issuers {
		for j, audience := range t.Audiences {
			if slices.ContainsFunc(l.Login.Providers, func(p config.Provider) bool { return p.ClientID == audience && p.UserIssuer() == t.Issuer }) {
				l.found(item(item("tokens.issuers", i)+".audiences", j), quoted(audience)+" is the client_id of a provider of this issuer",
					"register an audience for the API at the issuer, and name that; until then write types: [at+jwt]")
			}
		}
	}
}

func (l *linter) shortSecret() {
	for i, t := range l.Tokens.Issuers {
		key := secretKey(&t)
		if key == "" {
			continue
		}
		secret, err := config.ReadSecret(t.Secret, l.FileName(t.SecretFile))
		if err != nil {
			continue
		}
		for _, one := range []struct {
			algorithm string
			bytes     int
		}{{"HS512", 64}, {"HS384", 48}} {
			if slices.Contains(t.Algorithms, one.algorithm) && len(secret) < one.bytes {
				l.found(item("tokens.issuers", i)+"."+key, fmt.Sprintf("the secret has %d bytes, and %s wants %d", len(secret), one.algorithm, one.bytes), fmt.Sprintf("make one with `openssl rand -hex %d`", one.bytes))
				break
			}
		}
	}
}
