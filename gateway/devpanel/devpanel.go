// Package devpanel is the page of a gateway in development where a developer plays
// with what happens to his users: sessions that end, keys that rotate, providers and
// stores that fail, and tokens about anybody. It draws the page and judges its forms;
// what the acts do is its caller's. It must never be served where others can reach
// the gateway: whoever can open it can be anybody.
package devpanel

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/sallyport/sallyport/gateway/httperr"
)

// State is what the page shows of the browser that asks.
type State struct {
	Who         *Who   // nil when nobody is signed in
	Over        string // why not, where there was a session: idle or absolute
	StoreDown   time.Time
	NextTrouble string // what the next sign-in runs into
}

// Who is the user of the session.
type Who struct {
	Subject, Name, Email, Issuer, Provider string
	Groups                                 []string
	Began, Idle, Absolute                  time.Time
}

// Answer is what the gateway would do with a request of the browser.
type Answer struct {
	Outcome, Reason, Rule, Route string
	Headers                      []Header // what the app gets; sensitive ones are named only
	Removed                      []string
}

// Header is a line that the app gets.
type Header struct {
	Name, Value string
	Set         bool // by the gateway
}

// Identity is somebody whom the developer can be.
type Identity struct {
	Subject, Name, Email string
	Groups               []string
}

// Mint is a wish for a token.
type Mint struct {
	Subject, Email string
	Groups         []string
	Claims         map[string]any
	Lifetime       time.Duration
}

// Options are what the panel shows, and how it acts. Errors of its functions are
// those of package httperr.
type Options struct {
	Prefix     string // of the gateway's own endpoints
	Origin     string // what browsers type
	Provider   string // of the identities; "" where there is none to pick
	Identities []Identity
	Idle       time.Duration // how long sessions live
	Absolute   time.Duration

	State func(r *http.Request) State
	// Ask tells what would become of a GET of a path of this gateway, and the same
	// with everything that led to it, as JSON can be made of it.
	Ask func(r *http.Request, path string) (Answer, any, error)
	// FormToken and Form protect the forms against other sites' pages.
	FormToken func(w http.ResponseWriter, r *http.Request) string
	Form      func(w http.ResponseWriter, r *http.Request) (url.Values, error)

	Acts []Act
	// Mint makes a token that the gateway accepts.
	Mint func(r *http.Request, m *Mint) (token string, expires time.Time, err error)
}

// Act is something that a button does.
type Act struct {
	Name string // what the form posts as act, a word
	Do   func(r *http.Request, form url.Values) error
}

// The names of the acts that the page has buttons for.
const (
	ActExpireIdle     = "expire-idle"
	ActExpireAbsolute = "expire-absolute"
	ActRevoke         = "revoke"
	ActRotateSigning  = "rotate-signing"
	ActRotateSealing  = "rotate-sealing"
	ActTrouble        = "trouble" // the field trouble says which: error, timeout, denied, or nothing
	ActOutage         = "outage"  // the field seconds says for how long; 0 ends it

	actMint = "mint"
)

// Panel answers below Prefix/dev. It is safe for concurrent use.
type Panel struct {
	o     Options
	sheet *sheet
}

// New returns the panel.
func New(o Options) *Panel { return &Panel{o: o, sheet: newSheet()} }

var (
	_ httperr.HandlerFunc = (*Panel)(nil).Serve
	_ httperr.HandlerFunc = (*Panel)(nil).Explain
)

// Serve is Prefix/dev: GET draws the page, POST does what its form says and leads
// back to it.
func (p *Panel) Serve(w http.ResponseWriter, r *http.Request) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		v := p.view(w, r)
		if act := r.URL.Query().Get("done"); act != "" {
			v.Done = doneText(act)
		}
		return p.sheet.write(w, r, v)
	case http.MethodPost:
		return p.act(w, r)
	}
	return &httperr.Error{
		Code: http.StatusMethodNotAllowed, Reason: "method_not_allowed", Header: http.Header{"Allow": {"GET, HEAD, POST"}},
	}
}

// Explain is GET Prefix/dev/explain?path=: what would become of a GET of that path
// by the browser that asks, with every route, rule and condition, as JSON.
func (p *Panel) Explain(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return &httperr.Error{Code: http.StatusMethodNotAllowed, Reason: "method_not_allowed", Header: http.Header{"Allow": {"GET, HEAD"}}}
	}
	_, all, err := p.o.Ask(r, askedPath(r))
	if err != nil {
		return err
	}
	return writeJSON(w, r, all)
}

func (p *Panel) act(w http.ResponseWriter, r *http.Request) error {
	form, err := p.o.Form(w, r)
	if err != nil {
		return err
	}
	name := form.Get("act")
	if name == actMint {
		return p.mint(w, r, form)
	}
	i := slices.IndexFunc(p.o.Acts, func(a Act) bool { return a.Name == name })
	if i < 0 {
		return malformed("The panel has no such button.", nil)
	}
	if err := p.o.Acts[i].Do(r, form); err != nil {
		return err
	}
	w.Header().Set("Location", p.o.Prefix+"/dev?done="+url.QueryEscape(name))
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// mint shows the token on the page that it was asked for on: in no address, and in
// no history.
func (p *Panel) mint(w http.ResponseWriter, r *http.Request, form url.Values) error {
	v := p.view(w, r)
	v.Wish = wishOf(form)
	m, err := v.Wish.mint()
	if err != nil {
		v.WishFault = err.Error()
		v.status = http.StatusBadRequest
		return p.sheet.write(w, r, v)
	}
	token, expires, err := p.o.Mint(r, m)
	if e, ok := errors.AsType[*httperr.Error](err); ok && e.Code < http.StatusInternalServerError {
		v.WishFault = e.Public
		v.status = e.Code
		return p.sheet.write(w, r, v)
	}
	if err != nil {
		return err
	}
	v.Token = &tokenView{
		Token: token, Until: expires.UTC().Format(time.TimeOnly + " UTC"),
		Curl: fmt.Sprintf("curl -H 'Authorization: Bearer %s' %s/", token, p.o.Origin),
	}
	return p.sheet.write(w, r, v)
}

func malformed(public string, err error) error {
	return &httperr.Error{Code: http.StatusBadRequest, Reason: "malformed_request", Public: public, Err: err}
}

// doneText says what has happened; "" for an act that is none.
func doneText(act string) string {
	switch act {
	case ActExpireIdle:
		return "The session was idle for too long, from now on."
	case ActExpireAbsolute:
		return "The session has reached its absolute timeout."
	case ActRevoke:
		return "The session was revoked."
	case ActRotateSigning:
		return "There is a new key for what the gateway signs. What the one before has signed is good until it ends."
	case ActRotateSealing:
		return "There is a new key for cookies and sealed values. Nobody was signed out."
	case ActTrouble:
		return "The next sign-in will know."
	case ActOutage:
		return "The session store will know."
	}
	return ""
}
