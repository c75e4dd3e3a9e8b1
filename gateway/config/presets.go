package config

import "strings"

// Microsoft's names for more tenants than one (see Provider.Tenant).
const (
	TenantAny           = "common"        // any organization, and personal accounts
	TenantOrganizations = "organizations" // any organization
	TenantPersonal      = "consumers"     // personal accounts
	// PersonalTenant is the id of the tenant of all personal accounts.
	PersonalTenant = "9188040d-6c67-4c5b-b112-36a304b66dad"
)

// OpenID reports whether a provider proves who signed in by ID tokens (OpenID
// Connect); OAuth2 whether it only has an API that knows.
func (p *Provider) OpenID() bool {
	switch p.Type {
	case ProviderOIDC, ProviderGitLab, ProviderGoogle, ProviderMicrosoft:
		return true
	}
	return false
}

// OAuth2 is the other half of OpenID.
func (p *Provider) OAuth2() bool {
	switch p.Type {
	case ProviderOAuth2, ProviderGitHub, ProviderKakao, ProviderNaver:
		return true
	}
	return false
}

// UserIssuer is the issuer of the provider's users. For a Microsoft provider of
// several tenants it stands for all of them.
func (p *Provider) UserIssuer() string {
	if p.OpenID() || p.OAuth2() && p.Issuer != "" {
		return p.Issuer
	}
	return "urn:sallyport:" + p.Name
}

// preset returns what is known of a provider's type: the default of every key
// that the entry leaves out.
func (p *Provider) preset() Provider {
	switch p.Type {
	case ProviderGitLab:
		return Provider{Issuer: "https://gitlab.com"}
	case ProviderGoogle:
		return Provider{Issuer: "https://accounts.google.com"}
	case ProviderMicrosoft:
		tenant := strings.ToLower(p.Tenant)
		if tenant == TenantPersonal {
			tenant = PersonalTenant
		}
		if tenant == "" {
			return Provider{}
		}
		return Provider{Issuer: "https://login.microsoftonline.com/" + tenant + "/v2.0"}
	case ProviderGitHub:
		return Provider{ //nolint:gosec // URLs, not credentials
			AuthorizationURL: "https://github.com/login/oauth/authorize",
			TokenURL:         "https://github.com/login/oauth/access_token",
			UserinfoURL:      "https://api.github.com/user",
			ClientAuth:       ClientAuthPost,
			Scopes:           []string{"read:user", "user:email", "read:org"},
			ClaimMapping:     ClaimMapping{SubjectClaim: "id", UsernameClaim: "login"},
		}
	case ProviderKakao:
		return Provider{ //nolint:gosec // URLs, not credentials
			AuthorizationURL: "https://kauth.kakao.com/oauth/authorize",
			TokenURL:         "https://kauth.kakao.com/oauth/token",
			UserinfoURL:      "https://kapi.kakao.com/v2/user/me",
			ClientAuth:       ClientAuthPost,
			ClaimMapping: ClaimMapping{
				SubjectClaim: "id", EmailClaim: "kakao_account.email",
				NameClaim: "kakao_account.profile.nickname",
			},
		}
	case ProviderNaver:
		return Provider{ //nolint:gosec // URLs, not credentials
			AuthorizationURL: "https://nid.naver.com/oauth2.0/authorize",
			TokenURL:         "https://nid.naver.com/oauth2.0/token",
			UserinfoURL:      "https://openapi.naver.com/v1/nid/me",
			ClientAuth:       ClientAuthPost,
			ClaimMapping: ClaimMapping{
				SubjectClaim: "response.id", EmailClaim: "response.email",
				NameClaim: "response.name", UsernameClaim: "response.nickname",
			},
		}
	}
	return Provider{}
}

func (p *Provider) entryDefaults(scopesGiven bool) {
	if p.Title == "" {
		p.Title = p.Name
	}
	if !p.OpenID() && !p.OAuth2() {
		return
	}
	preset := p.preset()
	if p.OpenID() {
		preset.Scopes = []string{"openid", "email", "profile"}
	}
	if !scopesGiven {
		p.Scopes = preset.Scopes
	}
	secret := p.ClientSecret != "" || p.ClientSecretFile != ""
	if p.ClientAuth == "" && p.ClientKeyFile == "" && secret {
		p.ClientAuth = preset.ClientAuth
	}
	for _, one := range [][2]*string{
		{&p.Issuer, &preset.Issuer},
		{&p.AuthorizationURL, &preset.AuthorizationURL},
		{&p.TokenURL, &preset.TokenURL},
		{&p.UserinfoURL, &preset.UserinfoURL},
		{&p.SubjectClaim, &preset.SubjectClaim},
		{&p.EmailClaim, &preset.EmailClaim},
		{&p.NameClaim, &preset.NameClaim},
		{&p.UsernameClaim, &preset.UsernameClaim},
		{&p.GroupsClaim, &preset.GroupsClaim},
	} {
		if *one[0] == "" {
			*one[0] = *one[1]
		}
	}
	p.ClaimMapping.entryDefaults()
}
