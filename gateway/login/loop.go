package login

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/pages"
)

const (
	// settleTime is how long after a sign-in a browser that comes without its
	// session cookie has most likely not kept it.
	settleTime = 10 * time.Second
	// maxRounds is how often one page may lead to the provider and back within
	// markLifetime.
	maxRounds = 3
)

// errLoop is for the log alone.
var errLoop = errors.New("login: the browser goes round in circles")

// loop finds out whether a sign-in that begins now would only repeat one that
// worked: if so, it returns the page that says why. Only page loads can turn in
// circles without anybody's doing, and tabs do not count for one another: of
// ten tabs that are restored together each has one sign-in to itself.
func (s *Service) loop(r *http.Request, target string) *pages.LoopPage {
	if !isPageLoad(r) {
		return nil
	}
	under, target := s.readPending(r.Header), s.nameHost(r, target)
	came := hasCookie(r.Header, s.cookies.Name())
	page := &pages.LoopPage{Cookie: s.cookies.Name(), AgainURL: s.againURL("", target)}
	switch {
	case !came && under.justDone() && !s.heldBack(r):
		page.Causes = s.lossCauses(r)
	case under.count(target, markDone) >= maxRounds:
		page.Returned = came
		if page.Causes = s.lossCauses(r); came {
			page.Causes = []pages.LoopCause{pages.CauseUnknownSession, pages.CauseClock}
		}
	case under.count(target, markBounced) >= maxRounds:
		page.Cookie, page.Causes = "", []pages.LoopCause{pages.CauseProvider}
	default:
		return nil
	}
	return page
}

// justDone reports whether a sign-in came to its end just now.
func (p *pending) justDone() bool {
	now := time.Now()
	return slices.ContainsFunc(p.marks, func(m mark) bool { return m.kind == markDone && m.within(now, settleTime) })
}

// heldBack: a SameSite=Strict cookie is kept and yet not sent with a link on
// another site (RFC 6265bis, section 5.2).
func (s *Service) heldBack(r *http.Request) bool {
	return s.cookies.Clear().SameSite == http.SameSiteStrictMode && r.Header.Get("Sec-Fetch-Site") == "cross-site"
}

// explainLoop stops a circle with a page. It takes the marks out, so that who
// has mended the fault, and asks again, is let through.
func (s *Service) explainLoop(w http.ResponseWriter, r *http.Request, provider string, page *pages.LoopPage) error {
	if under := s.readPending(r.Header); len(under.marks) > 0 {
		under.marks = nil
		s.keep(w, under)
	}
	_ = s.failLogin(r, provider, badRequest(ReasonLoop, "", errLoop)) // for the record; the answer is the page
	page.Reason, page.RequestID = ReasonLoop, w.Header().Get(httperr.RequestIDHeader)
	return s.pages.Loop(w, r, *page)
}

// lossCauses says why a cookie may not have come back, most likely first: what
// this very request proves, then what is usual.
func (s *Service) lossCauses(r *http.Request) (causes []pages.LoopCause) {
	ck := s.cookies.Clear()
	if ck.Domain != "" && !domainCovers(ck.Domain, s.normalHost(r.Host)) {
		causes = append(causes, pages.CauseDomain)
	}
	if ck.Secure && seemsPlain(r) {
		causes = append(causes, pages.CausePlainHTTP)
	}
	if inFrame(r.Header) {
		causes = append(causes, pages.CauseFrame)
	}
	return append(causes, pages.CauseBlocked, pages.CauseClock)
}

// domainCovers is the domain match of RFC 6265, section 5.1.3.
func domainCovers(domain, host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	domain = strings.ToLower(strings.TrimPrefix(domain, "."))
	return host == domain || strings.HasSuffix(host, "."+domain)
}

// seemsPlain guesses whether the browser used http: it is told so by a proxy, or
// the browser leaves out what it says to secure sites only (Fetch Metadata,
// section 2). The guess is shown to a person and decides nothing.
func seemsPlain(r *http.Request) bool {
	if r.TLS != nil {
		return false
	}
	if proto := r.Header.Get("X-Forwarded-Proto"); proto != "" {
		return strings.EqualFold(proto, "http")
	}
	return r.Header.Get("Sec-Fetch-Mode") == ""
}

func inFrame(h http.Header) bool {
	return slices.Contains([]string{"iframe", "frame", "embed", "object"}, h.Get("Sec-Fetch-Dest"))
}

// isPageLoad is a navigation, or the same inside a frame.
func isPageLoad(r *http.Request) bool {
	if httperr.IsNavigation(r) {
		return true
	}
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && inFrame(r.Header) &&
		r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Purpose") == ""
}

// hasCookie reports whether a cookie of that name came, whatever is in it.
func hasCookie(h http.Header, name string) bool {
	for range cookieValues(h, name) {
		return true
	}
	return false
}

// againURL is where a sign-in begins anew.
func (s *Service) againURL(provider, target string) string {
	q := url.Values{"return_to": {orRoot(target)}}
	if provider != "" {
		q.Set("provider", provider)
	}
	return s.prefix + "/login?" + q.Encode()
}

// settledByForm notes a sign-in with a password. Sign-ins under way in other
// tabs find the session when they come back.
func (s *Service) settledByForm(w http.ResponseWriter, r *http.Request, target string) {
	under := s.readPending(r.Header)
	under.nonces = nil
	under.marks = append(under.marks, newMark(markDone, target))
	s.keep(w, under)
}
