package config

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// openID checks an OpenID provider, under its own name or as oidc.
func (k *checker) openID(at string, p Provider) {
	switch {
	case p.Issuer != "":
		k.outgoingURL(at+".issuer", p.Issuer, urlShape{path: true}, p.InsecureHTTP)
	case p.Type != ProviderMicrosoft: // where it follows from the tenant
		k.missing(at+".issuer", "is missing", "write the provider's URL, such as https://id.example.com")
	}
	if p.BackChannelURL != "" {
		k.outgoingURL(at+".back_channel_url", p.BackChannelURL, urlShape{slash: true}, p.InsecureHTTP)
	}
	k.client(at, p)
	if d := p.HostedDomain; d != "" && (!isHostName(d) || d != strings.ToLower(d)) {
		k.fault(at+".hosted_domain", fmt.Sprintf("%q is not a domain", shorten(d)), "write the domain of the Workspace in lower case, such as example.com")
	}
	if p.Type == ProviderMicrosoft {
		k.tenant(at, p)
	}
}

var tenantID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// tenant wants ids, and not domains: the issuer in tokens has the id.
func (k *checker) tenant(at string, p Provider) {
	const fix = "write the directory (tenant) id, or common, organizations or consumers"
	several := p.Tenant == TenantAny || p.Tenant == TenantOrganizations
	switch {
	case p.Tenant == "":
		k.missing(at+".tenant", "is missing", fix)
	case !several && p.Tenant != TenantPersonal && !tenantID.MatchString(p.Tenant):
		k.fault(at+".tenant", fmt.Sprintf("%q is not a tenant", shorten(p.Tenant)), fix)
	case several && p.Issuer != "" && !strings.Contains(p.Issuer+"/", "/"+p.Tenant+"/"):
		k.fault(at+".issuer", "does not hold the tenant as a part of its path", "write it as https://login.microsoftonline.com/"+p.Tenant+"/v2.0")
	}
	for i, id := range p.Organizations {
		if !tenantID.MatchString(id) {
			k.fault(item(at+".organizations", i), fmt.Sprintf("%q is not a tenant id", shorten(id)), "write the directory (tenant) id, in lower case")
		}
	}
}

// organization is the name of a GitHub organization, or of a team in it.
var organization = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*(/[a-z0-9][a-z0-9._-]*)?$`)

// oauth2 checks a provider without ID tokens. Whoever moves one of its URLs must
// move all of them, or the tokens of one server would be sent to another.
func (k *checker) oauth2(at string, p Provider) {
	if p.Issuer != "" && (!isPlainText(p.Issuer) || strings.ContainsAny(p.Issuer, ` "\`)) {
		k.fault(at+".issuer", "is not a URI", "write the name of those who sign in here, such as https://id.example.com, or remove it")
	}
	urls := [][2]string{{"authorization_url", p.AuthorizationURL}, {"token_url", p.TokenURL}, {"userinfo_url", p.UserinfoURL}}
	moved := slices.ContainsFunc(urls, func(u [2]string) bool { return k.given(at + "." + u[0]) })
	for _, u := range append(urls, [2]string{"revocation_url", p.RevocationURL}) {
		path := at + "." + u[0]
		switch {
		case u[1] != "":
			k.outgoingURL(path, u[1], urlShape{path: true, query: true}, p.InsecureHTTP)
		case u[0] != "revocation_url":
			k.missing(path, "is missing", "write the URL that the provider's documentation gives")
			continue
		}
		if moved && p.Type != ProviderOAuth2 && u[1] != "" && !k.given(path) {
			k.fault(path, "is that of "+p.Type+" itself, while others of its URLs are not", "write all three of authorization_url, token_url and userinfo_url, or none")
		}
	}
	for i, name := range p.Organizations {
		if !organization.MatchString(name) {
			k.fault(item(at+".organizations", i), fmt.Sprintf("%q is not an organization", shorten(name)), "write its name as in its address, such as acme, or acme/developers for a team")
		}
	}
	k.client(at, p)
}

