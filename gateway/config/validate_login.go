package config

import (
	"fmt"
	"regexp"
	"slices"
)

var providerName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)

func (k *checker) login() {
	names := map[string]int{}
	clients := map[[2]string]int{}
	for i, p := range k.Login.Providers {
		at := item("login.providers", i)
		switch first, twice := names[p.Name]; {
		case p.Name == "":
			k.missing(at+".name", "is missing", "give the provider a short name, such as corp: it is a part of its redirect URI")
		case !providerName.MatchString(p.Name) || len(p.Name) > 63:
			k.fault(at+".name", fmt.Sprintf("%q is not a name", shorten(p.Name)), "write lower-case letters, digits and - only")
		case twice:
			k.fault(at+".name", fmt.Sprintf("%q is the name of login.providers[%d] already", p.Name, first), "give each provider a name of its own")
		default:
			names[p.Name] = i
		}
		if !isPlainText(p.Title) {
			k.fault(at+".title", "holds control characters", "write one line of text")
		}
		k.provider(at, p)

		k.providerTwice(at, i, &k.Login.Providers[i], clients)
	}
}

// providerTwice refuses two OpenID entries of one client, and two providers that
// would name the users of one issuer where one of them has no proof but its API:
// whoever runs that API could name anybody.
func (k *checker) providerTwice(at string, i int, p *Provider, clients map[[2]string]int) {
	if client := [2]string{p.Issuer, p.ClientID}; p.OpenID() && p.Issuer != "" && p.ClientID != "" {
		if first, twice := clients[client]; twice {
			k.fault(at+".client_id", fmt.Sprintf("login.providers[%d] has the same issuer and client_id", first), "remove one of them")
		} else {
			clients[client] = i
		}
	}
	if p.UserIssuer() == "" || p.Name == "" {
		return
	}
	for j := range k.Login.Providers[:i] {
		other := &k.Login.Providers[j]
		if other.UserIssuer() == p.UserIssuer() && other.Name != p.Name && (p.OAuth2() || other.OAuth2()) {
			k.fault(at+".issuer", fmt.Sprintf("login.providers[%d] names users of the same issuer", j), "write another one for the oauth2 provider, or remove it there")
		}
	}
}

// providerKeys lists the keys that mean something for one type only, or for a
// few; the first type that has a key is the one that a message suggests.
func providerKeys() []struct {
	kind string
	keys []string
} {
	client := []string{
		"issuer", "client_id", "client_secret", "client_secret_file", "scopes", "ca_file", "insecure_http", "trust_email", "authorization_params",
		"subject_claim", "email_claim", "name_claim", "username_claim", "groups_claim",
	}
	with := func(more ...string) []string { return append(slices.Clone(client), more...) }
	urls := []string{"authorization_url", "token_url", "userinfo_url"}
	return []struct {
		kind string
		keys []string
	}{
		{ProviderOIDC, with("back_channel_url", "client_auth", "client_key_file")},
		{ProviderOAuth2, with(append(urls, "revocation_url", "client_auth", "client_key_file")...)},
		{ProviderGitHub, with(append(urls, "organizations")...)},
		{ProviderGitLab, with("back_channel_url")},
		{ProviderGoogle, with("back_channel_url", "hosted_domain")},
		{ProviderMicrosoft, with("back_channel_url", "tenant", "organizations")},
		{ProviderKakao, with(urls...)},
		{ProviderNaver, with(urls...)},
		{ProviderDev, []string{"identities"}},
		{ProviderUsers, []string{"file"}},
	}
}

func (k *checker) provider(at string, p Provider) {
	all := providerKeys()
	kinds := make([]string, len(all))
	for i, one := range all {
		kinds[i] = one.kind
	}
	switch {
	case p.OpenID():
		k.openID(at, p)
	case p.OAuth2():
		k.oauth2(at, p)
	case p.Type == ProviderDev:
		k.dev(at, p)
	case p.Type == ProviderUsers:
		if p.File == "" {
			k.missing(at+".file", "is missing", "write file: FILE, the accounts made with `sallyport users hash`")
		}
		k.file(at+".file", p.File)
	case p.Type == "":
		k.missing(at+".type", "is missing", "write "+orList(kinds))
		return
	default:
		k.oneOf(at+".type", p.Type, kinds...)
		return
	}
	own := all[slices.Index(kinds, p.Type)].keys
	var seen []string
	for _, one := range all {
		for _, key := range one.keys {
			if slices.Contains(own, key) || slices.Contains(seen, key) {
				continue
			}
			seen = append(seen, key)
			if k.given(at + "." + key) {
				k.fault(at+"."+key, "does not apply to a provider of type "+p.Type, "remove it, or write type: "+one.kind)
			}
		}
	}
}

// dev lets everybody in as anybody, so it may be reached from this machine only.
func (k *checker) dev(at string, p Provider) {
	if !k.Server.ListensLocally() || !k.Server.Loopback() {
		k.fault(at+".type", "dev lets everybody in without a password, but "+k.listenKey()+" or server.public_url is not loopback",
			"listen on 127.0.0.1 with public_url http://localhost:8080, or use another provider type")
	}
	if len(p.Identities) == 0 {
		k.missing(at+".identities", "is missing or empty", "write [{subject: alice, email: alice@example.com}]")
	}
	subjects := map[string]int{}
	for i, id := range p.Identities {
		path := item(at+".identities", i) + ".subject"
		switch first, twice := subjects[id.Subject]; {
		case id.Subject == "":
			k.missing(path, "is missing", "write subject: alice")
		case twice:
			k.fault(path, fmt.Sprintf("%q is the subject of identities[%d] already", shorten(id.Subject), first), "give each identity a subject of its own")
		default:
			subjects[id.Subject] = i
		}
	}
}

// outgoingURL checks a URL that the gateway itself calls: https, or http where
// nobody can listen in or the entry says that it may.
func (k *checker) outgoingURL(at, raw string, shape urlShape, insecure bool) {
	shape.schemes = []string{"https", "http"}
	u, problem := shape.parse(raw)
	if problem != "" {
		k.fault(at, problem, "write a URL such as https://id.example.com")
		return
	}
	if u.Scheme == "http" && !insecure && !loopbackHost(u.Hostname()) {
		fix := "write https://, or insecure_http: true beside it if you must"
		if shortPath(at) != at && k.source.short {
			fix = "write https://, or move it to login.providers, where insecure_http: true can stand beside it, if you must"
		}
		k.fault(at, "is plain http, so that anybody on the way can answer in its place", fix)
	}
}
