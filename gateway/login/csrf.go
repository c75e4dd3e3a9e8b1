package login

import (
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
)

// formTokenLifetime is how long a page can stay open before its form is sent.
// Browsers that send Sec-Fetch-Site or Origin do not depend on it.
const formTokenLifetime = attemptLifetime

// A form token is the id of the key, the time it ends, and a keyed hash over
// that and what it hangs on.
const (
	formMACSize   = 16
	formTokenSize = 1 + 4 + formMACSize
)

// FormToken returns the token for a form on a page that is not of this package. It
// hangs on the live session or, without one, on the login cookie, which it then sets
// on w.
func (s *Service) FormToken(w http.ResponseWriter, r *http.Request) string {
	if token := s.SignOutToken(r); token != "" {
		return token
	}
	return s.formToken([]byte(s.formAttempt(w, r.Header)))
}

// SignOutToken is FormToken for a sign-out form, such as that of a 403. It is empty
// where there is no session to sign out of.
func (s *Service) SignOutToken(r *http.Request) string {
	live, _, err := s.live(r)
	if err != nil || live == nil {
		return ""
	}
	return s.formToken(live.Identity.Ref[:])
}

func (s *Service) formToken(bound []byte) string {
	var ends [4]byte
	binary.BigEndian.PutUint32(ends[:], uint32(time.Now().Add(formTokenLifetime).Unix()))
	keyID, mac := s.ring.Sign(session.PurposeForm, formMessage(ends, bound))
	token := append([]byte{keyID}, ends[:]...)
	return base64.RawURLEncoding.EncodeToString(append(token, mac[:formMACSize]...))
}

func (s *Service) checkFormToken(text string, bound []byte) bool {
	if len(text) != base64.RawURLEncoding.EncodedLen(formTokenSize) {
		return false
	}
	token, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(token) != formTokenSize {
		return false
	}
	ends := [4]byte(token[1:5])
	if time.Now().Unix() > int64(binary.BigEndian.Uint32(ends[:])) {
		return false
	}
	return s.ring.Check(token[0], session.PurposeForm, formMessage(ends, bound), token[5:])
}

func formMessage(ends [4]byte, bound []byte) []byte {
	return append(append([]byte("form\x00"), ends[:]...), bound...)
}

// sameOrigin tells what the browser itself says about where a request comes
// from. A page of another site can forge neither header (Fetch Metadata,
// section 2.3; RFC 6454, section 7). stated is false where it says nothing.
func (s *Service) sameOrigin(r *http.Request) (same, stated bool) {
	if site := r.Header["Sec-Fetch-Site"]; len(site) > 0 {
		return len(site) == 1 && site[0] == "same-origin", true
	}
	if origin := r.Header["Origin"]; len(origin) > 0 {
		own := s.origin(r)
		return len(origin) == 1 && own != "" && s.normalOrigin(origin[0]) == own, true
	}
	return false, false
}

func (s *Service) normalOrigin(origin string) string {
	host, ok := strings.CutPrefix(origin, s.public.Scheme+"://")
	if !ok {
		return origin
	}
	return s.public.Scheme + "://" + s.normalHost(host)
}

// checkLoginForm refuses a sign-in that another site's page caused (login
// CSRF). What names neither site, origin nor referrer comes from no browser: a
// script has no session that could be swapped under it.
func (s *Service) checkLoginForm(r *http.Request, token string) error {
	same, stated := s.sameOrigin(r)
	if same || !stated && len(r.Header["Referer"]) == 0 {
		return nil
	}
	for _, n := range s.readAttempts(r.Header) {
		if s.checkFormToken(token, []byte(n)) {
			return nil
		}
	}
	return crossSite()
}

// checkLogoutForm refuses a sign-out that another site's page caused. With a
// session, only a token of that session counts.
func (s *Service) checkLogoutForm(r *http.Request, token string) error {
	if same, _ := s.sameOrigin(r); same {
		return nil
	}
	if token == "" {
		return crossSite()
	}
	live, _, err := s.live(r)
	if err != nil {
		return err
	}
	if live != nil {
		if s.checkFormToken(token, live.Identity.Ref[:]) {
			return nil
		}
		return crossSite()
	}
	for _, n := range s.readAttempts(r.Header) {
		if s.checkFormToken(token, []byte(n)) {
			return nil
		}
	}
	return crossSite()
}

func crossSite() error {
	return refuse(http.StatusForbidden, ReasonCrossSite, "This was not sent from a page of this site. Open the page again and send it from there.", nil)
}
