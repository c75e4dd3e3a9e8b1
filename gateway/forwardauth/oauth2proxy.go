package forwardauth

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/frontend"
	"github.com/sallyport/sallyport/gateway/guard"
)

// OAuth2ProxyName is what that dialect is called in logs and metrics.
const OAuth2ProxyName = "oauth2_proxy"

// ReasonQuery is the reason where the routes would let somebody in, and the query
// of the check asks for more.
const ReasonQuery = "denied_by_query"

// OAuth2Proxy answers like oauth2-proxy's /oauth2/auth.
type OAuth2Proxy struct {
	Scheme string // of public_url, for proxies that do not tell it
	// Forwarded says that the proxy sets X-Forwarded-Method, -Proto, -Host and -Uri,
	// so that clients can't.
	Forwarded bool
}

// The headers in which proxies that are set up for oauth2-proxy describe a request.
const (
	originalURLHeader = "X-Original-Url" // ingress-nginx: absolute, with X-Original-Method
	originalMethod    = "X-Original-Method"
	forwardedURI      = "X-Forwarded-Uri" // nginx, Traefik, Caddy: a path, at Host or X-Forwarded-Host
	forwardedHost     = "X-Forwarded-Host"
	forwardedProto    = "X-Forwarded-Proto"
	forwardedMethod   = "X-Forwarded-Method"
	redirectTo        = "X-Auth-Request-Redirect" // where the sign-in leads: absolute, or a path
)

// dialect is that of proxies which overwrite one of the three descriptions of a
// request, we can't know which, and pass on what clients send by the name of the
// others. So all that are there must be allowed: a header that a client adds can
// refuse and never let in (GHSA-7x63-xv5r-3p2x).
func (o *OAuth2Proxy) dialect() Dialect {
	return Dialect{
		Name: OAuth2ProxyName, Opaque: true, Yes: http.StatusAccepted, Withhold: []string{"Cookie"},
		Originals: o.originals, Admits: admits, Adorn: tellAccessToken,
	}
}

// ServeOAuth2Proxy is the handler of /oauth2/auth. It is an httperr.HandlerFunc.
func (s *Service) ServeOAuth2Proxy(w http.ResponseWriter, r *http.Request) error {
	defer fail(w)
	w.Header()["Cache-Control"] = s.noStore
	ignoreBody(w, r)
	return s.ask(w, r, &s.oauth2Proxy)
}

// described is one description: the places that it may mean, and the methods.
type described struct {
	places  []place
	methods []string
}

type place struct{ scheme, host, target string }

func (o *OAuth2Proxy) originals(r *http.Request) ([]frontend.Original, error) {
	said := map[string]string{}
	for _, name := range []string{originalURLHeader, originalMethod, forwardedURI, forwardedHost, forwardedProto, forwardedMethod, redirectTo} {
		if len(r.Header[name]) == 1 && r.Header[name][0] == "" {
			delete(r.Header, name)
		}
		if len(r.Header[name]) == 0 {
			continue
		}
		value, err := take(r.Header, name)
		if err != nil {
			return nil, err
		}
		said[name] = value
	}
	all, err := o.descriptions(r, said)
	if err != nil {
		return nil, err
	}
	var list []frontend.Original
	for _, d := range all {
		for _, at := range d.places {
			for _, method := range d.methods {
				same := func(x frontend.Original) bool {
					return x.Method == method && x.Host == at.host && x.Target == at.target
				}
				if !slices.ContainsFunc(list, same) {
					list = append(list, frontend.Original{Method: method, Scheme: at.scheme, Host: at.host, Target: at.target})
				}
			}
		}
	}
	return list, nil
}

