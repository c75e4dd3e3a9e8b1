package gateway_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// shut asserts a refusal on every Envoy, with failure_mode_allow as well: the call
// has succeeded, its status is not OK, and the client's status is one of want.
func (e *envoy) shut(t *testing.T, what string, in *authv3.CheckRequest, want ...int) answer {
	t.Helper()
	out := e.check(t, in)
	a := answered(out)
	if out.GetStatus().GetCode() == int32(codes.OK) || out.GetDeniedResponse() == nil || !slices.Contains(want, a.StatusCode) {
		t.Errorf("%.200s: the answer is %d, want one of %v\n%.300s", what, a.StatusCode, want, a.text)
	}
	if len(a.Header["Set-Cookie"]) != 0 || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%.200s: the header is %v", what, a.Header)
	}
	for _, name := range identityHeaders() {
		if len(a.Header[http.CanonicalHeaderKey(name)]) != 0 {
			t.Errorf("%.200s: a refusal has %s", what, name)
		}
	}
	return a
}

// TestEnvoyCheckWithoutTheRequest: what Envoy does not say is nowhere else to be had,
// least of all in a header that a client can send.
func TestEnvoyCheckWithoutTheRequest(t *testing.T) {
	e := newEnvoy(t, plan{})
	asked := func(in *authv3.CheckRequest) *authv3.AttributeContext_HttpRequest { return in.Attributes.Request.Http }
	for what, forget := range map[string]func(*authv3.CheckRequest){
		"everything": func(in *authv3.CheckRequest) { in.Attributes = nil },
		"request":    func(in *authv3.CheckRequest) { in.Attributes.Request = nil },
		"http":       func(in *authv3.CheckRequest) { in.Attributes.Request.Http = nil },
		"method":     func(in *authv3.CheckRequest) { asked(in).Method = "" },
		"path":       func(in *authv3.CheckRequest) { asked(in).Path = "" },
		"host":       func(in *authv3.CheckRequest) { asked(in).Host = "" },
		"scheme":     func(in *authv3.CheckRequest) { asked(in).Scheme = "" },
		"source":     func(in *authv3.CheckRequest) { in.Attributes.Source = nil },
		"address":    func(in *authv3.CheckRequest) { in.Attributes.Source.Address = nil },
		"ip":         func(in *authv3.CheckRequest) { in.Attributes.Source.Address = socketAddress("", 1) },
		"name":       func(in *authv3.CheckRequest) { in.Attributes.Source.Address = socketAddress("unix", 1) },
	} {
		for _, user := range []string{"", "alice"} {
			in := e.asking(t, about{target: "/public/x", user: user, lines: []string{
				"Host: " + e.host, "X-Forwarded-Host: " + e.host, "X-Forwarded-Uri: /public/x", "X-Forwarded-Method: GET",
				"X-Original-URL: http://" + e.host + "/public/x", "X-Envoy-Original-Path: /public/x", "Accept: text/html",
			}})
			forget(in)
			if a := e.shut(t, what, in, 400); a.Header.Get("Sallyport-Reason") != "bad_original_request" {
				t.Errorf("%s: the reason is %q", what, a.Header.Get("Sallyport-Reason"))
			}
		}
	}
}

// TestEnvoyServiceCalledByAClient (CVE-2026-40575): only the address of the peer says
// who is a proxy. Health is no secret, and orchestrators ask from anywhere.
func TestEnvoyServiceCalledByAClient(t *testing.T) {
	e := newEnvoy(t, plan{trusted: "10.1.2.3"})
	for _, c := range []about{
		{target: "/public/"},
		{target: "/app", user: "alice"},
		{target: "/app", user: "alice", lines: []string{"X-Forwarded-For: 10.1.2.3", "X-Big: " + strings.Repeat("a", 2<<20)}},
	} {
		in := e.asking(t, c)
		in.Attributes.Source.Address = socketAddress("10.1.2.3", 1)
		if out, err := e.client.Check(t.Context(), in); status.Code(err) != codes.PermissionDenied || out != nil {
			t.Errorf("the answer is %v, %v", out, err)
		}
	}
	if got := e.metric(t, `sallyport_checks_total{dialect="envoy_grpc",outcome="forbid"}`); got != "3" {
		t.Errorf("%s refusals are counted", got)
	}
	if !strings.Contains(e.logText.String(), `"reason":"untrusted_proxy"`) {
		t.Error("the log does not tell of them")
	}
	if _, err := healthv1.NewHealthClient(e.conn).Check(t.Context(), &healthv1.HealthCheckRequest{}); err != nil {
		t.Error(err)
	}
	if services, err := e.reflected(t); status.Code(err) != codes.PermissionDenied {
		t.Errorf("anybody learns of %v, %v", services, err)
	}
}

