package login_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/login"
)

var csrfField = regexp.MustCompile(`name="csrf" value="([A-Za-z0-9_-]+)"`)

// formToken takes the token out of a page.
func formToken(t *testing.T, page *answer) string {
	t.Helper()
	m := csrfField.FindStringSubmatch(page.body)
	if m == nil {
		t.Fatalf("%d: no form token in %s", page.StatusCode, page.body)
	}
	return m[1]
}

func aliceForm(token string) url.Values {
	f := url.Values{"provider": {"dev"}, "username": {"alice"}}
	if token != "" {
		f.Set("csrf", token)
	}
	return f
}

func TestSignInCannotBeCausedByAnotherSite(t *testing.T) {
	g := newGateway(t, devProvider())
	mallory := g.browser(t)
	foreign := formToken(t, mallory.get("/.auth/login"))
	tests := map[string]struct {
		header []string
		token  func(b *browser) string
		ok     bool
	}{
		"same origin":                       {header: []string{"Sec-Fetch-Site", "same-origin"}, ok: true},
		"exact origin":                      {header: []string{"Origin", g.URL}, ok: true},
		"a script without any header":       {ok: true},
		"same site":                         {header: []string{"Sec-Fetch-Site", "same-site", "Origin", g.URL}},
		"cross site":                        {header: []string{"Sec-Fetch-Site", "cross-site"}},
		"typed in":                          {header: []string{"Sec-Fetch-Site", "none"}},
		"origin null":                       {header: []string{"Origin", "null"}},
		"origin of another site":            {header: []string{"Origin", "https://evil.test"}},
		"origin that begins alike":          {header: []string{"Origin", g.URL + ".evil.test"}},
		"origin of the other scheme":        {header: []string{"Origin", strings.Replace(g.URL, "http:", "https:", 1)}},
		"origin of another port":            {header: []string{"Origin", "http://127.0.0.1:1"}},
		"only a referrer":                   {header: []string{"Referer", g.URL + "/.auth/login"}},
		"a token of the page":               {header: []string{"Origin", "null"}, token: func(b *browser) string { return formToken(t, b.get("/.auth/login")) }, ok: true},
		"a token, and cross site":           {header: []string{"Sec-Fetch-Site", "none"}, token: func(b *browser) string { return formToken(t, b.get("/.auth/login")) }, ok: true},
		"a token of another browser":        {header: []string{"Origin", "null"}, token: func(*browser) string { return foreign }},
		"the same with a cookie of its own": {header: []string{"Origin", "null"}, token: func(b *browser) string { b.get("/.auth/login"); return foreign }},
		"a token that is none":              {header: []string{"Origin", "null"}, token: func(*browser) string { return strings.Repeat("A", 28) }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := g.browser(t)
			token := ""
			if tt.token != nil {
				token = tt.token(b)
			}
			got := b.post("/.auth/login", aliceForm(token), tt.header...)
			if tt.ok && (got.StatusCode != http.StatusSeeOther || b.session() == "") {
				t.Errorf("refused with %d %s", got.StatusCode, got.body)
			}
			if !tt.ok && (got.StatusCode != http.StatusForbidden || got.reason() != login.ReasonCrossSite || b.session() != "") {
				t.Errorf("answered with %d %s", got.StatusCode, got.body)
			}
		})
	}
}

