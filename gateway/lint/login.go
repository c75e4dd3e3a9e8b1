package lint

import (
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sallyport/sallyport/gateway/config"
)

func loginCodes() []Code {
	return []Code{
		{
			ID: "SP040", Severity: Error, Title: "plain http to a server that vouches for people",
			Why:        "Somebody on the way can answer in its place, and say that he is anybody; secrets and tokens go in clear. A warning where the name has no dot, as in a network of containers; a note where the permission is not used.",
			References: []string{"ASVS 12.3.1", "RFC 6749 section 3.2", "RFC 6750 section 5.2"},
			Bad: `login:
  providers:
    - name: corp
      type: oidc
      issuer: http://id.example.com
      insecure_http: true  # SP040
      client_id: app
      client_secret_file: /run/secrets/oidc
`,
			Good: `login:
  providers:
    - name: corp
      type: oidc
      issuer: https://id.example.com
      client_id: app
      client_secret_file: /run/secrets/oidc
`,
			find: (*linter).insecureHTTP,
		},
		{
			ID: "SP041", Severity: Warning, Title: "addresses count as verified that nobody has verified",
			Why:        "Where people choose their own address, they choose whose rights they have: rules with emails and email_domains, and X-Forwarded-Email, go by it.",
			References: []string{"OpenID Connect Core 1.0 section 5.7", "ASVS 10.5.2"},
			Bad: `login:
  providers:
    - name: corp
      type: oidc
      issuer: https://id.example.com
      client_id: app
      client_secret_file: /run/secrets/oidc
      trust_email: true  # SP041
`,
			Good: `login:
  providers:
    - name: corp
      type: oidc
      issuer: https://id.example.com
      client_id: app
      client_secret_file: /run/secrets/oidc
`,
			find: (*linter).trustEmail,
		},
		{
			ID: "SP042", Severity: Warning, Title: "people are told apart by what can change hands",
			Why:        "An address or a user name can be given to somebody else, who is then taken for the one who had it before. Only sub is promised never to be.",
			References: []string{"OpenID Connect Core 1.0 section 5.7", "ASVS 10.5.2", "ASVS 10.3.3"},
			Bad: `login:
  providers:
    - name: corp
      type: oidc
      issuer: https://id.example.com
      client_id: app
      client_secret_file: /run/secrets/oidc
      subject_claim: email  # SP042
`,
			Good: `login:
  providers:
    - name: corp
      type: oidc
      issuer: https://id.example.com
      client_id: app
      client_secret_file: /run/secrets/oidc
`,
			find: (*linter).reassignedSubjects,
		},
		{
			ID: "SP043", Severity: Note, Title: "a provider takes the gateway for a public client",
			Why:        "Without a secret or a key, whoever has an authorization code or a refresh token needs nothing else to use it but the verifier that belongs to it.",
			References: []string{"RFC 9700 section 2.5", "ASVS 10.4.10"},
			Bad: `login:
  providers:
    - name: corp
      type: oidc
      issuer: https://id.example.com
      client_id: app  # SP043
`,
			Good: `login:
  providers:
    - name: corp
      type: oidc
      issuer: https://id.example.com
      client_id: app
      client_key_file: /run/secrets/client.key
`,
			find: func(l *linter) {
				for i, p := range l.Login.Providers {
					if (p.OpenID() || p.OAuth2()) && p.ClientSecret == "" && p.ClientSecretFile == "" && p.ClientKeyFile == "" {
						l.found(item("login.providers", i)+".client_id", "has neither a secret nor a key beside it", "register the gateway as a confidential client, and write client_secret_file or client_key_file")
					}
				}
			},
		},
		{
			ID: "SP044", Severity: Note, Title: "anybody can sign in as anybody",
			Why:        "That is what type: dev is for, and it works on this machine only. A proxy in front of it, or a tunnel, opens it to everybody who comes through.",
			References: []string{"ASVS 13.4.2"},
			Bad: `server: {public_url: "http://localhost:8080"}
login:
  providers:
    - name: dev
      type: dev  # SP044
      identities: [{subject: alice}]
`,
			Good: `server: {public_url: "http://localhost:8080"}
login:
  providers:
    - name: corp
      type: oidc
      issuer: https://id.example.com
      client_id: app
      client_secret_file: /run/secrets/oidc
`,
			find: func(l *linter) {
				for i, p := range l.Login.Providers {
					if p.Type == config.ProviderDev {
						l.found(item("login.providers", i)+".type", "is dev, where people pick who they are", "use another type for anything but development on this machine")
					}
				}
			},
		},
		{
			ID: "SP045", Severity: Warning, Title: "passwords can be guessed without end",
			Why:        "Without a bound for an account, or for an address, somebody tries lists of passwords until one fits.",
			References: []string{"ASVS 6.3.1", "CWE 307"},
			Bad: `login:
  providers: [{name: local, type: users, file: /run/secrets/users.yaml}]
  lockout: {attempts: 0}  # SP045
`,
			Good: `login:
  providers: [{name: local, type: users, file: /run/secrets/users.yaml}]
  lockout: {attempts: 10}
`,
			find: (*linter).noLockout,
		},
		{
			ID: "SP046", Severity: Warning, Title: "a password hash that is cheap to try",
			Why:        "Whoever gets the file finds the passwords: with argon2id below 19 MiB and 2 passes, or bcrypt below a cost of 10, a graphics card tries millions a second.",
			References: []string{"ASVS 11.4.2", "RFC 9106 section 4"},
			Bad: `login:
  providers: [{name: local, type: users, file: /run/secrets/weak-users.yaml}]  # SP046
`,
			Good: `login:
  providers: [{name: local, type: users, file: /run/secrets/users.yaml}]
`,
			find: (*linter).weakHashes,
		},
		{
			ID: "SP047", Severity: Note, Title: "tokens live on at the provider after a sign-out",
			Why:        "Signing out ends the session here. Without an endpoint to take them back, the tokens of the provider stay good until they expire, and the provider signs in again without asking.",
			References: []string{"ASVS 7.4.1", "RFC 7009 section 2"},
			Bad: `login:
  providers:
    - name: social
      type: oauth2  # SP047
      authorization_url: https://id.example.com/authorize
      token_url: https://id.example.com/token
      userinfo_url: https://id.example.com/me
      client_id: app
      client_secret_file: /run/secrets/oidc
`,
			Good: `login:
  providers:
    - name: social
      type: oauth2
      authorization_url: https://id.example.com/authorize
      token_url: https://id.example.com/token
      userinfo_url: https://id.example.com/me
      revocation_url: https://id.example.com/revoke
      client_id: app
      client_secret_file: /run/secrets/oidc
`,
			find: func(l *linter) {
				for i, p := range l.Login.Providers {
					if p.Type == config.ProviderOAuth2 && p.RevocationURL == "" {
						l.found(item("login.providers", i)+".type", "has no revocation_url beside it", "write revocation_url: URL, if the provider has such an endpoint")
					}
				}
			},
		},
	}
}

