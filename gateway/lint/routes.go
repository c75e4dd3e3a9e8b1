package lint

import (
	"fmt"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/route"
	"github.com/sallyport/sallyport/policy"
)

func routeCodes() []Code {
	return []Code{
		{
			ID: "SP060", Severity: Warning, Title: "a public route contains a protected one",
			Why:        "Everything below the public path is open but what another route happens to name: a new page, or a path that is written in another way, is public.",
			References: []string{"ASVS 8.2.1", "CWE 862"},
			Bad: `routes:
  - {name: site, paths: [/], upstream: "http://127.0.0.1:3000", public: true}  # SP060
  - {name: admin, paths: [/admin], upstream: "http://127.0.0.1:3000", policy: authenticated}
`,
			Good: `routes:
  - {name: assets, paths: [/assets], upstream: "http://127.0.0.1:3000", public: true}
  - {name: site, paths: [/], upstream: "http://127.0.0.1:3000", policy: authenticated}
`,
			find: (*linter).publicAround,
		},
		{
			ID: "SP061", Severity: Warning, Title: "a regular expression that fits more than it seems to",
			Why:        "An expression that begins with anything, or has a dot that stands for any character, lets others choose paths that fit it. A note on protected routes.",
			References: []string{"CWE 625", "ASVS 8.2.1"},
			Bad: `routes:
  - {name: app, upstream: "http://127.0.0.1:3000", policy: authenticated}
  - {name: styles, paths: ['~^/.*\.css'], upstream: "http://127.0.0.1:3000", public: true}  # SP061
`,
			Good: `routes:
  - {name: app, upstream: "http://127.0.0.1:3000", policy: authenticated}
  - {name: styles, paths: ['~^/styles/[a-z]+\.css'], upstream: "http://127.0.0.1:3000", public: true}
`,
			find: (*linter).wideExpressions,
		},
		{
			ID: "SP062", Severity: Warning, Title: "a path that no request comes to",
			Why:        "Another route takes every request that the path is for. Who reads the file believes that this route protects it. An error where the other one is public and this one is not.",
			References: []string{"ASVS 8.2.1", "CWE 561"},
			Bad: `routes:
  - {name: app, paths: [/app], upstream: "http://127.0.0.1:3000", policy: authenticated}  # SP062
  - {name: all, paths: ['~^/app.*'], upstream: "http://127.0.0.1:3001", policy: authenticated}  # SP063
`,
			Good: `routes:
  - {name: app, paths: [/app], upstream: "http://127.0.0.1:3000", policy: authenticated}
  - {name: old, paths: ['~^/app/v[0-9]+/.*'], upstream: "http://127.0.0.1:3001", policy: authenticated}
`,
			find: (*linter).shadowed,
		},
		{
			ID: "SP063", Severity: Note, Title: "routes overlap, and which one wins is hard to see",
			Why:        "Expressions with the same beginning are tried from the longer to the shorter one, and before a path that is that beginning: who changes one moves requests from the rules of one route to those of another.",
			References: []string{"ASVS 8.1.1", "Sallyport docs/configuration.md"},
			Bad: `routes:
  - {name: api, paths: ['~^/v[0-9]+/.*'], upstream: "http://127.0.0.1:3000", policy: authenticated}  # SP063
  - {name: docs, paths: ['~^/v[0-9]+/docs'], upstream: "http://127.0.0.1:3001", public: true}
`,
			Good: `routes:
  - {name: api, paths: ['~^/v[0-9]+/.*'], upstream: "http://127.0.0.1:3000", policy: authenticated}
  - {name: docs, paths: [/docs], upstream: "http://127.0.0.1:3001", public: true}
`,
			find: (*linter).overlapping,
		},
		{
			ID: "SP064", Severity: Warning, Title: "an application on another machine is reached by plain http",
			Why:        "Who is on the network between reads what people see, and can send the application identity headers of his own. A note where the name has no dot, as in a network of containers.",
			References: []string{"ASVS 12.3.3", "ASVS 4.1.3"},
			Bad: `routes:
  - {name: app, upstream: "http://app.internal:3000", policy: authenticated, shield: {mode: report}}  # SP064
`,
			Good: `routes:
  - {name: app, upstream: "https://app.internal:3000", policy: authenticated, shield: {mode: report}}
`,
			find: (*linter).plainUpstreams,
		},
		{
			ID: "SP065", Severity: Error, Title: "a credential goes over a network in clear",
			Why:        "Who reads a provider's token, or the password for an application, on the way can use it elsewhere until it expires. A warning where the name has no dot, as in a network of containers.",
			References: []string{"RFC 6750 section 5.3", "ASVS 12.3.3", "ASVS 10.1.1"},
			Bad: `routes:
  - name: app
    upstream: http://app.internal:3000  # SP064
    policy: authenticated
    shield: {mode: report}
    forward_access_token: true  # SP065
`,
			Good: `routes:
  - name: app
    upstream: https://app.internal:3000
    policy: authenticated
    shield: {mode: report}
    forward_access_token: true
`,
			find: (*linter).plainCredentials,
		},
		{
			ID: "SP066", Severity: Note, Title: "encoded slashes reach the application",
			Why:        "The gateway judges %2f as a character and the application may read it as a separator: the path that was judged is then not the one that is served.",
			References: []string{"CWE 436", "RFC 3986 section 2.2"},
			Bad: `routes:
  - name: files
    upstream: http://127.0.0.1:3000
    policy: authenticated
    allow_encoded_slash: true  # SP066
`,
			Good: `routes:
  - name: files
    upstream: http://127.0.0.1:3000
    policy: authenticated
`,
			find: func(l *linter) {
				for i, r := range l.Routes {
					if r.AllowEncodedSlash {
						l.found(item("routes", i)+".allow_encoded_slash", "lets %2f pass", "remove it, or make sure that the application does not decode it before it looks at the path")
					}
				}
			},
		},
		{
			ID: "SP067", Severity: Warning, Title: "nobody has to sign in anywhere",
			Why:        "Every route is public: the gateway proves nobody.",
			References: []string{"ASVS 8.2.1", "CWE 306"},
			Bad: `routes:
  - {name: app, upstream: "http://127.0.0.1:3000", public: true}  # SP067
`,
			Good: `routes:
  - {name: app, upstream: "http://127.0.0.1:3000", policy: authenticated}
`,
			find: func(l *linter) {
				if !slices.ContainsFunc(l.Routes, func(r config.Route) bool { return !r.Public }) {
					l.found("routes[0].public", "is true, as on every other route", "write a policy on the routes that are not for everybody")
				}
			},
		},
		{
			ID: "SP068", Severity: Warning, Title: "an authorizer that asks nobody who he is",
			Why:        "Whoever reaches it can ask who may do what. A note where the name has no dot, as in a network of containers.",
			References: []string{"ASVS 13.2.1"},
			Bad: `policies:
  - name: staff
    authorizer:
      url: https://opa.example.com/v1/data/app  # SP068
routes:
  - {name: app, upstream: "http://127.0.0.1:3000", policy: staff}
`,
			Good: `policies:
  - name: staff
    authorizer:
      url: https://opa.example.com/v1/data/app
      token_file: /run/secrets/opa
routes:
  - {name: app, upstream: "http://127.0.0.1:3000", policy: staff}
`,
			find: (*linter).openAuthorizer,
		},
	}
}