func TestSignOutCannotBeCausedByAnotherSite(t *testing.T) {
	g := newGateway(t, devProvider())
	mallory := g.browser(t)
	mallory.post("/.auth/login", url.Values{"username": {"mallory"}})
	foreign := formToken(t, mallory.get("/.auth/logout"))
	signedIn := func(t *testing.T) *browser {
		t.Helper()
		b := g.browser(t)
		b.post("/.auth/login", aliceForm(""))
		return b
	}
	loginToken := formToken(t, g.browser(t).get("/.auth/login"))
	tests := map[string]func(b *browser) *answer{
		"a link":             func(b *browser) *answer { return b.get("/.auth/logout", "Sec-Fetch-Site", "cross-site") },
		"an image":           func(b *browser) *answer { return b.get("/.auth/logout", "Sec-Fetch-Dest", "image") },
		"a prefetch":         func(b *browser) *answer { return b.get("/.auth/logout", "Sec-Purpose", "prefetch") },
		"HEAD":               func(b *browser) *answer { return b.do(http.MethodHead, "/.auth/logout", nil) },
		"DELETE":             func(b *browser) *answer { return b.do(http.MethodDelete, "/.auth/logout", nil) },
		"no header":          func(b *browser) *answer { return b.post("/.auth/logout", url.Values{}) },
		"no header, no body": func(b *browser) *answer { return b.do(http.MethodPost, "/.auth/logout", nil) },
		"cross site":         func(b *browser) *answer { return b.post("/.auth/logout", url.Values{}, "Sec-Fetch-Site", "cross-site") },
		"same site": func(b *browser) *answer {
			return b.post("/.auth/logout", url.Values{}, "Sec-Fetch-Site", "same-site", "Origin", g.URL)
		},
		"origin null":       func(b *browser) *answer { return b.post("/.auth/logout", url.Values{}, "Origin", "null") },
		"look-alike origin": func(b *browser) *answer { return b.post("/.auth/logout", url.Values{}, "Origin", g.URL+".evil.test") },
		"only a referrer":   func(b *browser) *answer { return b.post("/.auth/logout", url.Values{}, "Referer", g.URL+"/") },
		"another's token": func(b *browser) *answer {
			return b.post("/.auth/logout", url.Values{"csrf": {foreign}}, "Origin", "null")
		},
		"a sign-in's token": func(b *browser) *answer {
			return b.post("/.auth/logout", url.Values{"csrf": {loginToken}}, "Origin", "null")
		},
		"plain text": func(b *browser) *answer {
			return b.do(http.MethodPost, "/.auth/logout", url.Values{"csrf": {"x"}}, "Content-Type", "text/plain", "Origin", "https://evil.test")
		},
		"token in the query": func(b *browser) *answer {
			return b.post("/.auth/logout?csrf="+formToken(t, b.get("/.auth/logout")), url.Values{}, "Origin", "null")
		},
	}
	for name, attack := range tests {
		t.Run(name, func(t *testing.T) {
			b := signedIn(t)
			got := attack(b)
			if got.StatusCode != http.StatusOK && got.StatusCode != http.StatusForbidden && got.StatusCode != http.StatusMethodNotAllowed {
				t.Errorf("answered with %d", got.StatusCode)
			}
			if got.setCookie("sp") != nil || got.Header.Get("Clear-Site-Data") != "" {
				t.Error("the answer deletes the session")
			}
			if _, status := b.me(); status != http.StatusOK {
				t.Errorf("the session is gone: %d", status)
			}
		})
	}
}

func TestSignOutEndsTheSessionAndDeletesTheCookie(t *testing.T) {
	g := newGateway(t, devProvider())
	b := g.browser(t)
	issued := b.post("/.auth/login", aliceForm("")).setCookie("sp")
	kept := b.session()
	page := b.get("/.auth/logout?return_to=/bye")
	if page.StatusCode != http.StatusOK || !strings.Contains(page.body, "alice@example.com") {
		t.Fatalf("%d %s", page.StatusCode, page.body)
	}
	got := b.post("/.auth/logout", url.Values{"csrf": {formToken(t, page)}, "return_to": {"/bye"}}, "Origin", "null")
	if got.StatusCode != http.StatusSeeOther || got.location() != "/bye" || got.Header.Get("Clear-Site-Data") != `"cache"` {
		t.Errorf("%d to %q, Clear-Site-Data %q", got.StatusCode, got.location(), got.Header.Get("Clear-Site-Data"))
	}
	cleared := got.setCookie("sp")
	if cleared == nil || cleared.MaxAge >= 0 || cleared.Value != "" {
		t.Fatalf("the cookie is not deleted: %v", cleared)
	}
	if issued.Path != cleared.Path || issued.Domain != cleared.Domain || issued.Secure != cleared.Secure || issued.SameSite != cleared.SameSite || issued.HttpOnly != cleared.HttpOnly {
		t.Errorf("issued as %v and deleted as %v", issued, cleared)
	}
	b.setCookie("sp", kept)
	if _, status := b.me(); status != http.StatusUnauthorized {
		t.Errorf("the old cookie still answers %d", status)
	}
	if page := b.get("/.auth/logout"); page.StatusCode != http.StatusOK || !strings.Contains(page.body, "/.auth/login") {
		t.Errorf("afterwards the page is %d %s", page.StatusCode, page.body)
	}
	audits := g.auditLog()
	if last := audits[len(audits)-1]; last.Event != login.EventLogout || last.Subject != "alice" || last.Provider != "dev" || last.Session == "" {
		t.Errorf("audited as %+v", last)
	}
	if got := b.do(http.MethodPost, "/.auth/logout", nil, "Sec-Fetch-Site", "same-origin"); got.StatusCode != http.StatusSeeOther || got.location() != "/.auth/logout" {
		t.Errorf("a second sign-out: %d to %q", got.StatusCode, got.location())
	}
}

