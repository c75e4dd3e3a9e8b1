package login

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/pages"
)

// rememberFor is how long a browser keeps the name of the provider with which
// somebody signed in last. It is all that is kept: no identity, and nothing that
// anything is decided by, only what the sign-in page offers first.
const rememberFor = 180 * 24 * time.Hour

// remember notes a sign-in that succeeded, where there is more than one way.
func (s *Service) remember(w http.ResponseWriter, provider string) {
	if len(s.providers) > 1 {
		http.SetCookie(w, s.cookies.Provider(provider, rememberFor))
	}
}

// remembered is the name of a provider, or anything that somebody wrote into the
// cookie.
func (s *Service) remembered(h http.Header) string {
	for value := range cookieValues(h, s.cookies.ProviderName()) {
		return value
	}
	return ""
}

// offered are the providers that a sign-in names, or all of them when it names
// none.
func (s *Service) offered(names []string) ([]provider, error) {
	var list []provider
	for _, name := range names {
		if name == "" {
			continue
		}
		p := s.provider(name)
		if p == nil {
			return nil, unknownProvider()
		}
		if !slices.Contains(list, p) {
			list = append(list, p)
		}
	}
	if len(list) == 0 {
		return s.providers, nil
	}
	return list, nil
}

func offers(list []provider, name string) bool {
	return slices.ContainsFunc(list, func(p provider) bool { return p.name() == name })
}

// choices is how the sign-in page shows providers: the one of the last time
// first, the others in the order of the configuration.
func (s *Service) choices(r *http.Request, offered []provider) []pages.ProviderChoice {
	last := s.remembered(r.Header)
	list := make([]pages.ProviderChoice, 0, len(offered))
	for _, p := range offered {
		if p.name() == last {
			list = append(list, p.choice())
		}
	}
	for _, p := range offered {
		if p.name() != last {
			list = append(list, p.choice())
		}
	}
	return list
}

// Offering narrows a login URL of LoginURL's to some providers; with none of
// them it offers all. With another set, whoever is signed in signs in anew.
func Offering(loginURL string, providers []string, another bool) string {
	q := url.Values{"provider": providers}
	if another {
		q.Set("switch", "1")
	}
	return appendQuery(loginURL, q)
}

// appendQuery adds parameters to a URL that may have some already.
func appendQuery(address string, q url.Values) string {
	more := q.Encode()
	switch {
	case more == "":
		return address
	case strings.Contains(address, "?"):
		return address + "&" + more
	}
	return address + "?" + more
}

// anotherAccount leads who was refused though he has proven who he is back to
// the same provider, to sign in as somebody else and go where he wanted.
func (s *Service) anotherAccount(err error, p redirector, a *attempt) error {
	e := httperr.As(err)
	if e.Code != http.StatusForbidden || e.LoginURL != "" {
		return err
	}
	again := url.Values{"provider": {p.name()}, "return_to": {s.wayBack(a)}, "switch": {"1"}}
	e.LoginURL = s.prefix + "/login?" + again.Encode()
	return e
}
