package compat

import (
	"slices"
	"strings"
	"time"
)

// settings are those of oauth2-proxy, by the names that its configuration file has
// for them.
type settings struct {
	values map[string][]string
	order  []string
	used   map[string]bool
	alpha  *alpha // nil = there is none
	// elsewhere says where values are that are not here, such as in a Secret.
	elsewhere map[string]string
}

func newSettings() *settings {
	return &settings{values: map[string][]string{}, used: map[string]bool{}, elsewhere: map[string]string{}}
}

// put sets what a source says; later ones win, as they do there.
func (s *settings) put(key string, values []string) {
	if _, known := s.values[key]; !known {
		s.order = append(s.order, key)
	}
	s.values[key] = values
}

func (s *settings) has(key string) bool { _, ok := s.values[key]; return ok }

// list returns all values of a setting.
func (s *settings) list(key string) []string {
	s.used[key] = true
	return s.values[key]
}

// text returns the last value; "" where there is none.
func (s *settings) text(key string) string {
	if list := s.list(key); len(list) > 0 {
		return list[len(list)-1]
	}
	return ""
}

// flag returns a boolean; oauth2-proxy takes what strconv.ParseBool does.
func (s *settings) flag(key string, otherwise bool) bool {
	switch strings.ToLower(s.text(key)) {
	case "1", "t", "true", "yes", "on":
		return true
	case "0", "f", "false", "no", "off":
		return false
	}
	return otherwise
}

func (s *settings) duration(key string) (time.Duration, bool) {
	d, err := time.ParseDuration(s.text(key))
	return d, err == nil
}

// unused are the settings that nobody has asked for.
func (s *settings) unused() []string {
	return slices.DeleteFunc(slices.Clone(s.order), func(key string) bool { return s.used[key] })
}

// lists are the settings with several values, by the flag that gives one of them.
// The configuration file has an s behind most of them.
func lists() map[string]string {
	all := map[string]string{"skip_auth_regex": "skip_auth_regex"}
	for _, one := range []string{
		"allowed_group", "allowed_role", "api_route", "cookie_domain", "email_domain", "entra_id_allowed_tenant", "extra_jwt_issuer", "github_user",
		"gitlab_group", "gitlab_project", "google_group", "htpasswd_user_group", "keycloak_group", "oidc_audience_claim", "oidc_extra_audience",
		"oidc_public_key_file", "provider_ca_file", "redis_cluster_connection_url", "redis_sentinel_connection_url", "skip_auth_route",
		"tls_cipher_suite", "trusted_ip", "trusted_proxy_ip", "upstream", "whitelist_domain",
	} {
		all[one], all[one+"s"] = one+"s", one+"s"
	}
	return all
}

// booleans are the flags that need no value.
func booleans() []string {
	return []string{
		"allow_query_semicolons", "auth_logging", "cookie_csrf_per_request", "cookie_httponly", "cookie_secure", "display_htpasswd_form", "encode_state",
		"errors_to_info_log", "force_https", "force_json_errors", "gcp_healthchecks", "google_use_application_default_credentials",
		"google_use_organization_id", "insecure_oidc_allow_unverified_email", "insecure_oidc_skip_issuer_verification", "insecure_oidc_skip_nonce",
		"logging_compress", "logging_local_time", "pass_access_token", "pass_authorization_header", "pass_basic_auth", "pass_host_header",
		"pass_user_headers", "prefer_email_to_user", "proxy_websockets", "redis_insecure_skip_tls_verify", "redis_use_cluster", "redis_use_sentinel",
		"relative_redirect_url", "request_logging", "reverse_proxy", "session_cookie_minimal", "set_authorization_header", "set_basic_auth",
		"set_xauthrequest", "show_debug_on_error", "silence_ping_logging", "skip_auth_preflight", "skip_auth_strip_headers",
		"skip_claims_from_profile_url", "skip_jwt_bearer_tokens", "skip_oidc_discovery", "skip_provider_button", "ssl_insecure_skip_verify",
		"ssl_upstream_insecure_skip_verify", "standard_logging", "use_system_trust_store", "version", "config_test", "convert_config_to_alpha",
	}
}

// fate is what becomes of a setting that no step carries over.
type fate struct {
	why  string
	fix  string // empty = there is nothing to do
	when string // the value for which there is something to do; empty = any
}

