package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
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

		if client := [2]string{p.Issuer, p.ClientID}; p.Type == ProviderOIDC && p.Issuer != "" && p.ClientID != "" {
			if first, twice := clients[client]; twice {
				k.fault(at+".client_id", fmt.Sprintf("login.providers[%d] has the same issuer and client_id", first), "remove one of them")
			} else {
				clients[client] = i
			}
		}
	}
}

func (k *checker) provider(at string, p Provider) {
	switch p.Type {
	case ProviderOIDC:
		k.oidc(at, p)
	case ProviderDev:
		k.dev(at, p)
	case ProviderUsers:
		if p.File == "" {
			k.missing(at+".file", "is missing", "write file: FILE, the accounts made with `sallyport users hash`")
		}
		k.file(at+".file", p.File)
	case "":
		k.missing(at+".type", "is missing", "write dev, oidc or users")
		return
	case "github", "google", "kakao", "naver", "oauth2":
		k.fault(at+".type", p.Type+" is not available in this build", "write dev, oidc or users")
		return
	default:
		k.oneOf(at+".type", p.Type, ProviderDev, ProviderOIDC, ProviderUsers)
		return
	}
	fields := map[string][]string{
		ProviderOIDC: {"issuer", "client_id", "client_secret", "client_secret_file", "scopes", "groups_claim", "ca_file", "insecure_http", "trust_email"},
		ProviderDev:  {"identities"}, ProviderUsers: {"file"},
	}
	for _, kind := range []string{ProviderDev, ProviderOIDC, ProviderUsers} {
		for _, key := range fields[kind] {
			if kind != p.Type && k.given(at+"."+key) {
				k.fault(at+"."+key, "does not apply to a provider of type "+p.Type, "remove it, or write type: "+kind)
			}
		}
	}
}

func (k *checker) oidc(at string, p Provider) {
	if p.Issuer == "" {
		k.missing(at+".issuer", "is missing", "write the provider's URL, such as https://id.example.com")
	} else {
		k.outgoingURL(at+".issuer", p.Issuer, urlShape{path: true}, p.InsecureHTTP)
	}
	if p.ClientID == "" {
		k.missing(at+".client_id", "is missing", "write the client id that the provider gave this application")
	}
	k.secret(at, "client_secret", p.ClientSecret, p.ClientSecretFile)
	k.file(at+".ca_file", p.CAFile)

	if !slices.Contains(p.Scopes, "openid") {
		k.missing(at+".scopes", "does not hold openid, without which there is no sign-in", "write [openid, email, profile]")
	}
	for i, s := range p.Scopes {
		if s == "" || !isPlainText(s) || strings.ContainsAny(s, ` "\`) {
			k.fault(item(at+".scopes", i), fmt.Sprintf("%q is not a scope", shorten(s)), "write one scope an entry")
		}
	}
}

// dev lets everybody in as anybody, so it may be reached from this machine only.
func (k *checker) dev(at string, p Provider) {
	if !localListen(k.Server.Listen) || !k.Server.Loopback() {
		k.fault(at+".type", "dev lets everybody in without a password, but server.listen or server.public_url is not loopback",
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
		k.fault(at, "is plain http, so that anybody on the way can sign in as anybody", "write https://, or insecure_http: true beside it if you must")
	}
}
