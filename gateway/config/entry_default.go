package config

import (
	"maps"
	"strings"
	"time"
)

// shortFormExample is the short form as messages show it.
const shortFormExample = "issuer, client_id, client_secret_file, upstream"

// shortKeys are the keys of the short form, and where Load moves each.
func shortKeys() [][2]string {
	return [][2]string{
		{"issuer", "login.providers[0].issuer"},
		{"client_id", "login.providers[0].client_id"},
		{"client_secret_file", "login.providers[0].client_secret_file"},
		{"upstream", "routes[0].upstream"},
		{"allow", "policies[0].rules[0].allow"},
	}
}

// shortPath turns the path of a moved key into the one that was written.
func shortPath(path string) string {
	for _, k := range shortKeys() {
		if rest, ok := strings.CutPrefix(path, k[1]); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return k[0] + rest
		}
	}
	return path
}

// expandShortForm turns the short form into one provider and one route.
func (k *checker) expandShortForm() {
	first := ""
	for _, key := range shortKeys() {
		if first == "" && k.given(key[0]) {
			first = key[0]
		}
	}
	if first == "" {
		return
	}
	for _, long := range []string{"login.providers", "routes"} {
		if k.given(long) {
			k.fault(first, "the short form is used together with "+long, "keep one of the two: move issuer and client_id to login.providers, and upstream to routes")
			k.loseUnlessGiven("routes", "login.providers")
			return
		}
	}
	policy := PolicyAuthenticated
	if k.given("allow") {
		if k.given("policies") {
			k.fault("allow", "allow is used together with policies", "keep one of the two: move allow to a rule of a policy, and issuer, client_id and upstream to login.providers and routes")
			k.loseUnlessGiven("routes", "login.providers")
			return
		}
		policy = "app"
		if k.Allow == nil { // what it says can't be used, and is a fault of its own
			k.Allow = new(Match)
		}
		k.Policies = []Policy{{Name: policy, Rules: []Rule{{Name: "allow", Allow: k.Allow}}}}
	}
	k.source.short = true
	k.Login.Providers = []Provider{{
		Name: "oidc", Type: ProviderOIDC, Issuer: k.Issuer, ClientID: k.ClientID, ClientSecretFile: k.ClientSecretFile,
	}}
	k.Routes = []Route{{
		Name: "app", Upstream: Upstreams{k.Upstream}, Auth: []string{AuthSession}, Policy: policy,
	}}
	for _, key := range shortKeys() {
		if key[0] != "client_secret_file" && key[0] != "allow" && !k.given(key[0]) {
			k.missing(key[0], "is missing, while "+first+" is given", "the short form is "+shortFormExample+" (the third only where the provider gave a secret)")
			k.lost.add(key[0])
		}
		for path := range maps.Clone(k.lost.at) {
			if rest, ok := strings.CutPrefix(path, key[0]); ok && (rest == "" || rest[0] == '.') {
				k.lost.add(key[1] + rest)
			}
		}
	}
}

// loseUnlessGiven has nothing said of what the short form would have made. What was
// written is checked all the same.
func (k *checker) loseUnlessGiven(paths ...string) {
	for _, path := range paths {
		if !k.given(path) {
			k.lost.add(path)
		}
	}
}

// entryDefaults fills in what entries of lists leave out.
func (c *Config) entryDefaults() {
	c.Server.listenerDefaults(c.source.given)
	for i := range c.Login.Providers {
		c.Login.Providers[i].entryDefaults(c.source.given(item("login.providers", i) + ".scopes"))
	}
	for i := range c.Tokens.Issuers {
		at := item("tokens.issuers", i)
		c.Tokens.Issuers[i].entryDefaults(c.source.given(at+".algorithms"), c.source.given(at+".leeway"))
	}
	for i := range c.Tokens.Introspection {
		at := item("tokens.introspection", i)
		c.Tokens.Introspection[i].entryDefaults(c.source.given(at+".cache_ttl"), c.source.given(at+".timeout"))
	}
	for _, p := range c.Policies {
		if p.Authorizer != nil && p.Authorizer.Timeout == 0 {
			p.Authorizer.Timeout = time.Second
		}
	}
	for i := range c.Routes {
		at := item("routes", i)
		c.Routes[i].entryDefaults(c.source.given(at+".auth"), c.source.given(at+".paths"))
		c.Routes[i].carryDefaults(func(key string) bool { return c.source.given(at + "." + key) })
	}
}

func (t *TokenIssuer) entryDefaults(algorithmsGiven, leewayGiven bool) {
	if !algorithmsGiven {
		t.Algorithms = []string{"RS256", "ES256", "EdDSA"}
		if t.Secret != "" || t.SecretFile != "" {
			t.Algorithms = []string{"HS256"}
		}
	}
	if !leewayGiven {
		t.Leeway = time.Minute
	}
	if t.MaxStale == 0 {
		t.MaxStale = 24 * time.Hour
	}
	t.ClaimMapping.entryDefaults()
}

func (i *Introspection) entryDefaults(ttlGiven, timeoutGiven bool) {
	if i.ClientAuth == "" {
		i.ClientAuth = ClientAuthBasic
		if i.ClientKeyFile != "" {
			i.ClientAuth = ClientAuthPrivateKey
		}
	}
	if !ttlGiven {
		i.CacheTTL = 30 * time.Second
	}
	if !timeoutGiven {
		i.Timeout = 2 * time.Second
	}
	i.ClaimMapping.entryDefaults()
}

func (m *ClaimMapping) entryDefaults() {
	for _, one := range []struct {
		claim    *string
		fallback string
	}{
		{&m.SubjectClaim, "sub"},
		{&m.EmailClaim, "email"},
		{&m.NameClaim, "name"},
		{&m.UsernameClaim, "preferred_username"},
		{&m.GroupsClaim, "groups"},
	} {
		if *one.claim == "" {
			*one.claim = one.fallback
		}
	}
}

func (r *Route) entryDefaults(authGiven, pathsGiven bool) {
	if !authGiven && !r.Public {
		r.Auth = []string{AuthSession}
	}
	if !pathsGiven {
		r.Paths = []string{"/"}
	}
	for i, h := range r.Hosts {
		r.Hosts[i] = strings.ToLower(h)
	}
	for i := range r.Headers {
		h := &r.Headers[i]
		if h.Join == "" {
			h.Join = ","
		}
		if h.Encoding == "" {
			h.Encoding = "percent"
		}
	}
}