// place is a path of a route.
type place struct {
	route, path int
	compiled    policy.Path
}

func (p place) key() string { return item(item("routes", p.route)+".paths", p.path) }

// at is where the path was written, or the route where it has the default.
func (l *linter) at(p place) string {
	if key := item("routes", p.route); !l.Given(key + ".paths") {
		return key
	}
	return p.key()
}

func (l *linter) text(p place) string { return l.Routes[p.route].Paths[p.path] }

// pairs yields the paths of different routes that a request of one host can fit.
func (l *linter) pairs(yield func(a, b place)) {
	var all []place
	for i, r := range l.Routes {
		for j, text := range r.Paths {
			if compiled, problem := route.ParsePath(text); problem == "" {
				all = append(all, place{i, j, compiled})
			}
		}
	}
	for _, a := range all {
		for _, b := range all {
			if a.route != b.route && l.sameHosts(a.route, b.route) {
				yield(a, b)
			}
		}
	}
}

// sameHosts tells whether two routes have a host in common. A host that is listed
// is never looked for under a wildcard.
func (l *linter) sameHosts(i, j int) bool {
	hosts := func(r *config.Route) []string {
		if len(r.Hosts) == 0 {
			return l.Server.PublicHosts()
		}
		return r.Hosts
	}
	others := hosts(&l.Routes[j])
	return slices.ContainsFunc(hosts(&l.Routes[i]), func(h string) bool { return slices.Contains(others, h) })
}

func covers(a, b place) bool {
	c, ok := a.compiled.(policy.Coverer)
	return ok && c.Covers(b.compiled)
}

func (l *linter) publicAround() {
	seen := map[string]bool{}
	l.pairs(func(a, b place) {
		if l.Routes[a.route].Public && !l.Routes[b.route].Public && covers(a, b) && !seen[a.key()] {
			seen[a.key()] = true
			l.found(l.at(a), fmt.Sprintf("%s is public, and %s below it is not", l.text(a), l.text(b)),
				"protect "+l.text(a)+", and write public routes for the paths that everybody may see")
		}
	})
}

