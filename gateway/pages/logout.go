package pages

import (
	"fmt"
	"net/http"
	"net/url"
)

// LogoutPage is what the page before a sign-out shows.
type LogoutPage struct {
	Who       string // who is signed in
	ReturnTo  string // sent back unjudged in a hidden field
	FormToken string // hidden field "csrf"
}

type logoutView struct {
	LogoutPage

	CancelURL string
}

// ConfirmLogout asks whether to sign out. The form posts return_to and csrf to
// Prefix/logout; a GET alone must not end a session, since any page can cause one.
func (p *Renderer) ConfirmLogout(w http.ResponseWriter, r *http.Request, page LogoutPage) error {
	v := logoutView{LogoutPage: page, CancelURL: "/"}
	if isLocal(page.ReturnTo) {
		v.CancelURL = page.ReturnTo
	}
	return p.write(w, r, answer{status: http.StatusOK, tmpl: p.logout, title: "logout.title", page: v})
}

// SignedOut says that the session is over and links to a new sign-in.
func (p *Renderer) SignedOut(w http.ResponseWriter, r *http.Request) error {
	return p.write(w, r, answer{status: http.StatusOK, tmpl: p.signedOut, title: "signed_out.title"})
}

// Onward answers a form post whose next stop is another site, such as the
// sign-out page of the identity provider. The page goes there by itself, and
// has a link for where it does not. A redirect would not do: browsers that
// apply form-action (Content Security Policy Level 3, section 6.4.1) to every
// hop after a form post stop at the border, with the form still on screen.
//
// The caller has judged next; still, Onward fails on anything but an absolute
// http or https URL.
func (p *Renderer) Onward(w http.ResponseWriter, r *http.Request, next string) error {
	u, err := url.Parse(next)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		return fmt.Errorf("pages: onward: not an absolute http or https URL")
	}
	to := u.String() // url.Parse refuses control characters, so the header stays one line
	return p.write(w, r, answer{
		status: http.StatusOK,
		header: http.Header{"Refresh": {"0; url=" + to}},
		tmpl:   p.onward, title: "onward.title", page: onwardView{URL: to, Host: u.Host},
	})
}

type onwardView struct{ URL, Host string }
