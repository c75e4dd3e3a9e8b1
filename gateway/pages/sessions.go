package pages

import (
	"fmt"
	"net/http"
	"time"
)

// SessionsPage is a user's own sessions.
type SessionsPage struct {
	Who       string
	FormToken string // hidden field "csrf"
	Sessions  []SessionView
}

// SessionView is one of them. What is not known is empty.
type SessionView struct {
	ID              string // what the form posts
	Current         bool   // it is that of this browser
	Provider        string
	Browser, System string
	Address         string
	Began, Used     time.Time
}

type sessionsView struct {
	SessionsPage

	Sessions []sessionView
	Others   bool // there is more than one
}

type sessionView struct {
	SessionView

	Device                string
	HeadingID             string
	BeganAt, UsedAt       string // for programs that read the page
	BeganShown, UsedShown string // for people
}

// Sessions lists a user's sessions. Its forms post id, or which with the value
// others or all, and csrf, to Prefix/sessions/end.
func (p *Renderer) Sessions(w http.ResponseWriter, r *http.Request, page SessionsPage) error {
	words := p.words(r)
	v := sessionsView{SessionsPage: page, Others: len(page.Sessions) > 1}
	for i, s := range page.Sessions {
		one := sessionView{SessionView: s, Device: deviceName(words, s), HeadingID: fmt.Sprintf("session-%d", i)}
		one.BeganAt, one.BeganShown = shownTime(s.Began)
		one.UsedAt, one.UsedShown = shownTime(s.Used)
		v.Sessions = append(v.Sessions, one)
	}
	return p.write(w, r, answer{status: http.StatusOK, tmpl: p.sessions, title: "sessions.title", page: v})
}

func deviceName(words *wording, s SessionView) string {
	switch {
	case s.Browser != "" && s.System != "":
		name, err := words.t("sessions.device", "browser", s.Browser, "system", s.System)
		if err != nil { // a test sees to it that every text is there
			return s.Browser
		}
		return name
	case s.Browser != "" || s.System != "":
		return s.Browser + s.System
	}
	return words.first("sessions.unknown_device")
}

// shownTime is a time for programs and for people. The page has no script that
// could tell the reader's own zone, so it names the one that it uses.
func shownTime(at time.Time) (machine, people string) {
	if at.IsZero() {
		return "", ""
	}
	at = at.UTC()
	return at.Format(time.RFC3339), at.Format("2006-01-02 15:04 UTC")
}

// TooManyPage is what a user sees who has as many sessions as he may.
type TooManyPage struct {
	Who      string
	Proof    string // hidden field "proof": shows who was just proven
	ReturnTo string // hidden field "return_to"
}

// TooManySessions explains that there is no room for another session. Its form
// posts proof, return_to and which=all to Prefix/sessions/end.
func (p *Renderer) TooManySessions(w http.ResponseWriter, r *http.Request, page TooManyPage) error {
	return p.write(w, r, answer{
		status: http.StatusConflict, tmpl: p.tooMany, title: "too_many.title", page: page,
	})
}

// SignedOutPage is what the page after a sign-out shows besides.
type SignedOutPage struct {
	Still    string // the provider where the user may still be signed in
	Continue string // where the sign-out was to lead
}

// SignedOutHere is SignedOut where the session at the provider may go on, or
// where the user has yet to go on.
func (p *Renderer) SignedOutHere(w http.ResponseWriter, r *http.Request, page SignedOutPage) error {
	return p.write(w, r, answer{status: http.StatusOK, tmpl: p.signedOutHere, title: "signed_out.title", page: page})
}
