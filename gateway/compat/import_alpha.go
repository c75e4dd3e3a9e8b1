package compat

import (
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// alpha is the structured configuration of oauth2-proxy. What it says of one
// provider, of upstreams and of headers has no place in the configuration file then.
type alpha struct {
	Upstreams      []alphaUpstream `yaml:"upstreams"` // of older releases
	UpstreamConfig struct {
		ProxyRawPath bool            `yaml:"proxyrawpath"`
		Upstreams    []alphaUpstream `yaml:"upstreams"`
	} `yaml:"upstreamconfig"`
	InjectRequestHeaders  []alphaHeader   `yaml:"injectrequestheaders"`
	InjectResponseHeaders []alphaHeader   `yaml:"injectresponseheaders"`
	Server                alphaServer     `yaml:"server"`
	MetricsServer         alphaServer     `yaml:"metricsserver"`
	Providers             []alphaProvider `yaml:"providers"`
}

type alphaUpstream struct {
	ID                    string `yaml:"id"`
	Path                  string `yaml:"path"`
	RewriteTarget         string `yaml:"rewritetarget"`
	URI                   string `yaml:"uri"`
	InsecureSkipTLSVerify bool   `yaml:"insecureskiptlsverify"`
	Static                bool   `yaml:"static"`
	StaticCode            int    `yaml:"staticcode"`
	FlushInterval         string `yaml:"flushinterval"`
	PassHostHeader        *bool  `yaml:"passhostheader"`
	ProxyWebSockets       *bool  `yaml:"proxywebsockets"`
	Timeout               string `yaml:"timeout"`
	DisableKeepAlives     bool   `yaml:"disablekeepalives"`
}

type alphaHeader struct {
	Name                 string       `yaml:"name"`
	PreserveRequestValue bool         `yaml:"preserverequestvalue"`
	Values               []alphaValue `yaml:"values"`
}

type alphaValue struct {
	Value             string       `yaml:"value"`
	FromEnv           string       `yaml:"fromenv"`
	FromFile          string       `yaml:"fromfile"`
	Claim             string       `yaml:"claim"`
	Prefix            string       `yaml:"prefix"`
	BasicAuthPassword *alphaSecret `yaml:"basicauthpassword"`
	// The same in a level of its own, as some releases write it.
	ClaimSource  *alphaValue  `yaml:"claimsource"`
	SecretSource *alphaSecret `yaml:"secretsource"`
}

type alphaSecret struct {
	Value    string `yaml:"value"`
	FromEnv  string `yaml:"fromenv"`
	FromFile string `yaml:"fromfile"`
}

type alphaServer struct {
	BindAddress       string `yaml:"bindaddress"`
	SecureBindAddress string `yaml:"securebindaddress"`
	TLS               *struct {
		Key          alphaSecret `yaml:"key"`
		Cert         alphaSecret `yaml:"cert"`
		MinVersion   string      `yaml:"minversion"`
		CipherSuites []string    `yaml:"ciphersuites"`
	} `yaml:"tls"`
}

type alphaProvider struct {
	ID                  string   `yaml:"id"`
	Provider            string   `yaml:"provider"`
	Name                string   `yaml:"name"`
	ClientID            string   `yaml:"clientid"`
	ClientSecret        string   `yaml:"clientsecret"`
	ClientSecretFile    string   `yaml:"clientsecretfile"`
	CAFiles             []string `yaml:"cafiles"`
	LoginURL            string   `yaml:"loginurl"`
	RedeemURL           string   `yaml:"redeemurl"`
	ProfileURL          string   `yaml:"profileurl"`
	Resource            string   `yaml:"resource"`
	Scope               string   `yaml:"scope"`
	AllowedGroups       []string `yaml:"allowedgroups"`
	BackendLogoutURL    string   `yaml:"backendlogouturl"`
	CodeChallengeMethod string   `yaml:"code_challenge_method"`
	LoginURLParameters  []struct {
		Name    string           `yaml:"name"`
		Default []string         `yaml:"default"`
		Allow   []map[string]any `yaml:"allow"`
	} `yaml:"loginurlparameters"`

	OIDC struct {
		IssuerURL                      string   `yaml:"issuerurl"`
		EmailClaim                     string   `yaml:"emailclaim"`
		GroupsClaim                    string   `yaml:"groupsclaim"`
		UserIDClaim                    string   `yaml:"useridclaim"`
		ExtraAudiences                 []string `yaml:"extraaudiences"`
		InsecureAllowUnverifiedEmail   bool     `yaml:"insecureallowunverifiedemail"`
		InsecureSkipIssuerVerification bool     `yaml:"insecureskipissuerverification"`
		SkipDiscovery                  bool     `yaml:"skipdiscovery"`
		JwksURL                        string   `yaml:"jwksurl"`
		InsecureSkipNonce              *bool    `yaml:"insecureskipnonce"`
		AudienceClaims                 []string `yaml:"audienceclaims"`
		PublicKeys                     []string `yaml:"publickeys"`
	} `yaml:"oidcconfig"`
	Keycloak struct {
		Groups []string `yaml:"groups"`
		Roles  []string `yaml:"roles"`
	} `yaml:"keycloakconfig"`
	Azure struct {
		Tenant string `yaml:"tenant"`
	} `yaml:"azureconfig"`
	Entra struct {
		AllowedTenants []string `yaml:"allowedtenants"`
	} `yaml:"microsoftentraidconfig"`
	GitHub struct {
		Org   string   `yaml:"org"`
		Team  string   `yaml:"team"`
		Repo  string   `yaml:"repo"`
		Token string   `yaml:"token"`
		Users []string `yaml:"users"`
	} `yaml:"githubconfig"`
	GitLab struct {
		Group    []string `yaml:"group"`
		Projects []string `yaml:"projects"`
	} `yaml:"gitlabconfig"`
	Google struct {
		Group              []string `yaml:"group"`
		AdminEmail         string   `yaml:"adminemail"`
		ServiceAccountJSON string   `yaml:"serviceaccountjson"`
	} `yaml:"googleconfig"`
	Bitbucket struct {
		Team       string `yaml:"team"`
		Repository string `yaml:"repository"`
	} `yaml:"bitbucketconfig"`
}

func isAlpha(root *yaml.Node) bool {
	roots := []string{"upstreams", "upstreamconfig", "injectrequestheaders", "injectresponseheaders", "providers", "metricsserver"}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if slices.Contains(roots, strings.ToLower(root.Content[i].Value)) {
			return true
		}
	}
	return false
}