// fates are those of all settings that are known and not carried over.
func fates() map[string]fate {
	const page = "the pages of the gateway have a name, a logo and a colour: pages in config.yaml"
	const always = "this is always so here"
	const logs = "log has level and format; there is one JSON line a request, and one for every decision that matters"
	const probes = "ask /livez and /readyz at admin.listen"
	return map[string]fate{
		"allow_query_semicolons":  {why: "a query goes on as it came"},
		"api_routes":              {why: "programs get 401 and a problem document, browsers the sign-in: the request says which it is"},
		"approval_prompt":         {why: "prompt has taken its place"},
		"auth_logging":            {why: logs},
		"auth_logging_format":     {why: "log lines have one form here", fix: logs},
		"backend_logout_url":      {why: "a sign-out ends the session at the provider by itself, where the provider can", fix: "test a sign-out; docs/signing-out.md"},
		"banner":                  {why: "pages have no text of one's own", fix: page},
		"basic_auth_password":     {why: "one password for all users is not sent to applications", fix: "use upstream_credential on the route, or the identity headers"},
		"code_challenge_method":   {why: "S256 is always used"},
		"config":                  {why: "give that file to this command as well", fix: "run it again with both files"},
		"alpha_config":            {why: "give that file to this command as well", fix: "run it again with both files"},
		"cookie_csrf_expire":      {why: "a sign-in has ten minutes"},
		"cookie_csrf_per_request": {why: always},
		"cookie_httponly":         {why: "scripts never see the session's cookie", when: "false", fix: "let the page ask /oauth2/userinfo or /.auth/me"},
		"cookie_name":             {why: "the cookie has another content, so that it needs no old name; people sign in once"},
		"cookie_path":             {why: "the cookie is for all paths", fix: "protect the other applications of this host by routes of their own"},
		"cookie_refresh":          {why: "tokens of the provider are renewed before they end: session.refresh"},
		"cookie_secret":           {why: "the cookie holds a random number and no data; the gateway makes its keys itself"},
		"cookie_secure":           {why: "cookies are Secure wherever public_url is https", when: "false", fix: "plain http is for loopback alone"},
		"custom_sign_in_logo":     {why: "the logo is not carried over", fix: "name a file in pages.logo_file"},
		"custom_templates_dir":    {why: "there are no templates", fix: page},
		"display_htpasswd_form":   {why: "the form is there where there is a provider of type users"},
		"encode_state":            {why: always},
		"errors_to_info_log":      {why: logs},
		"exclude_logging_path":    {why: "every request has its line", fix: "leave lines out where they are kept"},
		"flush_interval":          {why: "streams are passed on at once"},
		"footer":                  {why: "pages have no text of one's own", fix: page},
		"force_json_errors":       {why: "programs get problem documents, people pages: the request says which it is"},
		"gcp_healthchecks":        {why: "nothing is answered because of a User-Agent", fix: probes},
		"htpasswd_file":           {why: "the form of that file is not read", fix: "write the accounts into a file for a provider of type users, with `sallyport users hash`"},
		"htpasswd_user_groups":    {why: "groups stand beside each account", fix: "write them into the users file"},
		"insecure_oidc_skip_issuer_verification": {
			why: "the issuer is always verified", when: "true", fix: "for Entra ID of several tenants use type microsoft with tenant: common, organizations or consumers",
		},
		"insecure_oidc_skip_nonce":       {why: "the nonce is always verified"},
		"jwt_key":                        {why: "login.gov has no preset", fix: "use type oidc with client_auth: private_key_jwt and client_key_file"},
		"jwt_key_file":                   {why: "login.gov has no preset", fix: "use type oidc with client_auth: private_key_jwt and client_key_file"},
		"logging_compress":               {why: logs},
		"logging_filename":               {why: "logs go to standard error", fix: "let the service manager keep them"},
		"logging_local_time":             {why: logs},
		"logging_max_age":                {why: logs},
		"logging_max_backups":            {why: logs},
		"logging_max_size":               {why: logs},
		"oidc_audience_claims":           {why: "an ID token is for whom aud says", fix: "have the provider write the client id into aud"},
		"oidc_jwks_url":                  {why: "keys are found by discovery"},
		"oidc_public_key_files":          {why: "keys are found by discovery", fix: "the provider must serve its metadata"},
		"pass_basic_auth":                {why: "without basic_auth_password it sends what the identity headers say"},
		"ping_path":                      {why: "health is asked at the operators' listener", fix: probes},
		"ping_user_agent":                {why: "nothing is answered because of a User-Agent", fix: probes},
		"proxy_websockets":               {why: "WebSockets pass", when: "false", fix: "there is no switch: the application can refuse them"},
		"pubjwk_url":                     {why: "login.gov has no preset", fix: "use type oidc"},
		"ready_path":                     {why: "health is asked at the operators' listener", fix: probes},
		"relative_redirect_url":          {why: "the redirect URI follows from public_url"},
		"request_id_header":              {why: "the request id is in X-Request-Id", fix: "have the proxy in front write it there"},
		"request_logging":                {why: logs},
		"request_logging_format":         {why: "log lines have one form here", fix: logs},
		"session_cookie_minimal":         {why: "the cookie never holds tokens"},
		"set_basic_auth":                 {why: "the check does not answer with a password", when: "true", fix: "use the identity headers"},
		"set_xauthrequest":               {why: "X-Auth-Request-User, -Email, -Groups and -Preferred-Username are always in the answer of the check"},
		"show_debug_on_error":            {why: "causes are in the log alone"},
		"signature_key":                  {why: "requests are not signed with GAP-Signature", fix: "use assertion: true on the route, a token that the application can verify"},
		"silence_ping_logging":           {why: "the operators' listener logs no requests"},
		"skip_auth_strip_headers":        {why: "identity headers of clients are removed on public routes as well", when: "false", fix: "let the application read its own headers by other names"},
		"skip_claims_from_profile_url":   {why: "userinfo is asked where the ID token has neither an address nor groups"},
		"skip_provider_button":           {why: "with one provider people are sent there at once"},
		"ssl_insecure_skip_verify":       {why: "certificates of providers are always verified", when: "true", fix: "name the authority in ca_file of the provider"},
		"standard_logging":               {why: logs},
		"standard_logging_format":        {why: "log lines have one form here", fix: logs},
		"tls_cipher_suites":              {why: "the cipher suites are those of Go, which are all sound", fix: "set server.tls.min_version to 1.3 where policy demands it"},
		"use_system_trust_store":         {why: "the system's authorities count beside ca_file", fix: ""},
		"validate_url":                   {why: "sessions live here, and tokens are renewed before they end"},
		"version":                        {why: "it does nothing"},
		"config_test":                    {why: "`sallyport check` does it"},
		"convert_config_to_alpha":        {why: "it does nothing"},
		"redis_connection_idle_timeout":  {why: "connections are looked after by themselves"},
		"redis_insecure_skip_tls_verify": {why: "the certificate of the store is always verified", when: "true", fix: "name its authority in session.valkey.tls.ca_file"},
		"cookie_csrf_per_request_limit":  {why: "a browser has up to 16 sign-ins under way"},
		"metrics_tls_cert_file":          {why: "the operators' listener has no TLS", fix: "keep admin.listen on loopback, or behind a proxy"},
		"metrics_tls_key_file":           {why: "the operators' listener has no TLS", fix: "keep admin.listen on loopback, or behind a proxy"},
		"metrics_secure_address":         {why: "the operators' listener has no TLS", fix: "keep admin.listen on loopback, or behind a proxy"},
		"http_store_base_url":            {why: "there is no session store by HTTP", fix: "use session.store: valkey"},
		"http_store_api_key":             {why: "there is no session store by HTTP", fix: "use session.store: valkey"},
		"google_admin_email":             {why: "groups of Google Workspace are not read", fix: "allow addresses or domains, or put a provider that knows groups in between"},
		"google_service_account_json":    {why: "groups of Google Workspace are not read", fix: "see google_admin_email"},
		"google_target_principal":        {why: "groups of Google Workspace are not read", fix: "see google_admin_email"},
		"google_use_organization_id":     {why: "groups of Google Workspace are not read", when: "true", fix: "set hosted_domain of the provider"},
		"github_repo":                    {why: "who works on a repository is not asked", fix: "allow the team that does: organizations of the provider, or groups of a rule"},
		"github_token":                   {why: "who works on a repository is not asked", fix: "see github_repo"},
		"gitlab_projects":                {why: "who works on a project is not asked", fix: "allow the groups that do"},
		"bitbucket_team":                 {why: "Bitbucket has no preset", fix: "use type oauth2 with its URLs"},
		"bitbucket_repository":           {why: "Bitbucket has no preset", fix: "use type oauth2 with its URLs"},
		"azure_graph_group_field":        {why: "groups are the ids that the token holds", fix: "write ids into the rules, or let the application's roles be told: groups_claim: roles"},
		"entra_id_federated_token_auth":  {why: "workload identity does not prove the gateway", when: "true", fix: "use a client secret, or client_key_file"},
		"trusted_ips":                    {why: "nobody is let in for his address", fix: "give those clients an API key (`sallyport apikeys create`, auth: [session, api_key]), or ask at a listener of their own"},
		"real_client_ip_header":          {why: "the address of a client is read from X-Forwarded-For", fix: "have the proxy in front set X-Forwarded-For"},
		"pass_user_headers":              {why: "the identity headers are always set", when: "false", fix: "let the application ignore X-Forwarded-User, -Email, -Groups and -Preferred-Username"},
		"google_use_application_default_credentials": {
			why: "groups of Google Workspace are not read", when: "true", fix: "see google_admin_email",
		},
	}
}
