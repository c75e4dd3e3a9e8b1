package login

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/pages"
	"github.com/sallyport/sallyport/gateway/session"
)

const (
	// probeTimeout bounds the look whether a provider answers, before a browser is
	// sent there to sign out.
	probeTimeout = 2 * time.Second
	// logoutLifetime is how long a user can stay at the provider's pages and still
	// come back to where the sign-out was to lead.
	logoutLifetime = 30 * time.Minute
	// maxIDTokenHint is the longest ID token that is put into a URL, in bytes.
	// Many servers refuse URLs beyond 8 KiB; client_id does for the rest.
	maxIDTokenHint = 5 << 10
	// logoutBound is the associated data of a sealed logout state, so that nothing
	// that was sealed for another use can pass for one.
	logoutBound = "\x00logout"
	logoutDone  = "/logout/done"
)

// providerEnder is a provider that has a page to sign out at (OpenID Connect
// RP-Initiated Logout 1.0).
type providerEnder interface {
	redirector
	// endSession returns the address of that page for this sign-out, empty where
	// the provider has none. The error is an outage.
	endSession(ctx context.Context, o endSessionOptions) (string, error)
}

type endSessionOptions struct {
	idToken string // of the session; may be empty
	back    string // where the provider sends the browser afterwards
	state   string
}

// signOutFrom takes what sign-outs need out of the options.
func (s *Service) signOutFrom(o Options) {
	s.records, s.logoutTargets, s.clientAddr = o.Records, slices.Clone(o.LogoutTargets), o.ClientAddr
	if s.clientAddr == nil {
		s.clientAddr = func(r *http.Request) string {
			host, _, err := net.SplitHostPort(r.RemoteAddr)
			if err != nil {
				return r.RemoteAddr
			}
			return host
		}
	}
	s.revocations = newRevocations(s.revoke, s.revocationQueueFull)
}

// judgeLogoutTarget is returnTo with the configured URLs elsewhere.
func (s *Service) judgeLogoutTarget(raw string) (string, error) {
	if slices.Contains(s.logoutTargets, raw) {
		return raw, nil
	}
	return s.returnTo(raw)
}

// wishedLogout judges where a sign-out should lead: return_to, or its alias rd.
func (s *Service) wishedLogout(values url.Values) (string, error) {
	wishes := slices.Concat(values["return_to"], values["rd"])
	if len(wishes) == 1 {
		if target, err := s.judgeLogoutTarget(wishes[0]); err == nil {
			return target, nil
		}
	}
	return s.wishedReturn(values)
}

// signedOutHere answers a sign-out after the session has ended on every gateway.
// A person whose provider has a session of its own is sent there to end that one
// too, and comes back to LogoutDone; programs are not, since they could not go
// through its pages. A provider that can't do it costs an honest word on the page
// and never the sign-out.
func (s *Service) signedOutHere(w http.ResponseWriter, r *http.Request, ended endedSession, form url.Values, target string) error {
	http.SetCookie(w, s.cookies.Clear())
	s.forget(w, r)
	// What the back button would show. Not "cookies": that would take those of the
	// applications as well, which may keep what has nothing to do with the session.
	w.Header().Set("Clear-Site-Data", `"cache"`)
	away, still := "", false
	if httperr.WantsPage(r) && ended.session != nil {
		away, still = s.providerSignOut(r, ended, target)
	}
	switch {
	case away != "":
		return s.moveOn(w, r, form, away)
	case still:
		done := url.Values{"still": {ended.session.Provider}}
		if target != "" {
			if state, err := s.sealLogout(target); err == nil {
				done.Set("state", state)
			}
		}
		target = s.prefix + logoutDone + "?" + done.Encode()
	case target == "":
		target = s.prefix + "/logout"
	}
	return s.moveOn(w, r, form, target)
}

// providerSignOut returns the address of the provider's page, or says that the
// user may still be signed in there and ought to know.
func (s *Service) providerSignOut(r *http.Request, ended endedSession, target string) (away string, still bool) {
	p, ok := s.provider(ended.session.Provider).(redirector)
	if !ok {
		return "", false // the gateway itself vouched for the user
	}
	e, ok := p.(providerEnder)
	if !ok {
		return "", target == ""
	}
	origin := s.origin(r)
	if origin == "" || s.cookies.Clear().Domain != "" {
		origin = s.publicOrigin() // the one that the provider knows, as for sign-ins
	}
	state, err := s.sealLogout(target)
	if err == nil {
		away, err = e.endSession(r.Context(), endSessionOptions{
			idToken: ended.tokens.IDToken, back: origin + s.prefix + logoutDone, state: state,
		})
	}
	switch {
	case err != nil:
		s.log.Warn("a user who signed out is still signed in at the provider, which does not answer", zap.String("provider", p.name()), zap.Error(err))
		return "", true
	case away == "":
		// It is so for everybody, so that it stops nobody who knows where to go.
		return "", target == ""
	}
	return away, false
}

// moveOn ends a form post. Browsers hold the form-action of a page against every
// hop that follows its forms (Content Security Policy Level 3, section 6.4.1), so
// that from the gateway's own pages, which all send a form token, no redirect
// leads to another origin: a page goes on instead.
func (s *Service) moveOn(w http.ResponseWriter, r *http.Request, form url.Values, location string) error {
	ownPage := form.Has("csrf") && r.Header.Get("Sec-Fetch-Mode") == "navigate"
	if u, err := url.Parse(location); ownPage && err == nil && u.Host != "" && u.Scheme+"://"+s.normalHost(u.Host) != s.origin(r) {
		return s.pages.Onward(w, r, location)
	}
	redirect(w, http.StatusSeeOther, location)
	return nil
}

// logoutState travels sealed to the provider and back.
type logoutState struct {
	Target string `json:"r,omitempty"`
	Made   int64  `json:"t"` // Unix seconds
}

func (s *Service) sealLogout(target string) (string, error) {
	return s.seal(session.PurposeState, logoutBound, logoutState{target, time.Now().Unix()})
}

// openLogout returns where a sign-out was to lead; "" where nobody here said so,
// too long ago, or where it is no target any more.
func (s *Service) openLogout(state string) string {
	var l logoutState
	if !s.open(session.PurposeState, logoutBound, state, &l) {
		return ""
	}
	if age := time.Since(time.Unix(l.Made, 0)); age > logoutLifetime || age < -time.Minute {
		return ""
	}
	target, err := s.judgeLogoutTarget(l.Target)
	if err != nil {
		return ""
	}
	return target
}

// LogoutDone is GET Prefix/logout/done, where the provider sends the browser back
// to. Whatever it sends along, it is never an error: the user has signed out.
func (s *Service) LogoutDone(w http.ResponseWriter, r *http.Request) error {
	noStore(w)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return notAllowed(http.MethodGet, http.MethodHead)
	}
	q := r.URL.Query()
	target := ""
	if len(q["state"]) == 1 {
		target = s.openLogout(q.Get("state"))
	}
	// 1. Who is signed in would be told something that is not so.
	live, _, err := s.live(r)
	if err != nil {
		return err
	}
	if live != nil && target == "" {
		redirect(w, http.StatusFound, s.prefix+"/logout")
		return nil
	}
	// 2. The user may still be signed in at the provider, and is told before he goes on.
	if p, ok := s.provider(q.Get("still")).(redirector); ok {
		return s.pages.SignedOutHere(w, r, pages.SignedOutPage{Still: s.providerTitle(p.name()), Continue: target})
	}
	// 3. Go on.
	if target != "" {
		redirect(w, http.StatusFound, target)
		return nil
	}
	return s.pages.SignedOut(w, r)
}
