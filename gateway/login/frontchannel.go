package login

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/session"
)

func providerField(p provider) zap.Field { return zap.String("provider", p.name()) }

// FrontChannelLogout is GET Prefix/frontchannel-logout/{provider}, which the
// provider's page loads in a frame: OpenID Connect Front-Channel Logout 1.0. The
// request proves nothing, since any page can make a browser send it. So it ends
// the session of this browser's own cookie and no other, and that only when it
// names the session at the provider, which other sites do not know.
//
// In a frame of another site, browsers send no cookie that is SameSite=Lax, and
// then there is nothing to end: back-channel logout is the one to rely on.
func (s *Service) FrontChannelLogout(w http.ResponseWriter, r *http.Request) error {
	noStore(w)
	p, err := s.logoutJudge(r, "/frontchannel-logout/", http.MethodGet)
	if err != nil {
		return err
	}
	// 1. Both must be there, once (section 2): without the sid anybody could sign
	// anybody out.
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(q["iss"]) != 1 || len(q["sid"]) != 1 || q.Get("sid") == "" {
		return badRequest(ReasonMalformed, "The sign-out does not say which session is over.", nil)
	}
	// 2. End the session that it means, if that is the one of this browser.
	live, _, err := s.live(r)
	if err != nil {
		return err
	}
	if live != nil && live.Provider == p.name() && live.Identity.Issuer == q.Get("iss") && live.Identity.ProviderSession == q.Get("sid") {
		if err := s.endListed(r, []session.Listed{{Session: live}}); err != nil {
			return err
		}
		http.SetCookie(w, s.cookies.Clear())
	}
	// 3. The same answer either way, so that a page can't find out who is signed in.
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; object-src 'none'; frame-ancestors "+strings.Join(p.pageOrigins(), " "))
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write([]byte("<!doctype html><html lang=en><title>Signed out</title>")) // the client may be gone
	return nil
}

// pageOrigins implements logoutJudge: those of the issuer and of the two
// endpoints to which browsers are sent.
func (o *oidc) pageOrigins() []string {
	pages := []string{o.cfg.Issuer}
	if found := o.current.Load(); found != nil {
		pages = append(pages, found.meta.AuthorizationEndpoint, found.meta.EndSessionEndpoint)
	}
	var origins []string
	for _, page := range pages {
		u, err := url.Parse(page)
		if err != nil || u.Host == "" {
			continue
		}
		if origin := u.Scheme + "://" + u.Host; !slices.Contains(origins, origin) {
			origins = append(origins, origin)
		}
	}
	return origins
}