func (o *OAuth2Proxy) descriptions(r *http.Request, said map[string]string) ([]described, error) {
	var all []described
	if whole := said[originalURLHeader]; whole != "" {
		at, ok := absolute(whole)
		if !ok {
			return nil, &HeaderError{originalURLHeader, "is no absolute URL: have the proxy set it to $scheme://$http_host$request_uri"}
		}
		all = append(all, described{[]place{at}, methods(said, said[originalMethod])})
	}
	if uri := said[forwardedURI]; uri != "" || o.Forwarded {
		d, err := o.forwarded(r, said)
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	switch to, known := said[redirectTo], len(all) > 0; {
	case to == "" && !known:
		return nil, &HeaderError{originalURLHeader, "is missing, and so is " + forwardedURI + ": have the proxy set the first, to $scheme://$http_host$request_uri, and " + originalMethod}
	case to == "":
	case to[0] == '/' && known:
		for _, d := range slices.Clone(all) {
			for _, at := range d.places {
				at.target = to
				all = append(all, described{[]place{at}, d.methods})
			}
		}
	default:
		// A path alone could be on any host that a client names in another header.
		at, ok := absolute(to)
		if !ok {
			return nil, &HeaderError{redirectTo, "is no absolute URL, and nothing else says which host it is about: have the proxy set " + originalURLHeader}
		}
		all = append(all, described{[]place{at}, methods(said, "")})
	}
	return all, nil
}

// forwarded reads X-Forwarded-Uri. A proxy that does not say that it sets the rest
// as well is believed its Host; what stands in the others must be allowed besides.
func (o *OAuth2Proxy) forwarded(r *http.Request, said map[string]string) (described, error) {
	if o.Forwarded {
		for _, name := range []string{forwardedMethod, forwardedProto, forwardedHost, forwardedURI} {
			if said[name] == "" {
				return described{}, &HeaderError{name, "is missing: have the proxy set it, or remove compat.forwarded_headers"}
			}
		}
		at := place{said[forwardedProto], said[forwardedHost], said[forwardedURI]}
		return described{[]place{at}, methods(said, said[forwardedMethod])}, nil
	}
	scheme := said[forwardedProto]
	if scheme == "" {
		scheme = o.Scheme
	}
	places := []place{{scheme, r.Host, said[forwardedURI]}}
	if host := said[forwardedHost]; host != "" && host != r.Host {
		places = append(places, place{scheme, host, said[forwardedURI]})
	}
	return described{places, methods(said, "")}, nil
}

// methods are those that a request may have: the one that is known, or every usual
// one, and whatever else is said of it.
func methods(said map[string]string, known string) []string {
	list := []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
	if known != "" {
		list = []string{known}
	}
	for _, name := range []string{originalMethod, forwardedMethod} {
		if method := said[name]; method != "" && !slices.Contains(list, method) {
			list = append(list, method)
		}
	}
	return list
}

// absolute takes an absolute URL apart, without a look at what is in it.
func absolute(whole string) (at place, ok bool) {
	scheme, rest, ok := strings.Cut(whole, "://")
	if !ok {
		return place{}, false
	}
	at = place{scheme: scheme, host: rest}
	if path := strings.IndexAny(rest, "/?#"); path >= 0 {
		at.host, at.target = rest[:path], rest[path:]
	}
	return at, true
}

// tellAccessToken adds the token under the name that oauth2-proxy has for it. The
// header is there without one as well, so that the proxy overwrites the client's.
func tellAccessToken(h http.Header, v *guard.Verdict) {
	token := ""
	if v.Route != nil && v.Route.Forward != nil && v.Kind == config.AuthSession && !v.SignedIn() {
		token = strings.TrimPrefix(h.Get("Authorization"), "Bearer ")
	}
	h["X-Auth-Request-Access-Token"] = []string{token}
}

// admits judges what the query of a check asks for besides: allowed_groups and its
// like are lists with commas, one of which must fit. Each parameter must be
// satisfied, also of several with one name, so that whoever can add to the query
// can only narrow it. Who is let in without proof, on a public route, is not asked.
func admits(check *http.Request, v *guard.Verdict) bool {
	if check.URL.RawQuery == "" || v.Identity == nil {
		return true
	}
	query, err := url.ParseQuery(check.URL.RawQuery)
	if err != nil {
		return false
	}
	id, constrained := v.Identity, false
	email := ""
	if id.EmailVerified {
		email = strings.ToLower(id.Email)
	}
	fits := map[string]func(want string) bool{
		"allowed_groups":        func(want string) bool { return slices.Contains(id.Groups, want) },
		"allowed_users":         func(want string) bool { return id.Subject == want },
		"allowed_emails":        func(want string) bool { return email == strings.ToLower(want) },
		"allowed_email_domains": func(want string) bool { return inDomain(email, strings.ToLower(want)) },
	}
	for name, lists := range query {
		if !strings.HasPrefix(name, "allowed_") {
			continue
		}
		fit := fits[name]
		for _, list := range lists {
			constrained = true
			one := func(want string) bool { want = strings.TrimSpace(want); return want != "" && fit(want) }
			if fit == nil || !slices.ContainsFunc(strings.Split(list, ","), one) {
				return false
			}
		}
	}
	for _, value := range query["constraints_required"] {
		if required, err := strconv.ParseBool(value); (err != nil || required) && !constrained {
			return false
		}
	}
	return true
}

// inDomain compares whole domains. One that begins with a dot, or *., stands for
// itself and what is below it, as in oauth2-proxy.
func inDomain(email, want string) bool {
	name, domain, ok := strings.Cut(email, "@")
	if !ok || name == "" || domain == "" || strings.Contains(domain, "@") {
		return false
	}
	bare, below := strings.CutPrefix(strings.TrimPrefix(want, "*"), ".")
	return bare != "" && (domain == bare || below && strings.HasSuffix(domain, "."+bare))
}