// TestEnvoyAttributesAreTheRequest (CVE-2021-32777): the client's headers, also those
// that Envoy or another proxy would set, say nothing of what is asked for.
func TestEnvoyAttributesAreTheRequest(t *testing.T) {
	e := newEnvoy(t, plan{})
	lines := []string{
		"X-Original-URI: /public/", "X-Original-URL: http://" + e.host + "/public/", "X-Forwarded-Uri: /public/", "X-Forwarded-Host: public.localhost",
		"X-Forwarded-Method: OPTIONS", "X-Rewrite-URL: /public/", "X-Envoy-Original-Path: /public/", "X-Envoy-Original-Host: public.localhost",
		"X-Envoy-Decorator-Operation: public", "X-HTTP-Method-Override: OPTIONS", "Forwarded: host=public.localhost", "X-Envoy-Auth-Partial-Body: true",
	}
	for form, change := range map[string]func(*authv3.CheckRequest) *authv3.CheckRequest{
		"merged": func(in *authv3.CheckRequest) *authv3.CheckRequest { return in },
		"raw":    unmerged,
	} {
		e.shut(t, form, change(e.asking(t, about{target: "/admin/secret", lines: lines})), 401)
		e.shut(t, form, change(e.asking(t, about{target: "/admin/secret", user: "alice", lines: lines})), 403)
		if got := answered(e.check(t, change(e.asking(t, about{target: "/admin/secret", user: "root", lines: lines})))); got.StatusCode != 200 {
			t.Errorf("%s: %d", form, got.StatusCode)
		}
	}
	root := about{target: "/admin/secret", user: "root"}
	for what, spoil := range map[string]func(*authv3.AttributeContext_HttpRequest){
		"two forms": func(asked *authv3.AttributeContext_HttpRequest) {
			asked.HeaderMap = &corev3.HeaderMap{Headers: []*corev3.HeaderValue{{Key: "accept", RawValue: []byte("text/html")}}}
		},
		"two cookie headers, by case": func(asked *authv3.AttributeContext_HttpRequest) {
			asked.Headers["Cookie"] = "app=1"
		},
		"two lines of cookies": func(asked *authv3.AttributeContext_HttpRequest) {
			asked.Headers["cookie"] = "app=1," + asked.GetHeaders()["cookie"]
		},
		"another query":  func(asked *authv3.AttributeContext_HttpRequest) { asked.Query = "x=/public/" },
		"a fragment":     func(asked *authv3.AttributeContext_HttpRequest) { asked.Fragment = "/public/" },
		"another Cookie": func(asked *authv3.AttributeContext_HttpRequest) { asked.Headers["cookie"] += ", " + e.cookie + "=x" },
	} {
		in := e.asking(t, root)
		spoil(in.Attributes.Request.Http)
		e.shut(t, what, in, 400)
	}
	// Two credentials, of which a proxy would have chosen one.
	e.shut(t, "two tokens", e.asking(t, about{target: "/api/x", lines: []string{"Authorization: Bearer " + e.token(t, nil), "Authorization: Bearer x"}}), 400, 401)
	// A comma in the application's cookie is its own affair.
	in := e.asking(t, about{target: "/app", user: "alice", lines: []string{"Cookie: app=1,2,theme=dark"}})
	in.Attributes.Request.Http.Headers["cookie"] = "app=1,2,theme=dark; " + e.signIn(t, "alice")
	if got := behind(t, in, e.check(t, in)); got["cookie"] != "app=1,2,theme=dark" {
		t.Errorf("the application gets the cookies %q", got["cookie"])
	}
}

