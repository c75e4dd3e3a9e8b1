package pages

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/gateway/httperr"
)

type errorView struct {
	Code      int
	Reason    string
	RequestID string
	Decision  string
	Lead      string // what happened
	Message   string // what the operators say about it
	Advice    string // what to do, and when
	Who       string
	Host      string // shown where the host is what was wrong
	Action    action
	FormToken string
	Facts     [][2]string
}

// sessionEnded is where the texts of a 401 to a form begin.
const sessionEnded = "error.session_ended"

// reasonLocked says that an operator has locked the user, his address or the page.
const reasonLocked = "locked"

// action is the one link that helps most.
type action struct {
	Label, URL string
	NewTab     bool
}

// Error writes the page of e for a person, with e.Header on the answer. A
// header value that w carries already is not repeated, so the caller may have
// set e.Header itself. A Code that is no error becomes 500.
//
// Shown of e are Message, Reason, Facts, and on a 403 Who; never Err, nor Public, which
// is English: what happened is told in the reader's language. formToken goes into
// the sign-out form of a 403; without one there is no such form.
func (p *Renderer) Error(w http.ResponseWriter, r *http.Request, e *httperr.Error, requestID, formToken string) error {
	if e == nil {
		e = httperr.As(nil)
	}
	v := errorView{Code: e.Code, Reason: e.Reason, RequestID: requestID, Decision: w.Header().Get(httperr.DecisionHeader)}
	if v.Code < 400 || v.Code > 599 {
		v.Code = http.StatusInternalServerError
	}
	words := p.words(r)
	about := words.about(v.Code)
	switch {
	case v.Code == http.StatusUnauthorized && !isLoad(r):
		about = sessionEnded
	case (v.Code == http.StatusBadRequest || v.Code == http.StatusForbidden) && e.Who == "" && p.signingIn(r):
		about = "error.sign_in_failed"
	}
	v.Lead, v.Advice = words.explain(about, e)
	v.Message = e.Message
	if v.Code == http.StatusTooManyRequests || v.Code == http.StatusServiceUnavailable {
		v.Advice = strings.TrimSpace(v.Advice + " " + words.wait(e.Header.Get("Retry-After")))
	}
	if v.Code == http.StatusMisdirectedRequest {
		v.Host = r.Host
	}
	if v.Code == http.StatusForbidden {
		v.Who, v.FormToken = e.Who, formToken
	}
	v.Facts = e.Facts
	if v.Action = p.action(r, words, v.Code, e.LoginURL); e.Reason == reasonLocked {
		v.Action = action{} // another sign-in, or another try, leads to this page again
	}

	return p.write(w, r, answer{status: v.Code, header: e.Header, tmpl: p.failure, title: about + ".title", page: v})
}

// action chooses by what went wrong: another account, a sign-in, the same
// address again, or the start page. None is taken without a click: a page that
// went on by itself would turn a broken sign-in into a redirect loop.
func (p *Renderer) action(r *http.Request, words *wording, code int, loginURL string) action {
	here := p.here(r)
	signIn := action{Label: words.first("error.sign_in"), URL: p.loginURL([2]string{"return_to", here})}
	if loginURL != "" {
		signIn.URL = loginURL
	}
	switch code {
	case http.StatusForbidden:
		if loginURL == "" {
			loginURL = p.loginURL([2]string{"switch", "1"}, [2]string{"return_to", here})
		}
		return action{Label: words.first("error.switch_account"), URL: loginURL}
	case http.StatusUnauthorized:
		if !isLoad(r) {
			// The form that was not sent is one step back in this tab.
			signIn.Label, signIn.NewTab = words.first("error.sign_in_new_tab"), true
			if loginURL == "" {
				signIn.URL = p.loginURL()
			}
		}
		return signIn
	case http.StatusMisdirectedRequest, http.StatusRequestEntityTooLarge, http.StatusRequestHeaderFieldsTooLarge:
		return action{}
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return action{Label: words.first("error.start"), URL: "/"}
	}
	switch {
	case here == "":
		return signIn
	case code == http.StatusBadRequest:
		return action{Label: words.first("error.start"), URL: "/"}
	case isLoad(r):
		return action{Label: words.first("error.again"), URL: here}
	}
	return action{}
}

// signingIn reports whether r is a step of a sign-in.
func (p *Renderer) signingIn(r *http.Request) bool {
	rest, ok := strings.CutPrefix(r.URL.Path, p.prefix)
	return ok && (rest == "/login" || strings.HasPrefix(rest, "/callback/"))
}

// about returns where the texts of a status begin.
func (w *wording) about(code int) string {
	id := "error." + strconv.Itoa(code)
	switch _, ok := w.texts[id+".title"]; {
	case ok:
		return id
	case code >= 500:
		return "error.5xx"
	}
	return "error.4xx"
}

// explain says what happened and what to do. What there is to say of a reason is
// more exact than what there is of a status, which is all for the word that a
// policy gives as its own.
func (w *wording) explain(about string, e *httperr.Error) (lead, advice string) {
	reason := "reason." + e.Reason
	advice = w.first(reason+".advice", about+".advice")
	if about == sessionEnded { // what became of the form is more than why
		return w.first(about + ".lead"), advice
	}
	return w.first(reason, about+".lead"), advice
}

// wait says when to try again, from the value of Retry-After.
func (w *wording) wait(retryAfter string) string {
	if n, err := strconv.Atoi(retryAfter); err == nil && n > 0 {
		text, _ := w.t("error.wait", "seconds", strconv.Itoa(n)) // an id that a test has seen
		return text
	}
	return w.first("error.wait_a_bit")
}
