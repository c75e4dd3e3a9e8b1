package lint

import (
	"net/url"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/gateway/config"
)

func webCodes() []Code {
	return []Code{
		{
			ID: "SP070", Severity: Warning, Title: "WebSockets are opened for pages of other sites",
			Why:        "A page of any site can open one in its user's name, and read what comes over it: browsers don't keep WebSockets apart by origin.",
			References: []string{"ASVS 4.4.2", "RFC 6455 section 10.2"},
			Bad: `routes:
  - name: app
    upstream: http://127.0.0.1:3000
    policy: authenticated
    cross_site: {websocket: off}  # SP070
`,
			Good: `routes:
  - name: app
    upstream: http://127.0.0.1:3000
    policy: authenticated
    cross_site: {origins: [https://portal.example.com]}
`,
			find: func(l *linter) {
				for i, r := range l.Routes {
					if mode := r.CrossSite.WebSocket; !r.Public && slices.Contains(r.Auth, config.AuthSession) && mode != config.ModeEnforce {
						l.found(item("routes", i)+".cross_site.websocket", "is "+mode, "remove it, and list the other sites that may in cross_site.origins")
					}
				}
			},
		},
		{
			ID: "SP071", Severity: Warning, Title: "requests of other sites' pages change something",
			Why:        "The session cookie goes along with them where same_site is none: only cross_site.mode keeps them from acting in their user's name.",
			References: []string{"ASVS 3.5.1", "ASVS 3.5.3"},
			Bad: `session: {cookie: {same_site: none, partitioned: true}}  # SP020
routes:
  - {name: app, upstream: "http://127.0.0.1:3000", policy: authenticated}  # SP071
`,
			Good: `routes:
  - name: app
    upstream: http://127.0.0.1:3000
    policy: authenticated
    cross_site: {mode: enforce}
`,
			find: (*linter).crossSiteRequests,
		},
		{
			ID: "SP072", Severity: Warning, Title: "a cookie of the application goes over plain http",
			Why:        "The shield leaves Secure off such a cookie, so that whoever listens in has it.",
			References: []string{"ASVS 3.3.1", "RFC 6265 section 8.3"},
			Bad: `routes:
  - name: app
    upstream: http://127.0.0.1:3000
    policy: authenticated
    shield: {mode: enforce, cookies: [{name: cart, insecure: true}]}  # SP072
`,
			Good: `routes:
  - name: app
    upstream: http://127.0.0.1:3000
    policy: authenticated
    shield: {mode: enforce}
`,
			find: func(l *linter) {
				for i, r := range l.Routes {
					for j, c := range r.Shield.Cookies {
						if c.Insecure && l.Server.Secure() {
							l.found(item(item("routes", i)+".shield.cookies", j)+".insecure", "leaves "+quoted(c.Name)+" without Secure", "remove it: browsers come here by https")
						}
					}
				}
			},
		},
		{
			ID: "SP073", Severity: Warning, Title: "the shield gives pages weak headers",
			Why:        "Any site can show the pages in a frame and have people click on what they don't see, or learns the whole address that they came from.",
			References: []string{"ASVS 3.4.6", "ASVS 3.4.5"},
			Bad: `routes:
  - name: app
    upstream: http://127.0.0.1:3000
    policy: authenticated
    shield:
      mode: enforce
      frame_ancestors: "*"  # SP073
`,
			Good: `routes:
  - name: app
    upstream: http://127.0.0.1:3000
    policy: authenticated
    shield:
      mode: enforce
      frame_ancestors: "'self' https://portal.example.com"
`,
			find: (*linter).weakHeaders,
		},
		{
			ID: "SP074", Severity: Note, Title: "nobody looks at the cookies and headers of applications",
			Why:        "Old applications set cookies without Secure, HttpOnly and SameSite, and audits flag them. The shield reports that, and mends it.",
			References: []string{"ASVS 3.3.1", "ASVS 3.3.4", "ASVS 3.4.6", "Sallyport docs/shield.md"},
			Bad: `routes:
  - {name: app, upstream: "https://old.example.com", policy: authenticated}  # SP074
`,
			Good: `routes:
  - {name: app, upstream: "https://old.example.com", policy: authenticated, shield: {mode: report}}
`,
			find: (*linter).noShield,
		},
	}
}

func (l *linter) crossSiteRequests() {
	if l.Session.Cookie.SameSite != "none" {
		return
	}
	for i, r := range l.Routes {
		if !r.Public && slices.Contains(r.Auth, config.AuthSession) && r.CrossSite.Mode != config.ModeEnforce {
			path := item("routes", i)
			if l.Given(path + ".cross_site") {
				path += ".cross_site.mode"
			}
			l.found(path, "has cross_site.mode: "+r.CrossSite.Mode+", and the session cookie comes from other sites", "write cross_site: {mode: enforce}, with the sites that may in origins")
		}
	}
}

func (l *linter) weakHeaders() {
	for i, r := range l.Routes {
		s, at := r.Shield, item("routes", i)+".shield"
		if s.Mode == config.ModeOff {
			continue
		}
		if slices.ContainsFunc(strings.Fields(s.FrameAncestors), func(source string) bool { return source == "*" || source == "https:" || source == "http:" }) {
			l.found(at+".frame_ancestors", quoted(s.FrameAncestors)+" lets any site show the pages in a frame", `write "'self'", or the sites that may`)
		}
		if s.ReferrerPolicy == "unsafe-url" || s.ReferrerPolicy == "no-referrer-when-downgrade" {
			l.found(at+".referrer_policy", "is "+s.ReferrerPolicy+", which tells other sites the whole address", "write strict-origin-when-cross-origin")
		}
	}
}

// noShield is said once. Of applications that are only asked about, or that are
// built in, nothing passes through here.
func (l *linter) noShield() {
	if !l.Server.Secure() || slices.ContainsFunc(l.Routes, func(r config.Route) bool { return r.Shield.Mode != config.ModeOff }) {
		return
	}
	for i, r := range l.Routes {
		old := slices.ContainsFunc(r.Upstream, func(u string) bool { h := hostOf(u); return h != "" && !config.LoopbackHost(h) && !besides(h) })
		if !r.Public && old && slices.Contains(r.Auth, config.AuthSession) {
			l.found(item("routes", i), "has no shield, and no other route has", "write shield: {mode: report}, and look at the report")
			return
		}
	}
}

// hostOf is the host of a URL; "" where it has none.
func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Hostname()
}