// TestEnvoyAsksAboutGatewayPaths (CVE-2026-34457): a path of the gateway's own is not
// free because it is the gateway's, nor a client because it calls itself a probe.
func TestEnvoyAsksAboutGatewayPaths(t *testing.T) {
	e := newEnvoy(t, plan{})
	for _, target := range []string{
		"/livez", "/readyz", "/metrics", "/robots.txt", "/favicon.ico", "/oauth2/auth",
		"/.auth", "/.auth/", "/.auth/login", "/.auth/callback/dev", "/.auth/check/envoy/public/", "/%2eauth/login",
	} {
		for _, agent := range []string{"GoogleHC/1.0", "kube-probe/1.30", "ELB-HealthChecker/2.0"} {
			e.shut(t, target, e.asking(t, about{target: target, lines: []string{"User-Agent: " + agent}}), 401, 404)
		}
		if strings.HasPrefix(strings.Replace(target, "%2e", ".", 1), "/.auth") {
			e.shut(t, target, e.asking(t, about{target: target, user: "root"}), 404)
		}
	}
}

// TestEnvoyReplacesEveryIdentityHeader (CVE-2026-25748): whatever the client sent, in
// whatever spelling, the application reads the gateway's word or nothing.
func TestEnvoyReplacesEveryIdentityHeader(t *testing.T) {
	e := newEnvoy(t, plan{routes: `
  - {name: department, paths: [/department/], policy: users, headers: [{name: X-Department, claim: department}]}
  - {name: cors, paths: [/cors/], policy: users, preflight: true}
  - {name: signed, paths: [/signed/], policy: users, assertion: true}`})
	spoofed := []string{"x-department: board", "x_department: board", "x-forwarded-issuer: evil", "sallyport-assertion: evil", "remote-user: root", "x-remote-user: root", "x-vouch-user: root"}
	for _, name := range identityHeaders() {
		name = strings.ToLower(name)
		spoofed = append(spoofed, name+": root", strings.ReplaceAll(name, "-", "_")+": root", strings.ReplaceAll(name, "-", ".")+": root")
	}
	for _, name := range []string{"user", "email", "groups", "preferred-username", "access-token"} {
		spoofed = append(spoofed, "x-auth-request-"+name+": root", "x_auth_request_"+name+": root")
	}
	mallory := "cookie: " + e.newSession(t, "mallory", "") + "; app=1" // without an address
	for what, c := range map[string]struct {
		a    about
		want map[string]string
	}{
		"somebody without an address": {about{target: "/app", lines: []string{mallory}}, map[string]string{
			"x-forwarded-user": "mallory", "x-forwarded-preferred-username": "mallory", "x-forwarded-groups": "users",
			"x-auth-request-user": "mallory", "x-auth-request-preferred-username": "mallory", "x-auth-request-groups": "users", "cookie": "app=1",
		}},
		"nobody on a public route":        {about{target: "/public/"}, map[string]string{}},
		"a malformed cookie there":        {about{target: "/public/", lines: []string{"cookie: sp=AAAA; app=1"}}, map[string]string{"cookie": "app=1"}},
		"the application's Authorization": {about{target: "/public/", lines: []string{"authorization: Basic eDp5"}}, map[string]string{"authorization": "Basic eDp5"}},
		"a token that was consumed": {about{target: "/api/x", lines: []string{"authorization: Bearer " + e.token(t, nil)}}, map[string]string{
			"x-forwarded-user": "caller", "x-auth-request-user": "caller", "x-forwarded-issuer": tokenIssuer,
		}},
		"a preflight": {about{target: "/cors/", method: "OPTIONS", lines: []string{
			"origin: https://spa.test", "access-control-request-method: GET", "authorization: Bearer x", "cookie: sp=AAAA; app=1", "x-http-method-override: DELETE",
		}}, map[string]string{"origin": "https://spa.test", "access-control-request-method": "GET"}},
	} {
		for _, form := range []func(*authv3.CheckRequest) *authv3.CheckRequest{func(in *authv3.CheckRequest) *authv3.CheckRequest { return in }, unmerged} {
			a := c.a
			a.lines = append(slices.Clone(a.lines), spoofed...)
			in := e.asking(t, a)
			merged := in.Attributes.Request.Http.Headers
			out := e.check(t, form(in))
			in.Attributes.Request.Http.Headers = merged
			got := behind(t, in, out)
			delete(got, "x-forwarded-proto") // Envoy's own
			if !maps.Equal(got, c.want) {
				t.Errorf("%s: the application gets\n%v, want\n%v", what, got, c.want)
			}
		}
	}
}