func TestSignOutIsTheWayOutOfTwoLiveSessions(t *testing.T) {
	g := newGateway(t, devProvider())
	one, two := g.browser(t), g.browser(t)
	one.post("/.auth/login", aliceForm(""))
	two.post("/.auth/login", url.Values{"username": {"mallory"}})
	both := "sp=" + one.session() + "; sp=" + two.session()
	p := g.program(t)
	if got := p.get("/.auth/me", "Cookie", both); got.StatusCode != http.StatusUnauthorized || got.reason() != login.ReasonAmbiguousSession {
		t.Errorf("%d %s", got.StatusCode, got.reason())
	}
	page := p.get("/.auth/logout", "Cookie", both)
	token, ck := formToken(t, page), page.setCookie("sp_login")
	if ck == nil {
		t.Fatal("the page sets no cookie for its token to hang on")
	}
	got := p.post("/.auth/logout", url.Values{"csrf": {token}}, "Cookie", both+"; sp_login="+ck.Value, "Origin", "null")
	if got.StatusCode != http.StatusSeeOther {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	if n := len(g.Store.all()); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}

func TestMeTellsWhoAndHowLongAndNoTokens(t *testing.T) {
	g := newGateway(t, devProvider())
	b := g.browser(t)
	got := b.get("/.auth/me")
	if got.StatusCode != http.StatusUnauthorized || got.reason() != login.ReasonNoSession || !strings.Contains(got.body, `"login_url":"/.auth/login"`) {
		t.Errorf("without a session: %d %s", got.StatusCode, got.body)
	}
	begun := time.Now().Add(-time.Second)
	b.post("/.auth/login", aliceForm(""))
	var who map[string]any
	answer := b.get("/.auth/me")
	if err := json.Unmarshal([]byte(answer.body), &who); err != nil {
		t.Fatal(err)
	}
	times := map[string]time.Duration{"created_at": 0, "auth_time": 0, "idle_expires_at": 30 * time.Minute, "absolute_expires_at": 12 * time.Hour}
	for name, after := range times {
		text, _ := who[name].(string)
		at, err := time.Parse(time.RFC3339, text)
		if err != nil || at.Before(begun.Add(after-time.Second)) || at.After(time.Now().Add(after+time.Second)) {
			t.Errorf("%s is %q (%v)", name, text, err)
		}
		delete(who, name)
	}
	want := map[string]any{
		"issuer": "urn:sallyport:dev", "subject": "alice", "email": "alice@example.com", "email_verified": true, "name": "Alice",
		"preferred_username": "alice", "groups": []any{"staff", "admin"}, "provider": "dev",
	}
	if diff := cmp.Diff(want, who); diff != "" {
		t.Error(diff)
	}
	if answer.Header.Get("Content-Type") != "application/json" {
		t.Errorf("the type is %q", answer.Header.Get("Content-Type"))
	}
	head := b.do(http.MethodHead, "/.auth/me", nil)
	if head.StatusCode != http.StatusOK || head.body != "" || head.ContentLength != answer.ContentLength {
		t.Errorf("HEAD: %d, %d bytes", head.StatusCode, head.ContentLength)
	}
	if got := b.post("/.auth/me", url.Values{}); got.StatusCode != http.StatusMethodNotAllowed || got.Header.Get("Allow") == "" {
		t.Errorf("POST: %d", got.StatusCode)
	}
}

func TestAskingWhoIsSignedInIsNoActivity(t *testing.T) {
	g := newGateway(t, devProvider())
	b := g.browser(t)
	b.post("/.auth/login", aliceForm(""))
	for range 5 {
		b.me()
		b.get("/.auth/login")
		b.get("/.auth/logout")
	}
	g.flush()
	if n := g.Store.touched(); n != 0 {
		t.Errorf("the session was touched %d times", n)
	}
}

func TestSignOutThatTheStoreCannotWriteKeepsTheCookie(t *testing.T) {
	g := newGateway(t, devProvider())
	b := g.browser(t)
	b.post("/.auth/login", aliceForm(""))
	g.Store.setReadOnly(true)
	got := b.post("/.auth/logout", url.Values{}, "Sec-Fetch-Site", "same-origin")
	if got.StatusCode != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" || len(got.Cookies()) != 0 {
		t.Errorf("%d, cookies %v", got.StatusCode, got.Cookies())
	}
	if _, status := b.me(); status != http.StatusOK {
		t.Errorf("/.auth/me answers %d", status)
	}
}

func TestFormTokenEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t)
		w := httptest.NewRecorder()
		token := s.FormToken(w, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
		nonce := []byte(w.Result().Cookies()[0].Value)
		if !s.CheckFormToken(token, nonce) {
			t.Error("a new token is refused")
		}
		<-time.After(10*time.Minute + 2*time.Second)
		if s.CheckFormToken(token, nonce) {
			t.Error("an old token is accepted")
		}
	})
}

func TestFormTokenOf403PageSignsOut(t *testing.T) {
	g := newGateway(t, devProvider())
	b := g.browser(t)
	b.post("/.auth/login", aliceForm(""))
	refusedPage := b.post("/.auth/login", aliceForm(""), "Sec-Fetch-Site", "cross-site", "Accept", "text/html")
	if refusedPage.StatusCode != http.StatusForbidden {
		t.Fatalf("%d", refusedPage.StatusCode)
	}
	got := b.post("/.auth/logout", url.Values{"csrf": {formToken(t, refusedPage)}}, "Origin", "null")
	if got.StatusCode != http.StatusSeeOther || b.session() != "" {
		t.Errorf("%d", got.StatusCode)
	}
}

func TestCookiesAreAsStrictAsBrowsersAllow(t *testing.T) {
	g := newGatewayWith(t, options{providers: []config.Provider{usersProvider(t, cheapUsers)}, tls: true})
	b := g.browser(t)
	page := b.get("/.auth/login")
	form := url.Values{"username": {"alice"}, "password": {"correct horse"}, "csrf": {formToken(t, page)}}
	done := b.post("/.auth/login", form, "Origin", "null")
	for name, ck := range map[string]*http.Cookie{
		"sign-in under way": page.setCookie("__Host-sp_login"), "its end": done.setCookie("__Host-sp_login"), "session": done.setCookie("__Host-sp"),
	} {
		if ck == nil {
			t.Errorf("%s: no __Host- cookie: %v %v", name, page.Cookies(), done.Cookies())
			continue
		}
		if !ck.Secure || !ck.HttpOnly || ck.SameSite != http.SameSiteLaxMode || ck.Path != "/" || ck.Domain != "" {
			t.Errorf("%s: %v", name, ck)
		}
	}
	for _, ck := range append(page.Cookies(), done.Cookies()...) {
		if !strings.HasPrefix(ck.Name, "__Host-sp") {
			t.Errorf("another cookie: %v", ck)
		}
	}
}