func (r *reader) readAlpha(name string, root *yaml.Node) error {
	foldKeys(root, 0)
	a := new(alpha)
	if err := root.Decode(a); err != nil {
		return &FormatError{name, "it looks like the alpha configuration of oauth2-proxy, and a value has another form than there: " + oneLine(firstLine(err.Error()))}
	}
	r.alpha = a
	r.unread(root)
	return nil
}

// foldKeys writes keys in small letters, because oauth2-proxy reads them in any.
func foldKeys(n *yaml.Node, depth int) {
	if depth > deepest {
		return
	}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			child.Value = strings.ToLower(child.Value)
		}
		foldKeys(child, depth+1)
	}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimPrefix(s, "yaml: unmarshal errors:\n"), "\n")
	return strings.TrimSpace(line)
}

// unread keeps the keys of the alpha configuration that nothing of alpha reads, so
// that they are listed. They begin with a dot, as no setting does.
func (r *reader) unread(root *yaml.Node) {
	var again yaml.Node
	text, err := yaml.Marshal(root)
	if err != nil || yaml.Unmarshal(text, &again) != nil {
		return
	}
	dec := yaml.NewDecoder(strings.NewReader(string(text)))
	dec.KnownFields(true)
	err = dec.Decode(new(alpha))
	if err == nil {
		return
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if _, rest, ok := strings.Cut(line, "field "); ok {
			if field, _, ok := strings.Cut(rest, " not found"); ok {
				r.found = append(r.found, found{form: alphaFile, key: "alpha: " + oneLine(field)})
			}
		}
	}
}

// legacy writes what the alpha configuration says of one provider as the settings of
// the configuration file, so that both are carried over in one way.
func (p *alphaProvider) legacy() *settings {
	s := newSettings()
	put := func(key string, values ...string) {
		if len(values) > 0 && (len(values) > 1 || values[0] != "") {
			s.put(key, values)
		}
	}
	flag := func(key string, on bool) {
		if on {
			put(key, strconv.FormatBool(on))
		}
	}
	put("provider", p.Provider)
	put("provider_display_name", p.Name)
	put("client_id", p.ClientID)
	put("client_secret", p.ClientSecret)
	put("client_secret_file", p.ClientSecretFile)
	put("provider_ca_files", p.CAFiles...)
	put("login_url", p.LoginURL)
	put("redeem_url", p.RedeemURL)
	put("profile_url", p.ProfileURL)
	put("resource", p.Resource)
	put("scope", p.Scope)
	put("allowed_groups", slices.Concat(p.AllowedGroups, p.Keycloak.Groups)...)
	put("allowed_roles", p.Keycloak.Roles...)
	put("backend_logout_url", p.BackendLogoutURL)
	put("code_challenge_method", p.CodeChallengeMethod)
	put("oidc_issuer_url", p.OIDC.IssuerURL)
	put("oidc_email_claim", p.OIDC.EmailClaim)
	put("oidc_groups_claim", p.OIDC.GroupsClaim)
	put("user_id_claim", p.OIDC.UserIDClaim)
	put("oidc_extra_audiences", p.OIDC.ExtraAudiences...)
	put("oidc_jwks_url", p.OIDC.JwksURL)
	flag("insecure_oidc_allow_unverified_email", p.OIDC.InsecureAllowUnverifiedEmail)
	flag("insecure_oidc_skip_issuer_verification", p.OIDC.InsecureSkipIssuerVerification)
	flag("skip_oidc_discovery", p.OIDC.SkipDiscovery)
	put("azure_tenant", p.Azure.Tenant)
	put("entra_id_allowed_tenants", p.Entra.AllowedTenants...)
	put("github_org", p.GitHub.Org)
	put("github_team", p.GitHub.Team)
	put("github_repo", p.GitHub.Repo)
	put("github_token", p.GitHub.Token)
	put("github_users", p.GitHub.Users...)
	put("gitlab_groups", p.GitLab.Group...)
	put("gitlab_projects", p.GitLab.Projects...)
	put("google_groups", p.Google.Group...)
	put("google_admin_email", p.Google.AdminEmail)
	put("google_service_account_json", p.Google.ServiceAccountJSON)
	put("bitbucket_team", p.Bitbucket.Team)
	put("bitbucket_repository", p.Bitbucket.Repository)
	put("oidc_audience_claims", p.OIDC.AudienceClaims...)
	put("oidc_public_key_files", p.OIDC.PublicKeys...)
	if skip := p.OIDC.InsecureSkipNonce; skip != nil {
		put("insecure_oidc_skip_nonce", strconv.FormatBool(*skip))
	}
	for _, param := range p.LoginURLParameters {
		if len(param.Default) == 1 && len(param.Allow) == 0 {
			put("login parameter "+param.Name, param.Default[0])
		} else {
			put("login parameters that browsers choose", param.Name)
		}
	}
	return s
}