func (l *linter) wideExpressions() {
	for i, r := range l.Routes {
		for j, path := range r.Paths {
			expression, ok := strings.CutPrefix(path, "~")
			if !ok {
				continue
			}
			parsed, err := syntax.Parse(expression, syntax.Perl)
			if err != nil {
				continue
			}
			problem, fix := wideExpression(expression, parsed)
			if problem == "" {
				continue
			}
			severity := Note
			if r.Public {
				severity = l.code.Severity
			}
			l.foundAs(severity, item(item("routes", i)+".paths", j), quoted(path)+" "+problem, fix)
		}
	}
}

// shadowed finds prefixes that an expression takes whole: one with the same text,
// behind which anything may follow. It is asked first.
func (l *linter) shadowed() {
	l.pairs(func(a, b place) {
		if !takesAll(l.text(a), l.text(b)) {
			return
		}
		severity := l.code.Severity
		if l.Routes[a.route].Public && !l.Routes[b.route].Public {
			severity = Error
		}
		l.foundAs(severity, l.at(b), fmt.Sprintf("%s takes every request that %s is for", l.text(a), l.text(b)), "remove one of them, or let the expression begin with more than the path")
	})
}

// overlapping tells of expressions that begin alike, and of one that begins like a
// whole path, where the two routes do not ask for the same.
func (l *linter) overlapping() {
	seen := map[string]bool{}
	l.pairs(func(a, b place) {
		x, y := l.Routes[a.route], l.Routes[b.route]
		first, second := l.text(a), l.text(b)
		if !strings.HasPrefix(first, "~") || x.Public == y.Public && x.Policy == y.Policy && slices.Equal(x.Upstream, y.Upstream) {
			return
		}
		alike := strings.HasPrefix(second, "~") && literal(first) == literal(second) || takesAll(first, second)
		c, ok := a.compiled.(policy.Coverer)
		pair := fmt.Sprint(min(a.route, b.route), max(a.route, b.route))
		if alike && ok && !c.Disjoint(b.compiled) && !seen[pair] {
			seen[pair] = true
			l.found(l.at(a), fmt.Sprintf("%s and %s of the route %q fit the same paths", first, second, y.Name), "write expressions that exclude one another, or plain paths; `sallyport explain GET URL` tells which route a path comes to")
		}
	})
}

func (l *linter) plainUpstreams() {
	for i, r := range l.Routes {
		for j, upstream := range r.Upstream {
			host := plainHost(upstream)
			if host == "" {
				continue
			}
			severity := l.code.Severity
			if besides(host) {
				severity = Note
			}
			path := item("routes", i) + ".upstream"
			if each := item(path, j); l.Given(each) {
				path = each
			}
			l.foundAs(severity, path, quoted(upstream)+" is plain http to another machine", "write https://, with upstream_tls: {ca_file: FILE} where the authority is your own")
		}
	}
}

func (l *linter) plainCredentials() {
	for i, r := range l.Routes {
		severity, host := l.code.Severity, ""
		for _, upstream := range r.Upstream {
			if at := plainHost(upstream); at != "" && (host == "" || besides(host)) {
				host = at
			}
		}
		if host == "" {
			continue
		}
		if besides(host) {
			severity = Warning
		}
		for _, one := range []struct {
			key, what string
			sent      bool
		}{
			{"forward_access_token", "the provider's access token", r.ForwardAccessToken},
			{"forward_id_token", "the provider's ID token", r.ForwardIDToken != ""},
			{"upstream_credential", "the credential for the application", r.UpstreamCredential != (config.UpstreamCredential{})},
		} {
			if one.sent {
				l.foundAs(severity, item("routes", i)+"."+one.key, one.what+" goes to "+quoted(host)+" by plain http", "write https:// at upstream")
			}
		}
	}
}

func (l *linter) openAuthorizer() {
	for i, p := range l.Policies {
		a := p.Authorizer
		if a == nil || a.Token != "" || a.TokenFile != "" {
			continue
		}
		switch host := hostOf(a.URL); {
		case host == "" || config.LoopbackHost(host):
		case besides(host):
			l.foundAs(Note, item("policies", i)+".authorizer.url", quoted(host)+" is asked without a token", "write token_file: FILE, and let the authorizer want the token")
		default:
			l.found(item("policies", i)+".authorizer.url", quoted(host)+" is asked without a token", "write token_file: FILE, and let the authorizer want the token")
		}
	}
}