func TestMarkupInRequestsIsEscapedOnPages(t *testing.T) {
	g := newGateway(t, devProvider(), usersProvider(t, cheapUsers))
	b := g.browser(t)
	const evil = `"><script>alert(1)</script>`
	for name, page := range map[string]*answer{
		"return URL": b.get("/.auth/login?return_to="+url.QueryEscape("/x?"+strings.ReplaceAll(evil, " ", "")), "Accept", "text/html"),
		"user name":  b.post("/.auth/login", url.Values{"provider": {"local"}, "username": {evil}, "password": {"x"}}, "Accept", "text/html", "Origin", g.URL),
		"provider":   b.get("/.auth/login?provider="+url.QueryEscape(evil), "Accept", "text/html"),
		"callback":   b.get("/.auth/callback/"+url.PathEscape(evil)+"?error="+url.QueryEscape(evil), "Accept", "text/html"),
		"sign-out":   b.get("/.auth/logout?return_to="+url.QueryEscape("/"+evil), "Accept", "text/html"),
	} {
		if strings.Contains(page.body, "<script") {
			t.Errorf("%s: %s", name, page.body)
		}
		csp := page.Header.Get("Content-Security-Policy")
		for _, want := range []string{"frame-ancestors 'none'", "object-src 'none'", "base-uri 'none'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: the policy %q lacks %s", name, csp, want)
			}
		}
		if page.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(page.Header.Get("Content-Type"), "text/html") {
			t.Errorf("%s: %v", name, page.Header)
		}
	}
}

func TestOtherSitesCannotReadAnswers(t *testing.T) {
	g := newGateway(t, devProvider())
	b := g.browser(t)
	b.post("/.auth/login", aliceForm(""))
	for _, origin := range []string{"https://evil.test", "null"} {
		for _, target := range []string{"/.auth/me", "/.auth/login", "/.auth/logout", "/.auth/callback/corp"} {
			b.get(target, "Origin", origin) // checkGatewayAnswer looks for CORS headers
			b.do(http.MethodOptions, target, nil, "Origin", origin, "Access-Control-Request-Method", "GET")
		}
	}
}

func TestDevIdentitiesAreForLoopbackOnly(t *testing.T) {
	for name, tt := range map[string]struct {
		server config.Server
		ok     bool
	}{
		"loopback":            {config.Server{Listen: "127.0.0.1:8080", PublicURL: "http://localhost:8080"}, true},
		"loopback by IPv6":    {config.Server{Listen: "[::1]:8080", PublicURL: "http://localhost:8080"}, true},
		"listens everywhere":  {config.Server{Listen: ":8080", PublicURL: "http://localhost:8080"}, false},
		"listens on any IPv4": {config.Server{Listen: "0.0.0.0:8080", PublicURL: "http://localhost:8080"}, false},
		"public name":         {config.Server{Listen: "127.0.0.1:8080", PublicURL: "https://app.example.test"}, false},
		"look-alike name":     {config.Server{Listen: "127.0.0.1:8080", PublicURL: "http://localhost.example.test"}, false},
	} {
		tt.server.AuthPrefix = "/.auth"
		_, err := login.New(login.Options{Server: tt.server, Providers: []config.Provider{devProvider()}, Sessions: newGateway(t).Manager})
		if (err == nil) != tt.ok || err != nil && !strings.Contains(err.Error(), "provider dev: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestConfigurationFaultsNameTheProvider(t *testing.T) {
	g := newGateway(t)
	for name, cfg := range map[string]config.Provider{
		"no users file":  {Type: config.ProviderUsers, File: "/nonexistent"},
		"no CA file":     {Type: config.ProviderOIDC, Issuer: "https://id.example.test", ClientID: "x", CAFile: "/nonexistent"},
		"no secret file": {Type: config.ProviderOIDC, Issuer: "https://id.example.test", ClientID: "x", ClientSecretFile: "/nonexistent"},
		"unknown type":   {Type: "saml"},
	} {
		cfg.Name = "mine"
		server := config.Server{Listen: "127.0.0.1:0", PublicURL: "http://localhost", AuthPrefix: "/.auth"}
		if _, err := login.New(login.Options{Server: server, Providers: []config.Provider{cfg}, Sessions: g.Manager}); err == nil || !strings.HasPrefix(err.Error(), "provider mine: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
