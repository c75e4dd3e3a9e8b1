package login

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/identity"
)

// ErrAudience is an Issue's answer to an audience that may not be asked for.
var ErrAudience = errors.New("login: no token is made for this audience")

// ErrEnding is an Issue's answer to an identity that ends before a token could
// begin.
var ErrEnding = errors.New("login: the session is about to end")

// Issue makes an access token about a user; an empty audience is the default
// one. Besides ErrAudience and ErrEnding, an error is an outage.
type Issue func(id *identity.Identity, audience string) (token string, expires time.Time, err error)

// Token is POST Prefix/token: the session of the request is exchanged for an
// access token for programs (RFC 6750). It redirects nobody. Asking is activity,
// because an application that speaks to its API with such tokens sends no other
// request that would keep its user signed in. A nil issue is not found.
func (s *Service) Token(issue Issue) httperr.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		noStore(w)
		if issue == nil {
			return refuse(http.StatusNotFound, ReasonNoRoute, "Sessions are not exchanged for tokens here.", nil)
		}
		if r.Method != http.MethodPost {
			return notAllowed(http.MethodPost)
		}
		// 1. Read the form, where there is one, and who sent it.
		form := url.Values{}
		if r.Header.Get("Content-Type") != "" {
			var err error
			if form, err = readForm(w, r); err != nil {
				return err
			}
		}
		if err := s.checkExchange(r); err != nil {
			return err
		}
		// 2. Find the session.
		live, err := s.signedIn(r, true)
		if err != nil {
			return err
		}
		if err := s.checkLocked(r, live.Identity); err != nil {
			return err
		}
		if live, err = s.sessions.Renew(r.Context(), live); err != nil {
			return s.noSession(err)
		}
		// 3. Make the token.
		token, expires, err := issue(live.Identity, form.Get("audience"))
		switch {
		case errors.Is(err, ErrAudience):
			return badRequest(ReasonAudience, "No token is made for this audience.", nil)
		case errors.Is(err, ErrEnding):
			return s.signedOut(ReasonNoSession)
		case err != nil:
			return outage(ReasonUnavailable, "No token can be made right now.", err)
		}
		return writeToken(w, token, time.Until(expires))
	}
}

// checkExchange refuses what another site's page has sent. It could not read the
// answer, but the request would count as activity. What names neither site,
// origin nor referrer comes from no browser, and needs the cookie as well. A page
// with which answers are shared may ask.
func (s *Service) checkExchange(r *http.Request) error {
	if _, shared := s.sharedOrigin(r); shared {
		return nil
	}
	if same, stated := s.sameOrigin(r); same || !stated && len(r.Header["Referer"]) == 0 {
		return nil
	}
	return crossSite()
}

// writeToken answers as RFC 6749, section 5.1, describes it.
func writeToken(w http.ResponseWriter, token string, left time.Duration) error {
	body, err := json.Marshal(struct { //nolint:gosec // the token is what was asked for
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
		ExpiresIn   int    `json:"expires_in"` // seconds
	}{token, "Bearer", max(0, int(left.Round(time.Second)/time.Second))})
	if err != nil {
		return err
	}
	body = append(body, '\n')
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Pragma", "no-cache") // for caches of HTTP/1.0
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body) // the client may be gone
	return nil
}
