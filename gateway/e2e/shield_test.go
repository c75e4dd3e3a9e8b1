//go:build e2e

package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// legacyApp has a session of its own, in a cookie as such applications set it,
// and trusts every form. partner is a site with which it shares an API.
func legacyApp(t *testing.T, partner string) string {
	t.Helper()
	session := func(r *http.Request) string {
		if ck, err := r.Cookie("sid"); err == nil { // the first, as most do
			return ck.Value
		}
		return "nobody"
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /legacy/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		who := session(r)
		if who == "nobody" {
			w.Header().Add("Set-Cookie", "sid=s1; Path=/")
			w.Header().Add("Set-Cookie", "csrf=c1; Path=/; Expires=Wed, 21 Oct 2099 07:28:00 GMT")
		}
		fmt.Fprintf(w, "<p>you are %s</p>", who)
	})
	mux.HandleFunc("POST /legacy/save", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "saved by %s", session(r)) })
	mux.HandleFunc("GET /legacy/ws", func(w http.ResponseWriter, r *http.Request) {
		if c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true}); err == nil {
			_ = c.Close(websocket.StatusNormalClosure, "")
		}
	})
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", partner)
		h.Set("Access-Control-Allow-Credentials", "true")
		h.Set("Access-Control-Allow-Methods", "PUT")
		if r.Method != http.MethodOptions {
			fmt.Fprintf(w, "put by %s", r.Header.Get("X-Forwarded-User"))
		}
	})
	app := httptest.NewServer(mux)
	t.Cleanup(app.Close)
	return app.URL
}

// startLegacy puts a gateway before the application, and a proxy that terminates
// TLS before the gateway.
func startLegacy(t *testing.T, app, partner string) (*env.Gateway, string) {
	t.Helper()
	binary, dir, at := sallyport, t.TempDir(), env.Reserve(t)
	gateway, err := url.Parse(at.URL())
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(gateway)
		r.Out.Host = r.In.Host
	}})
	t.Cleanup(front.Close)
	public := strings.Replace(front.URL, "127.0.0.1", "localhost", 1)
	env.WriteFile(t, dir, "admin-token", "operators-only")
	env.WriteFile(t, dir, "config.yaml", fmt.Sprintf(`
admin: {token_file: admin-token}
session: {embedded: {path: ""}}
login:
  providers:
    - {name: dev, type: dev, identities: [{subject: alice}]}
routes:
  - name: legacy
    paths: [/legacy/]
    upstream: %[1]q
    policy: authenticated
    shield: {mode: enforce, host_prefix: true, cookies: [{name: csrf, script: true}]}
    cross_site: {mode: enforce}
  - {name: watched, paths: [/watched/], upstream: "builtin:echo", policy: authenticated, shield: {mode: report}}
  - {name: api, paths: [/api/], methods: [PUT], upstream: %[1]q, policy: authenticated, preflight: true, cross_site: {mode: enforce, origins: [%[2]q]}}
  - {name: app, upstream: "builtin:echo", policy: authenticated}
`, app, partner))
	return env.StartGateway(t, binary, dir, at, "SALLYPORT_SERVER__PUBLIC_URL="+public), public
}

// TestLegacyApplicationInABrowser: what a browser makes of hardened cookies, of
// the requests of other sites, and of preflights.
func TestLegacyApplicationInABrowser(t *testing.T) {
	t.Parallel()
	// Another host of the site, to which no SameSite applies.
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		if to := r.FormValue("to"); to != "" {
			fmt.Fprintf(w, `<form method="post" action=%q></form><script>document.forms[0].submit()</script>`, to)
		}
	}))
	t.Cleanup(elsewhere.Close)
	partner := strings.Replace(elsewhere.URL, "127.0.0.1", "localhost", 1)
	gateway, site := startLegacy(t, legacyApp(t, partner), partner)
	l := newLooker(t)
	b := l.browser
	b.TrustAnyCertificate()

	b.Open(site + "/legacy/")
	b.Click(`button[value="alice"], form:has(input[value="alice"]) button`)
	b.WaitText("you are nobody")
	b.Open(site + "/legacy/")
	b.WaitText("you are s1")
	if got := b.Cookie(site, "__Host-sid"); got != "s1" {
		t.Errorf("__Host-sid is %q", got)
	}
	if got := b.Script("document.cookie"); got != "csrf=c1" {
		t.Errorf("scripts see %q", got)
	}
	b.SetCookie(site+"/legacy/", "sid", "tossed")
	b.Open(site + "/legacy/")
	b.WaitText("you are s1")

	const save = `fetch("/legacy/save", {method: "POST"}).then(r => r.text())`
	if got := b.Script(save); got != "saved by s1" {
		t.Errorf("a page of the site: %s", got)
	}
	socket := fmt.Sprintf(`new Promise(done => { const s = new WebSocket(%q); s.onopen = () => done("open"); s.onerror = () => done("refused") })`,
		strings.Replace(site, "https:", "wss:", 1)+"/legacy/ws")
	if got := b.Script(socket); got != "open" {
		t.Errorf("a WebSocket of the site: %s", got)
	}

	b.Open(partner + "/?to=" + url.QueryEscape(site+"/legacy/save"))
	b.WaitText("A page of another site sent this in your name.")
	b.Open(partner)
	if got := b.Script(socket); got != "refused" {
		t.Errorf("a WebSocket of another site: %s", got)
	}
	put := fmt.Sprintf(`fetch(%q, {method: "PUT", credentials: "include"}).then(r => r.text(), e => "refused")`, site+"/api/x")
	if got := b.Script(put); got != "put by alice" {
		t.Errorf("a page of the partner: %s", got)
	}
	if got := b.Script(strings.Replace(put, "/api/x", "/watched/x", 1)); got != "refused" {
		t.Errorf("where no preflight passes: %s", got)
	}

	b.Open(site + "/watched/")
	b.Open(gateway.AdminURL + "/shield")
	b.Type("#token", "operators-only\r")
	b.WaitText("sid")
	for _, v := range views("en") {
		b.Look(v)
		l.check("shield", v)
	}
}