// insecureHTTP looks at every entry that has the permission, and at what it is
// used for.
func (l *linter) insecureHTTP() {
	for i, p := range l.Login.Providers {
		l.permission(item("login.providers", i), p.InsecureHTTP, p.Issuer, p.BackChannelURL, p.AuthorizationURL, p.TokenURL, p.UserinfoURL, p.RevocationURL)
	}
	for i, t := range l.Tokens.Issuers {
		keys := t.JWKSURL
		if keys == "" && t.JWKSFile == "" && t.Secret == "" && t.SecretFile == "" {
			keys = t.Issuer
		}
		l.permission(item("tokens.issuers", i), t.InsecureHTTP, keys)
	}
	for i, s := range l.Tokens.Introspection {
		l.permission(item("tokens.introspection", i), s.InsecureHTTP, s.Endpoint)
	}
	for i, p := range l.Policies {
		if p.Authorizer != nil {
			l.permission(item("policies", i)+".authorizer", p.Authorizer.InsecureHTTP, p.Authorizer.URL)
		}
	}
}

func (l *linter) permission(at string, given bool, urls ...string) {
	if !given {
		return
	}
	at += ".insecure_http"
	near := ""
	for _, raw := range urls {
		switch host := plainHost(raw); {
		case host == "":
		case besides(host):
			near = host
		default:
			l.found(at, quoted(raw)+" is reached by plain http", "write https://, with ca_file where the authority is your own")
			return
		}
	}
	if near != "" {
		l.foundAs(Warning, at, quoted(near)+" is reached by plain http", "write https://, with ca_file where the authority is your own")
		return
	}
	l.foundAs(Note, at, "is given, and nothing needs it", "remove it")
}

