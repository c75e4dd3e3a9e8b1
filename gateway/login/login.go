package login

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/pages"
	"github.com/sallyport/sallyport/gateway/session"
)

// maxForm bounds the body of a form in bytes.
const maxForm = 64 << 10

// LoginURL is where a navigation to r is sent to sign in: a path on the same
// host, from which the browser comes back to r's own URL. A URL that cannot be
// come back to is left out.
func (s *Service) LoginURL(r *http.Request) string { return s.loginURL("", s.ownAddress(r)) }

func (s *Service) loginURL(origin, wish string) string {
	target, err := s.returnTo(wish)
	if err != nil || target == "" {
		return origin + s.prefix + "/login"
	}
	return origin + s.prefix + "/login?return_to=" + url.QueryEscape(target)
}

// ownAddress is the request's own URL, to the byte, as a path where it can be one.
func (s *Service) ownAddress(r *http.Request) string {
	uri := r.URL.EscapedPath()
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		uri += "?" + r.URL.RawQuery
	}
	if strings.HasPrefix(uri, "//") { // a path here, and a host in a Location
		uri = s.origin(r) + uri
	}
	return uri
}

// Login is GET and POST Prefix/login. GET answers the sign-in page, or the
// redirect to the provider where there is nothing to choose; POST judges the
// form of that page.
func (s *Service) Login(w http.ResponseWriter, r *http.Request) error {
	noStore(w)
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost:
		if err := s.checkLockedAddress(r, ""); err != nil {
			return err
		}
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return s.start(w, r)
	case http.MethodPost:
		return s.submit(w, r)
	}
	return notAllowed(http.MethodGet, http.MethodHead, http.MethodPost)
}

// start is the GET. The return URL is judged before anything is made.
func (s *Service) start(w http.ResponseWriter, r *http.Request) error {
	// 1. Read the wish.
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return badRequest(ReasonMalformed, "", err)
	}
	target, err := s.wishedReturn(q)
	if err != nil {
		return err
	}
	offered, err := s.offered(q["provider"])
	if err != nil {
		return err
	}
	want, err := readWish(q)
	if err != nil {
		return err
	}
	if s.origin(r) == "" {
		return misdirected()
	}

	// 2. Who is signed in already is done, unless he wants to be another or has to
	// prove himself better.
	switching := q.Get("switch") == "1"
	reauth := false
	if !switching {
		live, _, err := s.live(r)
		if err != nil {
			return err
		}
		if live != nil && (!q.Has("provider") || offers(offered, live.Provider)) {
			if s.meets(&want, live.Identity) {
				if q.Get(hashParam) == "1" {
					return s.pages.Landed(w, r, orRoot(target))
				}
				redirect(w, http.StatusFound, orRoot(target))
				return nil
			}
			// A better proof of the same user comes from where he has signed in.
			reauth = true
			if p := s.provider(live.Provider); p != nil && !q.Has("provider") {
				offered = []provider{p}
			}
		}
		if page := s.loop(r, target); page != nil {
			return s.explainLoop(w, r, "", page)
		}
	}

	// 3. Leave for the provider, or let the user choose.
	if len(offered) == 1 {
		if p, ok := offered[0].(redirector); ok {
			if err := s.checkFlood(r, p.name()); err != nil {
				return err
			}
			return s.leave(w, r, p, departure{target: target, selectUser: switching, wish: want, reauth: reauth})
		}
	}
	return s.signInPage(w, r, http.StatusOK, pages.LoginPage{
		Providers: s.choices(r, offered), ReturnTo: target, Switch: switching, More: want.fields(),
	})
}

// wishedReturn judges return_to, or its alias rd, of a query or form.
func (s *Service) wishedReturn(values url.Values) (string, error) {
	wishes := append(append([]string(nil), values["return_to"]...), values["rd"]...)
	if len(wishes) == 0 {
		return "", nil
	}
	target, err := s.returnTo(wishes[0])
	if err != nil || len(wishes) > 1 {
		return "", badRequest(ReasonReturnTo, "The address to return to is not one of this site.", err)
	}
	return target, nil
}

func (s *Service) signInPage(w http.ResponseWriter, r *http.Request, status int, page pages.LoginPage) error {
	page.FormToken = s.formToken([]byte(s.formAttempt(w, r.Header)))
	return s.pages.Login(w, r, status, page)
}

// departure is what one way to the provider differs in from another.
type departure struct {
	target     string // the return URL, judged
	selectUser bool   // let the user choose the account
	again      bool   // a stale callback began it
	hash       bool   // the browser keeps a fragment for the return URL
	wish       wish   // what the sign-in is to be like
	reauth     bool   // the user is signed in, and that was not enough
}

