package pages

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/gateway/httperr"
)

type errorView struct {
	Code      int
	Reason    string
	RequestID string
	Lead      string // what happened
	Advice    string // what to do, and when
	Who       string
	Host      string // shown where the host is what was wrong
	Action    action
	SignOut   bool
	FormToken string
}

// action is the one link that helps most.
type action struct {
	Label, URL string
	NewTab     bool
}

// Error writes the page of e for a person, with e.Header on the answer. A
// header value that w carries already is not repeated, so the caller may have
// set e.Header itself. A Code that is no error becomes 500.
//
// Shown of e are Public, Reason, and on a 403 Who; never Err. formToken goes
// into the sign-out form of a 403.
func (p *Renderer) Error(w http.ResponseWriter, r *http.Request, e *httperr.Error, requestID, formToken string) error {
	if e == nil {
		e = httperr.As(nil)
	}
	v := errorView{Code: e.Code, Reason: e.Reason, RequestID: requestID}
	if v.Code < 400 || v.Code > 599 {
		v.Code = http.StatusInternalServerError
	}
	about := p.text.Error.about(v.Code)
	switch {
	case v.Code == http.StatusUnauthorized && !isLoad(r):
		about = p.text.Error.SessionEnded
	case (v.Code == http.StatusBadRequest || v.Code == http.StatusForbidden) && e.Who == "" && p.signingIn(r):
		about = p.text.Error.SignInFailed
	}
	v.Lead, v.Advice = e.Public, about.Advice
	if v.Lead == "" {
		v.Lead = about.Lead
	}
	if v.Code == http.StatusTooManyRequests || v.Code == http.StatusServiceUnavailable {
		v.Advice = strings.TrimSpace(v.Advice + " " + p.text.Error.wait(e.Header.Get("Retry-After")))
	}
	if v.Code == http.StatusMisdirectedRequest {
		v.Host = r.Host
	}
	if v.Code == http.StatusForbidden {
		v.Who, v.FormToken = e.Who, formToken
		v.SignOut = e.Who != "" || formToken != ""
	}
	v.Action = p.action(r, v.Code, e.LoginURL)

	return p.write(w, r, answer{status: v.Code, header: e.Header, tmpl: p.failure, title: about.Title, page: v})
}

// action chooses by what went wrong: another account, a sign-in, the same
// address again, or the start page. None is taken without a click: a page that
// went on by itself would turn a broken sign-in into a redirect loop.
func (p *Renderer) action(r *http.Request, code int, loginURL string) action {
	t, here := &p.text.Error, p.here(r)
	signIn := action{Label: t.SignIn, URL: p.loginURL([2]string{"return_to", here})}
	if loginURL != "" {
		signIn.URL = loginURL
	}
	switch code {
	case http.StatusForbidden:
		if loginURL == "" {
			loginURL = p.loginURL([2]string{"switch", "1"}, [2]string{"return_to", here})
		}
		return action{Label: t.SwitchAccount, URL: loginURL}
	case http.StatusUnauthorized:
		if !isLoad(r) {
			// The form that was not sent is one step back in this tab.
			signIn.Label, signIn.NewTab = t.SignInNewTab, true
			if loginURL == "" {
				signIn.URL = p.loginURL()
			}
		}
		return signIn
	case http.StatusMisdirectedRequest, http.StatusRequestEntityTooLarge, http.StatusRequestHeaderFieldsTooLarge:
		return action{}
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return action{Label: t.Start, URL: "/"}
	}
	switch {
	case here == "":
		return signIn
	case code == http.StatusBadRequest:
		return action{Label: t.Start, URL: "/"}
	case isLoad(r):
		return action{Label: t.Again, URL: here}
	}
	return action{}
}

// signingIn reports whether r is a step of a sign-in.
func (p *Renderer) signingIn(r *http.Request) bool {
	rest, ok := strings.CutPrefix(r.URL.Path, p.prefix)
	return ok && (rest == "/login" || strings.HasPrefix(rest, "/callback/"))
}

// wait says when to try again, from the value of Retry-After.
func (t *ErrorTexts) wait(retryAfter string) string {
	if n, err := strconv.Atoi(retryAfter); err == nil && n > 0 {
		return fmt.Sprintf(t.Wait, n)
	}
	return t.WaitABit
}