// plainHost is the host of a URL that goes to another machine by plain http.
func plainHost(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "h2c" || config.LoopbackHost(u.Hostname()) {
		return ""
	}
	return u.Hostname()
}

func (l *linter) trustEmail() {
	const problem, fix = "takes addresses as verified though the server does not say so", "remove it, and let the server send email_verified; or go by groups or subjects"
	for i, p := range l.Login.Providers {
		if p.TrustEmail {
			l.found(item("login.providers", i)+".trust_email", problem, fix)
		}
	}
	for i, t := range l.Tokens.Issuers {
		if t.TrustEmail {
			l.found(item("tokens.issuers", i)+".trust_email", problem, fix)
		}
	}
	for i, s := range l.Tokens.Introspection {
		if s.TrustEmail {
			l.found(item("tokens.introspection", i)+".trust_email", problem, fix)
		}
	}
}

func (l *linter) reassignedSubjects() {
	changes := func(at, claim string) {
		if slices.Contains([]string{"email", "name", "nickname", "preferred_username", "upn", "unique_name", "username", "login", "phone_number"}, claim) {
			l.found(at+".subject_claim", quoted(claim)+" can belong to somebody else one day", "remove it for sub, or name a claim that is never given twice, such as oid")
		}
	}
	for i, p := range l.Login.Providers {
		changes(item("login.providers", i), p.SubjectClaim)
	}
	for i, t := range l.Tokens.Issuers {
		changes(item("tokens.issuers", i), t.SubjectClaim)
	}
	for i, s := range l.Tokens.Introspection {
		changes(item("tokens.introspection", i), s.SubjectClaim)
	}
}

func (l *linter) noLockout() {
	if !slices.ContainsFunc(l.Login.Providers, func(p config.Provider) bool { return p.Type == config.ProviderUsers }) {
		return
	}
	for _, one := range []struct {
		key        string
		n, most, d int
	}{{"attempts", l.Login.Lockout.Attempts, 100, 10}, {"per_address", l.Login.Lockout.PerAddress, 1000, 100}} {
		problem := "is 0, which is any number"
		if one.n > one.most {
			problem = fmt.Sprintf("is %d, more than %d", one.n, one.most)
		} else if one.n > 0 {
			continue
		}
		l.found("login.lockout."+one.key, problem, fmt.Sprintf("write lockout: {%s: %d}", one.key, one.d))
	}
}

// weakHashes reads the files of accounts. What they are like otherwise is said when
// the gateway is built.
func (l *linter) weakHashes() {
	for i, p := range l.Login.Providers {
		if p.Type != config.ProviderUsers {
			continue
		}
		text, err := os.ReadFile(l.FileName(p.File))
		if err != nil {
			continue
		}
		var file struct {
			Users []struct {
				Username string    `yaml:"username"`
				Hash     yaml.Node `yaml:"password_hash"`
			} `yaml:"users"`
		}
		if yaml.Unmarshal(text, &file) != nil {
			continue
		}
		for _, u := range file.Users {
			if how := weakHash(u.Hash.Value); how != "" {
				l.foundAt(l.FileName(p.File), u.Hash.Line, l.code.Severity, item("login.providers", i)+".file",
					"the hash of "+quoted(u.Username)+" has "+how, "make a new one with `sallyport users hash`")
			}
		}
	}
}

// weakHash says what is cheap about a hash, by what OWASP recommends.
func weakHash(hash string) string {
	parts := strings.Split(hash, "$")
	switch {
	case len(parts) == 6 && parts[1] == "argon2id":
		var memory, passes, threads int
		if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &passes, &threads); err != nil {
			return ""
		}
		// Less memory is made up for by more passes.
		for _, enough := range [][2]int{{47104, 1}, {19456, 2}, {12288, 3}, {9216, 4}, {7168, 5}} {
			if memory >= enough[0] && passes >= enough[1] {
				return ""
			}
		}
		return fmt.Sprintf("argon2id with %d KiB and %d passes", memory, passes)
	case len(parts) == 4 && strings.HasPrefix(parts[1], "2"):
		if cost, err := strconv.Atoi(parts[2]); err == nil && cost < 10 {
			return fmt.Sprintf("bcrypt with a cost of %d", cost)
		}
	}
	return ""
}
