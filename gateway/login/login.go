package login

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"

	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/pages"
	"github.com/sallyport/sallyport/gateway/session"
)

// maxForm bounds the body of a form in bytes.
const maxForm = 64 << 10

// LoginURL is where a navigation to r is sent to sign in: a path on the same
// host, from which the browser comes back to r's own URL. A URL that cannot be
// come back to is left out.
func (s *Service) LoginURL(r *http.Request) string {
	want := r.URL.EscapedPath()
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		want += "?" + r.URL.RawQuery
	}
	if len(want) > 1 && want[1] == '/' { // "//x" is a path here and a host in a Location
		want = s.origin(r) + want
	}
	target, err := s.returnTo(want)
	if err != nil || target == "" {
		return s.prefix + "/login"
	}
	return s.prefix + "/login?return_to=" + url.QueryEscape(target)
}

// Login is GET and POST Prefix/login. GET answers the sign-in page, or the
// redirect to the provider where there is nothing to choose; POST judges the
// form of that page.
func (s *Service) Login(w http.ResponseWriter, r *http.Request) error {
	noStore(w)
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
	if s.origin(r) == "" {
		return misdirected()
	}

	// 2. Who is signed in already is done, unless he wants to be another.
	switching := q.Get("switch") == "1"
	if !switching {
		live, _, err := s.live(r)
		if err != nil {
			return err
		}
		if live != nil && (!q.Has("provider") || offers(offered, live.Provider)) {
			redirect(w, http.StatusFound, orRoot(target))
			return nil
		}
	}

	// 3. Leave for the provider, or let the user choose.
	if len(offered) == 1 {
		if p, ok := offered[0].(redirector); ok {
			return s.leave(w, r, p, target, switching)
		}
	}
	return s.signInPage(w, r, http.StatusOK, pages.LoginPage{
		Providers: s.choices(r, offered), ReturnTo: target, Switch: switching,
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

// leave sends the browser to the provider, with everything that the callback
// will need sealed in the state.
func (s *Service) leave(w http.ResponseWriter, r *http.Request, p redirector, target string, selectUser bool) error {
	origin := s.origin(r)
	if s.cookies.Clear().Domain != "" && origin != s.publicOrigin() {
		// With a shared cookie the provider knows one redirect URI only, on
		// another host than this one: so the way back names this one.
		if target = orRoot(target); target[0] == '/' {
			target = origin + target
		}
		origin = s.publicOrigin()
	}
	a := s.newAttempt(origin, target)
	a.redirect = s.redirectURI(origin, p.name())
	state, err := s.sealState(a, p.name())
	if err != nil {
		return fmt.Errorf("seal the state: %w", err)
	}
	location, err := p.authorize(r.Context(), a, authorizeOptions{state: state, selectUser: selectUser})
	if err != nil {
		return s.failLogin(r, p.name(), err)
	}
	s.keepAttempts(w, append(s.readAttempts(r.Header), a.Nonce))
	redirect(w, http.StatusFound, location)
	return nil
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
	p, err := s.formProvider(form.Get("provider"))
	if err != nil {
		return err
	}
	// 3. Prove who it is.
	username := form.Get("username")
	who, err := p.verify(r.Context(), username, form.Get("password"))
	switch {
	case errors.Is(err, ErrWrongPassword):
		return s.refuseForm(w, r, p, target, username)
	case errors.Is(err, errBusy):
		return s.failLogin(r, p.name(), outage(ReasonBusy, "Too many people are signing in right now.", err))
	case err != nil:
		return s.failLogin(r, p.name(), providerOutage(err))
	}
	// 4. Start the session. Sign-ins under way in other tabs find it when they
	// come back, so nothing needs the login cookie any more.
	candidates := s.cookies.Read(r.Header)
	started, cookie, err := s.sessions.Start(r.Context(), session.SignIn{Identity: who, Provider: p.name()}, &candidates)
	if err != nil {
		return s.failLogin(r, p.name(), storeOutage(err))
	}
	http.SetCookie(w, cookie)
	s.remember(w, p.name())
	if len(s.readAttempts(r.Header)) > 0 {
		s.keepAttempts(w, nil)
	}
	s.auditLogin(r, p.name(), started)
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
func (s *Service) refuseForm(w http.ResponseWriter, r *http.Request, p passwords, target, username string) error {
	refused := s.failLogin(r, p.name(), refuse(http.StatusUnauthorized, ReasonInvalidLogin, "That user name and password do not match an account.", nil))
	if !httperr.WantsPage(r) {
		return refused
	}
	if len(username) > maxUsername {
		username = ""
	}
	return s.signInPage(w, r, http.StatusUnauthorized, pages.LoginPage{
		Providers: s.choices(r, s.providers), ReturnTo: target, Failed: true, Username: username,
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