// leave sends the browser to the provider, with everything that the callback
// will need sealed in the state.
func (s *Service) leave(w http.ResponseWriter, r *http.Request, p redirector, d departure) error {
	origin, target := s.origin(r), s.nameHost(r, d.target)
	if s.cookies.Clear().Domain != "" {
		origin = s.publicOrigin()
	}
	a := s.newAttempt(origin, target)
	a.Again, a.hash, a.Wish = d.again, d.hash, d.wish
	a.redirect = s.redirectURI(origin, p.name())
	state, err := s.sealState(a, p.name())
	if err != nil {
		return fmt.Errorf("seal the state: %w", err)
	}
	if a.hash {
		state += hashSuffix
	}
	location, err := p.authorize(r.Context(), a, authorizeOptions{state: state, selectUser: d.selectUser, wish: d.wish, reauth: d.reauth})
	if err != nil {
		return s.failLogin(r, p.name(), err)
	}
	return s.goOn(w, r, a, location)
}

// nameHost makes a return URL name the host of r, where the callback will be on
// another: with a shared cookie the provider knows one redirect URI only.
func (s *Service) nameHost(r *http.Request, target string) string {
	origin := s.origin(r)
	if s.cookies.Clear().Domain == "" || origin == s.publicOrigin() {
		return target
	}
	if target = orRoot(target); target[0] == '/' {
		target = origin + target
	}
	return target
}

// submit is the POST of the sign-in page, or of a script.
func (s *Service) submit(w http.ResponseWriter, r *http.Request) error {
	// 1. Read the form, and who sent it.
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	if s.origin(r) == "" {
		return misdirected()
	}
	if err := s.checkLoginForm(r, form.Get("csrf")); err != nil {
		return err
	}
	// 2. Judge everything but the password.
	target, err := s.wishedReturn(form)
	if err != nil {
		return err
	}
	want, err := readWish(form)
	if err != nil {
		return err
	}
	p, err := s.formProvider(form.Get("provider"))
	if err != nil {
		return err
	}
	// 3. Prove who it is.
	if err := s.rehearsal.meet(r.Context()); err != nil {
		return s.failLogin(r, p.name(), err)
	}
	username := form.Get("username")
	who, err := s.provePassword(r, p, username, form.Get("password"))
	locked, isLocked := errors.AsType[*LockedOut](err)
	switch {
	case isLocked:
		return s.failLogin(r, p.name(), lockedOut(locked))
	case errors.Is(err, ErrWrongPassword):
		return s.refuseForm(w, r, p, target, username, &want)
	case errors.Is(err, errBusy):
		return s.failLogin(r, p.name(), outage(ReasonBusy, "Too many people are signing in right now.", err))
	case err != nil:
		return s.failLogin(r, p.name(), providerOutage(err))
	}
	// 4. Start the session. Sign-ins under way in other tabs find it when they
	// come back, so nothing needs the login cookie any more.
	started, cookie, err := s.begin(r, session.SignIn{Identity: who, Provider: p.name()}, &want, target)
	if started != nil {
		http.SetCookie(w, cookie)
		s.auditLogin(r, p.name(), started)
	}
	if err != nil {
		return s.failSignIn(w, r, p.name(), target, err)
	}
	s.remember(w, p.name())
	if len(s.readAttempts(r.Header)) > 0 {
		s.settledByForm(w, r, s.nameHost(r, target))
	}
	redirect(w, http.StatusSeeOther, orRoot(target))
	return nil
}

func (s *Service) formProvider(name string) (passwords, error) {
	var found []passwords
	for _, p := range s.providers {
		if f, ok := p.(passwords); ok && (name == "" || name == p.name()) {
			found = append(found, f)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case name != "" && s.provider(name) == nil:
		return nil, unknownProvider()
	}
	return nil, badRequest(ReasonUnknownProvider, "Say which provider the form is for.", nil)
}

// refuseForm answers a wrong password: the page again for a person.
func (s *Service) refuseForm(w http.ResponseWriter, r *http.Request, p passwords, target, username string, want *wish) error {
	refused := s.failLogin(r, p.name(), refuse(http.StatusUnauthorized, ReasonInvalidLogin, "That user name and password do not match an account.", nil))
	if !httperr.WantsPage(r) {
		return refused
	}
	if len(username) > maxUsername {
		username = ""
	}
	return s.signInPage(w, r, http.StatusUnauthorized, pages.LoginPage{
		Providers: s.choices(r, s.providers), ReturnTo: target, Failed: true, Username: username, More: want.fields(),
	})
}

// readForm reads a form of the customary encoding. Each field may come once.
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return nil, refuse(http.StatusUnsupportedMediaType, ReasonMediaType, "Send the form as application/x-www-form-urlencoded.", err)
	}
	body := *r // ParseForm would keep the fields, and a password, on the request
	body.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := body.ParseForm(); err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, refuse(http.StatusRequestEntityTooLarge, ReasonTooLarge, "", err)
		}
		return nil, badRequest(ReasonMalformed, "", nil) // the parser's words quote the form
	}
	for _, values := range body.PostForm {
		if len(values) > 1 {
			return nil, badRequest(ReasonMalformed, "A field of the form was sent twice.", nil)
		}
	}
	return body.PostForm, nil
}

func (s *Service) publicOrigin() string { return s.public.Scheme + "://" + s.public.Host }

func unknownProvider() error {
	return refuse(http.StatusNotFound, ReasonUnknownProvider, "There is no sign-in of that name.", nil)
}

func misdirected() error {
	return refuse(http.StatusMisdirectedRequest, ReasonHost, "", nil)
}
