package login

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/sallyport/sallyport/gateway/httperr"
)

// The fragment of a URL never leaves the browser, and is lost at the first page
// of a sign-in that is no redirect. Browsers carry it as far as the login
// request; a small page there puts it into the tab's own storage, and another
// at the end takes it out again. What the gateway learns, and an attacker could
// claim, is no more than that there is one.
const (
	// hashSuffix is added to the state by the page that found a fragment. Its dot
	// is not of the alphabet of states.
	hashSuffix = ".h"
	// hashParam asks Login for the page that takes the fragment out again, where
	// the callback is on another host than the application.
	hashParam = "hash"
)

// goOn sends the browser to the provider: by a page that keeps the fragment
// where a browser is loading the login URL itself, else by a plain redirect.
func (s *Service) goOn(w http.ResponseWriter, r *http.Request, a *attempt, location string) error {
	under := s.readPending(r.Header)
	under.nonces = append(under.nonces, a.Nonce)
	switch {
	case a.Again:
		under.marks = append(under.marks, newMark(markAgain, a.ReturnTo))
	case r.Header.Get("Sec-Fetch-Site") == "cross-site":
		under.marks = append(under.marks, newMark(markBounced, a.ReturnTo))
	}
	keeps := s.keepsFragment(r, a)
	if (keeps || a.hash) && !hasState(location) {
		under.marks = append(under.marks, newMark(markHash, a.ReturnTo))
	}
	s.keep(w, under)
	if keeps {
		return s.pages.Fragment(w, r, location, orRoot(a.ReturnTo))
	}
	redirect(w, http.StatusFound, location)
	return nil
}

// keepsFragment: only browsers say how they fetch, and only a load of the login
// URL itself has inherited the fragment of the page that was asked for. A return
// URL with a fragment of its own needs no other.
func (s *Service) keepsFragment(r *http.Request, a *attempt) bool {
	return r.Method == http.MethodGet && httperr.IsNavigation(r) && r.Header.Get("Sec-Fetch-Mode") == "navigate" &&
		r.URL.Path == s.prefix+"/login" && !strings.Contains(a.ReturnTo, "#")
}

// hasState is false where the parameters went to the provider beforehand (PAR,
// RFC 9126), so that the page can add nothing to them.
func hasState(location string) bool {
	u, err := url.Parse(location)
	return err == nil && u.Query().Has("state")
}

// arrive ends the way of an attempt at its return URL.
func (s *Service) arrive(w http.ResponseWriter, r *http.Request, a *attempt, target string) error {
	if a == nil || !a.hash {
		s.land(w, target)
		return nil
	}
	if origin, elsewhere := s.originOf(target); elsewhere && origin != s.origin(r) {
		// The fragment is in the storage of the application's own host.
		q := url.Values{"return_to": {target}, hashParam: {"1"}}
		redirect(w, http.StatusFound, origin+s.prefix+"/login?"+q.Encode())
		return nil
	}
	return s.pages.Landed(w, r, target)
}

// originOf is the origin of a judged return URL that names one.
func (s *Service) originOf(target string) (origin string, ok bool) {
	rest, ok := strings.CutPrefix(target, s.public.Scheme+"://")
	if !ok {
		return "", false
	}
	host := rest
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		host = rest[:end]
	}
	return s.public.Scheme + "://" + s.normalHost(host), true
}
