package config

import (
	"fmt"
	"slices"
	"strings"
)

// publicRoute refuses what only means something where somebody is proven, so
// that `public: true` can not be overlooked beside a policy.
func (k *checker) publicRoute(at string, r Route) {
	for _, key := range []string{"auth", "policy"} {
		if k.given(at + "." + key) {
			k.fault(at+"."+key, "does not apply to a public route, which lets everybody in", "remove it, or remove public: true")
		}
	}
	if slices.ContainsFunc(r.Headers, func(h Header) bool { return h.Claim != "" }) {
		k.fault(at+".headers", "a public route proves nobody, so there are no claims to send", "remove it, or remove public: true")
	}
}

func (k *checker) protectedRoute(at string, r Route, policies []string) {
	k.routePolicy(at+".policy", r.Policy, policies)
	if len(r.Auth) == 0 {
		k.missing(at+".auth", "is an empty list, by which nobody can come in", "write [session] or [bearer], or public: true for everybody")
	}
	for i, kind := range r.Auth {
		k.authKind(at, i, kind)
		if slices.Index(r.Auth, kind) < i {
			k.fault(item(at+".auth", i), fmt.Sprintf("%q is listed twice", shorten(kind)), "keep one of them")
		}
	}
	for _, kind := range r.Auth {
		if r.UpstreamAuthorization && slices.Contains(headerKinds(), kind) {
			k.fault(at+".upstream_authorization", "leaves the Authorization header to the application, while auth lists "+kind, "remove one of the two")
			break
		}
	}
	k.ambiguousSubjects(at, r)
}

// policyNames lists what a route can write under policy.
func (c *Config) policyNames() []string {
	names := []string{PolicyAuthenticated}
	for _, p := range c.Policies {
		if p.Name != "" {
			names = append(names, p.Name)
		}
	}
	return names
}

func (k *checker) routePolicy(at, name string, policies []string) {
	if name == "" {
		k.missing(at, "is missing", "write the name of a policy, authenticated for any proven user, or public: true for everybody")
		return
	}
	if slices.Contains(policies, name) || k.lost.names("policies") {
		return
	}
	fix := "write one of " + excerpt(strings.Join(policies[:min(len(policies), 8)], ", ")) + ", or add it to policies"
	if near, ok := nearest(name, policies); ok {
		fix = "did you mean " + excerpt(near) + "?"
	}
	k.fault(at, fmt.Sprintf("there is no policy %q", shorten(name)), fix)
}

func (k *checker) authKind(route string, i int, kind string) {
	at := route + ".auth"
	if k.given(at) {
		at = item(at, i)
	}
	switch kind {
	case AuthSession:
		if len(k.Login.Providers) == 0 && !k.lost.touches("login") {
			fix := "add one to login.providers"
			if len(k.Tokens.Issuers) > 0 {
				fix += ", or write auth: [bearer]"
			}
			k.fault(at, "session needs a way to sign in, and there is no login provider", fix)
		}
	case AuthBearer:
		if len(k.Tokens.Issuers) == 0 && !k.AcceptsOwnTokens() && !k.lost.touches("tokens") {
			k.fault(at, "bearer needs an issuer whose tokens are accepted, and there is none", "add one to tokens.issuers")
		}
	case AuthIntrospection:
		if len(k.Tokens.Introspection) == 0 && !k.lost.touches("tokens") {
			k.fault(at, "introspection needs a server that knows the tokens, and there is none", "add one to tokens.introspection")
		}
	case AuthBasic:
		if !k.hasPasswords() && !k.lost.touches("login") && !k.lost.touches("tokens") {
			k.fault(at, "basic needs accounts, or tokens that can come as a password, and there are none", "add a provider of type users to login.providers, or an entry to tokens")
		}
	case AuthClientCert:
		if k.Server.TLS.ClientCAFile == "" && !k.lost.touches("server.tls") {
			k.fault(at, "client_cert needs an authority whose certificates are accepted, and there is none", "name its certificate in server.tls.client_ca_file")
		}
	case AuthAPIKey: // made at run time
	default:
		k.oneOf(at, kind, AuthSession, AuthBearer, AuthIntrospection, AuthAPIKey, AuthBasic, AuthClientCert)
	}
}

// headerKinds are the kinds that read the Authorization header.
func headerKinds() []string {
	return []string{AuthBearer, AuthIntrospection, AuthAPIKey, AuthBasic}
}

// hasPasswords tells whether Basic could let anybody in. API keys always can be
// made, but a route that takes nothing else would say api_key.
func (k *checker) hasPasswords() bool {
	return len(k.Tokens.Issuers) > 0 || len(k.Tokens.Introspection) > 0 || k.AcceptsOwnTokens() ||
		slices.ContainsFunc(k.Login.Providers, func(p Provider) bool { return p.Type == ProviderUsers })
}

// ambiguousSubjects refuses a route where two issuers can name the same
// subject (OpenID Connect Core 1.0, section 5.7) while the application is told
// the subject alone: whoever can choose a name at one of them would be taken
// for the other's user. Development identities exist on loopback only.
func (k *checker) ambiguousSubjects(at string, r Route) {
	issuers := k.IssuersOf(&r)
	tells := func(h Header) bool { return (h.Claim == "iss" || h.Claim == "qualified_subject") && h.Match == "" }
	if len(issuers) < 2 || slices.ContainsFunc(r.Headers, tells) {
		return
	}
	k.missing(at+".headers", fmt.Sprintf("users of %s and %s can have the same subject, and the application could not tell them apart", excerpt(issuers[0]), excerpt(issuers[1])),
		"add {name: X-Forwarded-Issuer, claim: iss}, or a header with claim: qualified_subject, and let the application use it")
}

// IssuersOf lists who names the users of a route, each once. API keys are left
// out: their subjects are chosen by the operator, one by one, and not by
// anybody else.
func (c *Config) IssuersOf(r *Route) []string {
	var issuers []string
	add := func(issuer string) {
		if issuer != "" && !slices.Contains(issuers, issuer) {
			issuers = append(issuers, issuer)
		}
	}
	takes := func(kinds ...string) bool {
		return slices.ContainsFunc(kinds, func(kind string) bool { return slices.Contains(r.Auth, kind) })
	}
	// Users who have signed in come with tokens, too, whichever provider's they are.
	exchanged := c.Tokens.Exchange.Enabled && takes(AuthBearer, AuthBasic)
	for i := range c.Login.Providers {
		p := &c.Login.Providers[i]
		counts := len(r.Providers) == 0 || slices.Contains(r.Providers, p.Name) // its sessions do, here
		signedIn := takes(AuthSession) && counts || exchanged
		switch {
		case (p.OpenID() || p.OAuth2()) && p.Name != "" && signedIn:
			add(p.UserIssuer())
		case p.Type == ProviderUsers && p.Name != "" && (signedIn || takes(AuthBasic)):
			add("provider " + p.Name)
		}
	}
	if takes(AuthBearer, AuthBasic) { // a token can come as the password
		for _, t := range c.Tokens.Issuers {
			add(t.Issuer)
		}
	}
	if takes(AuthIntrospection, AuthBasic) {
		for _, s := range c.Tokens.Introspection {
			if s.Issuer != "" || s.Name != "" {
				add(s.UserIssuer())
			}
		}
	}
	if takes(AuthClientCert) {
		add("client certificates")
	}
	return issuers
}
