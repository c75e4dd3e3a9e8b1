package pages_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/pages"
)

const requestID = "01JD3Q8ZK4V7W9X2Y5T6R8N0PB"

// sample is one page with everything on it that comes from outside. Each such
// value passes through in, so that a test can put markup into it.
type sample struct {
	name   string
	method string // default GET
	target string // default /
	draw   func(p *pages.Renderer, w http.ResponseWriter, r *http.Request, in func(string) string) error
}

func same(s string) string { return s }

// serve draws s as a client would get it.
func (s sample) serve(t *testing.T, method string, in func(string) string) *httptest.ResponseRecorder {
	t.Helper()
	p, err := pages.New(pages.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s.serveFrom(t, p, method, in)
}

func (s sample) serveFrom(t *testing.T, p *pages.Renderer, method string, in func(string) string) *httptest.ResponseRecorder {
	t.Helper()
	if method == "" {
		method = s.method
	}
	if s.target == "" {
		s.target = "/"
	}
	r := httptest.NewRequestWithContext(t.Context(), method, s.target, nil)
	r.Host = in("app.example.com")
	w := httptest.NewRecorder()
	if err := s.draw(p, w, r, in); err != nil {
		t.Fatal(err)
	}
	return w
}

func loginSample(name string, status int, change func(*pages.LoginPage), kinds ...string) sample {
	return sample{name: name, target: "/.auth/login", draw: func(p *pages.Renderer, w http.ResponseWriter, r *http.Request, in func(string) string) error {
		page := pages.LoginPage{ReturnTo: in("/reports?year=2026&q=a b"), FormToken: in("form-token")}
		for _, kind := range kinds {
			c := pages.ProviderChoice{Name: in(kind + "-provider"), Title: in("The " + kind + " one"), Kind: kind}
			if kind == pages.KindPick {
				c.Identities = []pages.IdentityChoice{
					{Subject: in("alice"), Name: in("Alice Adams"), Email: in("alice@example.com"), Groups: []string{in("staff"), in("admin")}},
					{Subject: in("bob")},
				}
			}
			page.Providers = append(page.Providers, c)
		}
		if change != nil {
			change(&page)
		}
		if page.Username != "" {
			page.Username = in(page.Username)
		}
		return p.Login(w, r, status, page)
	}}
}

func errorSample(name, method, target, formToken string, e httperr.Error) sample {
	return sample{name: name, method: method, target: target, draw: func(p *pages.Renderer, w http.ResponseWriter, r *http.Request, in func(string) string) error {
		shown := e
		shown.Reason = in(e.Reason)
		if e.Message != "" {
			shown.Message = in(e.Message)
		}
		if e.Who != "" {
			shown.Who = in(e.Who)
		}
		if e.LoginURL != "" {
			shown.LoginURL = in(e.LoginURL)
		}
		if e.Message != "" { // a policy denied: the decision is kept
			w.Header().Set(httperr.DecisionHeader, in("K5TQ2XN7A4BC"))
		}
		if formToken != "" {
			return p.Error(w, r, &shown, in(requestID), in(formToken))
		}
		return p.Error(w, r, &shown, in(requestID), "")
	}}
}

func samples() []sample {
	return append(signOutSamples(), []sample{
		loginSample("login_chooser", 200, nil, "redirect", "redirect"),
		loginSample("login_password", 200, nil, "password"),
		loginSample("login_refused", 401, func(p *pages.LoginPage) { p.Failed, p.Username = true, "alice" }, "password"),
		loginSample("login_pick", 200, nil, "pick"),
		loginSample("login_every_kind", 200, nil, "redirect", "password", "pick", "redirect"),
		loginSample("login_without_providers", 200, nil),
		{name: "logout_confirm", target: "/.auth/logout", draw: func(p *pages.Renderer, w http.ResponseWriter, r *http.Request, in func(string) string) error {
			return p.ConfirmLogout(w, r, pages.LogoutPage{Who: in("alice@example.com"), ReturnTo: in("/reports"), FormToken: in("form-token")})
		}},
		{name: "signed_out", target: "/.auth/logout", draw: func(p *pages.Renderer, w http.ResponseWriter, r *http.Request, _ func(string) string) error {
			return p.SignedOut(w, r)
		}},
		{name: "onward", method: "POST", target: "/.auth/logout", draw: func(p *pages.Renderer, w http.ResponseWriter, r *http.Request, in func(string) string) error {
			return p.Onward(w, r, in("https://id.example.com/end?post_logout_redirect_uri=https%3A%2F%2Fapp.example.com%2F&state="))
		}},
		{name: "fragment", target: "/.auth/login", draw: func(p *pages.Renderer, w http.ResponseWriter, r *http.Request, in func(string) string) error {
			return p.Fragment(w, r, in("https://id.example.com/authorize?client_id=app&state=abc&nonce=(1)'"), in("/reports?q=a b"))
		}},
		{name: "landed", target: "/.auth/callback/corp?code=abc&state=def.h", draw: func(p *pages.Renderer, w http.ResponseWriter, r *http.Request, in func(string) string) error {
			return p.Landed(w, r, in("/reports/(1)?q='b'"))
		}},
		loopSample("loop_lost", pages.LoopPage{Cookie: "__Host-sp", Causes: []pages.LoopCause{pages.CauseDomain, pages.CausePlainHTTP, pages.CauseFrame, pages.CauseBlocked, pages.CauseClock}}),
		loopSample("loop_unknown", pages.LoopPage{Cookie: "__Host-sp", Returned: true, Causes: []pages.LoopCause{pages.CauseUnknownSession, pages.CauseClock}}),
		loopSample("loop_provider", pages.LoopPage{Causes: []pages.LoopCause{pages.CauseProvider}}),
		{name: "resubmit", method: "POST", target: "/orders?draft=1", draw: func(p *pages.Renderer, w http.ResponseWriter, r *http.Request, in func(string) string) error {
			return p.Resubmit(w, r, pages.ResubmitPage{
				Action: in("/orders?draft=1"), SignInURL: in("/.auth/login?return_to=%2F.auth%2Fdone"), Reason: in("no_credential"), RequestID: in(requestID),
				Fields: []pages.FormField{{Name: in("b[]"), Value: in("two\r\nlines")}, {Name: in("a"), Value: in("")}},
			})
		}},
		{name: "resubmit_kept", method: "POST", target: "/orders", draw: func(p *pages.Renderer, w http.ResponseWriter, r *http.Request, in func(string) string) error {
			return p.Resubmit(w, r, pages.ResubmitPage{SignInURL: in("/.auth/login?return_to=%2F.auth%2Fresend"), Kept: true, Reason: in("session_idle"), RequestID: in(requestID)})
		}},
		{name: "resubmit_ready", target: "/.auth/resend", draw: func(p *pages.Renderer, w http.ResponseWriter, r *http.Request, in func(string) string) error {
			return p.Resubmit(w, r, pages.ResubmitPage{Action: in("/orders"), SignedIn: true, Fields: []pages.FormField{{Name: in("a"), Value: in("1")}}})
		}},
		{name: "done", target: "/.auth/done", draw: func(p *pages.Renderer, w http.ResponseWriter, r *http.Request, in func(string) string) error {
			return p.Done(w, r, in("alice@example.com"))
		}},
		errorSample("error_400", "", "/a?x=%3Cb%3E", "", httperr.Error{Code: 400, Reason: "malformed_request"}),
		errorSample("error_400_callback", "", "/.auth/callback/corp?code=abc&state=def", "", httperr.Error{Code: 400, Reason: "invalid_state"}),
		errorSample("error_401", "", "/a?x=1", "", httperr.Error{Code: 401, Reason: "no_credential"}),
		errorSample("error_401_form", "POST", "/a?x=1", "", httperr.Error{Code: 401, Reason: "session_expired", LoginURL: "/.auth/login?return_to=/a"}),
		errorSample("error_403", "", "/admin/users?page=2&sort=name", "form-token", httperr.Error{Code: 403, Reason: "denied_by_rule", Message: "This area is for the group admin. Ask help@example.com for access.", Who: "bob@example.com"}),
		errorSample("error_403_without_identity", "", "/.auth/callback/corp", "", httperr.Error{Code: 403, Reason: "access_denied"}),
		errorSample("error_404", "", "/a", "", httperr.Error{Code: 404, Reason: "no_route"}),
		errorSample("error_405", "POST", "/a", "", httperr.Error{Code: 405, Reason: "method_not_allowed", Header: http.Header{"Allow": {"GET, HEAD"}}}),
		errorSample("error_413", "POST", "/a", "", httperr.Error{Code: 413, Reason: "body_too_large"}),
		errorSample("error_418", "", "/a", "", httperr.Error{Code: 418, Reason: "teapot"}),
		errorSample("error_421", "", "/a", "", httperr.Error{Code: 421, Reason: "unknown_host"}),
		errorSample("error_429", "", "/a", "", httperr.Error{Code: 429, Reason: "rate_limited", Header: http.Header{"Retry-After": {"30"}}}),
		errorSample("error_431", "", "/a", "", httperr.Error{Code: 431, Reason: "headers_too_large"}),
		errorSample("error_500", "", "/a", "", httperr.Error{Code: 500, Reason: "internal"}),
		errorSample("error_502", "", "/a", "", httperr.Error{Code: 502, Reason: "upstream_unavailable"}),
		errorSample("error_503", "", "/a?x=1", "", httperr.Error{Code: 503, Reason: "store_unavailable", Header: http.Header{"Retry-After": {"5"}}}),
		errorSample("error_504", "POST", "/a", "", httperr.Error{Code: 504, Reason: "upstream_timeout"}),
	}...)
}

func loopSample(name string, page pages.LoopPage) sample {
	return sample{name: name, target: "/.auth/login", draw: func(p *pages.Renderer, w http.ResponseWriter, r *http.Request, in func(string) string) error {
		page := page
		page.AgainURL = in("/.auth/login?return_to=%2Freports")
		page.Reason, page.RequestID = in("sign_in_loop"), in(requestID)
		if page.Cookie != "" {
			page.Cookie = in(page.Cookie)
		}
		return p.Loop(w, r, page)
	}}
}

// refuses reports whether a page is not drawn at all with a URL that is none to
// go to: seen in another test.
func (s sample) refuses() bool {
	switch s.name {
	case "onward", "fragment", "landed", "resubmit", "resubmit_ready":
		return true
	}
	return false
}

// scripts is how many script elements the page may have.
func (s sample) scripts() int {
	if s.name == "fragment" || s.name == "landed" {
		return 1
	}
	return 0
}