// client checks what the gateway is to a provider: exactly one way in which it
// proves itself, or none.
func (k *checker) client(at string, p Provider) {
	if p.ClientID == "" {
		k.missing(at+".client_id", "is missing", "write the client id that the provider gave this application")
	}
	k.secret(at, "client_secret", p.ClientSecret, p.ClientSecretFile)
	k.file(at+".client_key_file", p.ClientKeyFile)
	k.file(at+".ca_file", p.CAFile)
	k.clientAuth(at, p)
	if p.OpenID() && !slices.Contains(p.Scopes, "openid") {
		k.missing(at+".scopes", "does not hold openid, without which there is no sign-in", "write [openid, email, profile]")
	}
	for i, s := range p.Scopes {
		if s == "" || !isPlainText(s) || strings.ContainsAny(s, ` "\`) {
			k.fault(item(at+".scopes", i), fmt.Sprintf("%q is not a scope", shorten(s)), "write one scope an entry")
		}
	}
	for i, param := range p.AuthorizationParams {
		path := item(at+".authorization_params", i) + ".name"
		switch {
		case param.Name == "":
			k.missing(path, "is missing", "write the name of the parameter, such as audience")
		case !isPlainText(param.Name) || url.QueryEscape(param.Name) != param.Name:
			k.fault(path, fmt.Sprintf("%q is not the name of a parameter", shorten(param.Name)), "write letters, digits, - and _ only")
		case ownParam(param.Name):
			k.fault(path, param.Name+" is what the gateway sets itself", "remove it")
		}
	}
}

func (k *checker) clientAuth(at string, p Provider) {
	secret := k.given(at+".client_secret") || p.ClientSecret != "" || p.ClientSecretFile != ""
	key := p.ClientKeyFile != ""
	const noSecret = "write client_secret_file: FILE, which holds the secret that the provider gave this application"
	switch p.ClientAuth {
	case "":
		if secret && key {
			k.fault(at+".client_key_file", "is given beside a client secret", "keep one of them")
		}
		if !secret && (p.Type == ProviderGitHub || p.Type == ProviderGoogle || p.Type == ProviderNaver) {
			k.missing(at+".client_secret_file", "is missing, without which "+p.Type+" gives no tokens", noSecret)
		}
	case ClientAuthNone:
		if secret || key {
			k.fault(at+".client_auth", "is none, and there is a client secret or key as well", "remove one of the two")
		}
	case ClientAuthBasic, ClientAuthPost:
		if key {
			k.fault(at+".client_key_file", "does not apply to "+p.ClientAuth, "remove it, or write client_auth: private_key_jwt")
		}
		if !secret {
			k.missing(at+".client_secret_file", "is missing", noSecret)
		}
	case ClientAuthPrivateKey:
		if secret {
			k.fault(at+".client_auth", "is private_key_jwt, and there is a client secret as well", "keep one of them")
		}
		if !key {
			k.missing(at+".client_key_file", "is missing", "write client_key_file: FILE, a private key in PEM, such as `openssl genpkey -algorithm ed25519` makes")
		}
	default:
		k.oneOf(at+".client_auth", p.ClientAuth, ClientAuthNone, ClientAuthBasic, ClientAuthPost, ClientAuthPrivateKey)
	}
}

// ownParam knows the parameters of an authorization request that carry its
// protection, or would bring in another one.
func ownParam(name string) bool {
	switch name {
	case "client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce", "code_challenge", "code_challenge_method",
		"request", "request_uri", "client_secret", "client_assertion", "client_assertion_type", "dpop_jkt", "registration", "id_token_hint":
		return true
	}
	return false
}

// routeProviders checks the providers that a route offers.
func (k *checker) routeProviders(at string, r Route) {
	path := at + ".providers"
	if !k.given(path) {
		return
	}
	var names []string
	for _, p := range k.Login.Providers {
		if p.Name != "" {
			names = append(names, p.Name)
		}
	}
	switch {
	case r.Public:
		k.fault(path, "does not apply to a public route, which lets everybody in", "remove it, or remove public: true")
		return
	case !slices.Contains(r.Auth, AuthSession) && !k.lost.touches(at+".auth"):
		k.fault(path, "says who may sign in, while auth does not list session", "add session to auth, or remove it")
	case len(r.Providers) == 0:
		k.missing(path, "is an empty list, by which nobody can sign in", "write the names of providers, or remove it for all of them")
	}
	for i, name := range r.Providers {
		switch {
		case slices.Index(r.Providers, name) < i:
			k.fault(item(path, i), fmt.Sprintf("%q is listed twice", shorten(name)), "keep one of them")
		case !slices.Contains(names, name) && !k.lost.names("login.providers"):
			fix := "write one of " + excerpt(strings.Join(names[:min(len(names), 8)], ", "))
			if near, ok := nearest(name, names); ok {
				fix = "did you mean " + excerpt(near) + "?"
			}
			k.fault(item(path, i), fmt.Sprintf("there is no provider %q in login.providers", shorten(name)), fix)
		}
	}
}
