package login

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
)

// maxCode bounds the authorization code in bytes.
const maxCode = 4 << 10

// Callback is GET Prefix/callback/{provider}, the redirect URI. Everything that
// can be judged is judged before the code is sent anywhere (RFC 9700, section
// 2.1), and each attempt can be used once, whatever becomes of it.
func (s *Service) Callback(w http.ResponseWriter, r *http.Request) error {
	noStore(w)
	name := strings.TrimPrefix(r.URL.Path, s.prefix+"/callback/")
	p, ok := s.provider(name).(redirector)
	if !ok {
		return unknownProvider()
	}
	if r.Method != http.MethodGet {
		return notAllowed(http.MethodGet)
	}
	if err := s.checkLockedAddress(r, p.name()); err != nil {
		return err
	}

	// 1. Read the answer. A protocol parameter that is repeated could mean one
	// thing here and another elsewhere (RFC 6749, section 3.1).
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return badRequest(ReasonMalformed, "", nil)
	}
	if len(q["state"]) > 1 {
		return malformedAnswer()
	}
	// 2. It belongs to an attempt of this browser at this provider, and the
	// attempt is used up now.
	a, err := s.takeAttempt(w, r, p, q.Get("state"))
	if err != nil {
		return s.strayCallback(w, r, p, a, q.Has("error"))
	}
	started, cookie, err := s.finish(r, p, a, q)
	if started != nil {
		http.SetCookie(w, cookie)
		s.auditLogin(r, p.name(), started)
	}
	if err != nil {
		return s.failSignIn(w, r, p.name(), s.wayBack(a), s.anotherAccount(err, p, a))
	}
	target := s.wayBack(a)
	s.remember(w, p.name())
	s.settled(w, r, a.Nonce, target)
	return s.arrive(w, r, a, target)
}

// takeAttempt opens the state and removes its nonce from the login cookie. On
// error the attempt may still be set: then the state was made here, and only
// its return URL may be used.
func (s *Service) takeAttempt(w http.ResponseWriter, r *http.Request, p redirector, state string) (*attempt, error) {
	a, err := s.openState(state, p.name())
	if err != nil {
		return nil, err
	}
	under := s.readPending(r.Header)
	if !under.drop(a.Nonce) {
		return a, errState
	}
	a.hash = a.hash || under.count(a.ReturnTo, markHash) > 0
	s.keep(w, under)
	if a.expired(time.Now()) || a.Origin != s.origin(r) {
		return a, errState
	}
	return a, nil
}

// finish does the rest of a sign-in by redirect.
func (s *Service) finish(r *http.Request, p redirector, a *attempt, q url.Values) (*session.Session, *http.Cookie, error) {
	// 3. One code and nothing from another flow: no token is ever taken from
	// the front channel (RFC 9700, section 2.1.2).
	failure := q["error"]
	if len(q["code"])+len(failure) != 1 || q.Has("id_token") || q.Has("access_token") {
		return nil, nil, malformedAnswer()
	}
	// 4. The provider says no.
	if len(failure) == 1 {
		return nil, nil, providerSaysNo(failure[0])
	}
	code := q.Get("code")
	if code == "" || len(code) > maxCode {
		return nil, nil, malformedAnswer()
	}
	// 5. It is this provider who answers (RFC 9207).
	if err := p.checkAnswer(q["iss"]); err != nil {
		return nil, nil, err
	}
	// 6. Redeem the code and prove who it is.
	if err := s.rehearsal.meet(r.Context()); err != nil {
		return nil, nil, err
	}
	in, err := p.redeem(r.Context(), a, code)
	if err != nil {
		return nil, nil, err
	}
	// 7. Start the session under a new id, and see whether it is what was wanted.
	return s.begin(r, *in, &a.Wish, s.wayBack(a))
}

// wayBack is where an attempt wanted to return to, or the start page. It was
// judged before it was sealed, and is judged again where it is used: hosts can
// have gone since.
func (s *Service) wayBack(a *attempt) string {
	if a == nil {
		return "/"
	}
	target, err := s.returnTo(a.ReturnTo)
	if err != nil {
		return "/"
	}
	return orRoot(target)
}

// land ends the round trip. After a redirect from another site browsers hold
// back SameSite=Strict cookies, so that the next page would start a sign-in
// again, without end: with such a cookie a page of our own goes on instead.
func (s *Service) land(w http.ResponseWriter, target string) {
	if s.cookies.Clear().SameSite != http.SameSiteStrictMode {
		redirect(w, http.StatusFound, target)
		return
	}
	h := w.Header()
	h.Set("Refresh", "0;url="+target)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'")
	h.Set("Referrer-Policy", "no-referrer") // this page's URL holds the code
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write([]byte("<!doctype html><html lang=en><title>Signed in</title>")) // the client may be gone
}

func malformedAnswer() error {
	return badRequest(ReasonMalformed, "The sign-in service sent an answer that makes no sense. Start again.", nil)
}

// providerSaysNo maps an error of RFC 6749, section 4.1.2.1, or OpenID Connect
// Core, section 3.1.2.6. Nothing of it is shown: whoever made the link wrote it.
func providerSaysNo(code string) error {
	switch code {
	case "access_denied":
		return refuse(http.StatusForbidden, ReasonAccessDenied, "The sign-in was refused or cancelled.", nil)
	case "server_error", "temporarily_unavailable":
		return providerOutage(errors.New("it answered " + code))
	}
	return badRequest(ReasonProviderError, "The sign-in service refused the request. Start again.", nil)
}
