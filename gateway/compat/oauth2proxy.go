// Package compat is for those who come from another product: its endpoints, and its
// configuration turned into ours. It owns what is known of oauth2-proxy, but for the
// check, which is a dialect of package forwardauth. It signs nobody in or out, and
// judges no address: those whose work it is are bound to it.
package compat

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/identity"
)

// OAuth2ProxyPrefix is where oauth2-proxy has its endpoints unless it is told
// otherwise.
const OAuth2ProxyPrefix = "/oauth2"

// redirectTo is where a proxy says what rd says, for a sign-in or a sign-out.
const redirectTo = "X-Auth-Request-Redirect"

// Options are what the endpoints need. All fields are required.
type Options struct {
	Prefix string // of the gateway's own endpoints
	// ReturnTo and LogoutTo judge where a sign-in or a sign-out leads. The error is
	// the answer.
	ReturnTo func(address string) (string, error)
	LogoutTo func(address string) (string, error)
	SignOut  httperr.HandlerFunc // POST Prefix/logout
	SignedIn func(r *http.Request) (*identity.Identity, error)
	// Trusted reports whether a peer is a proxy whose X-Auth-Request-Redirect counts.
	Trusted func(remoteAddr string) bool
}

// OAuth2Proxy returns the endpoints by what follows OAuth2ProxyPrefix. There is no
// callback: the gateway has one redirect URI for each provider.
func OAuth2Proxy(o Options) map[string]httperr.HandlerFunc {
	return map[string]httperr.HandlerFunc{
		"/start":    o.signIn,
		"/sign_in":  o.signIn,
		"/sign_out": o.signOut,
		"/userinfo": o.userinfo,
	}
}

func (o *Options) signIn(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return notAllowed(http.MethodGet, http.MethodHead)
	}
	return o.lead(w, r, o.ReturnTo, "/login")
}

// signOut leads to the page that asks, because any page can make a browser send a
// GET. A POST signs out, by the rules of the gateway's own endpoint.
func (o *Options) signOut(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "no-store")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return o.lead(w, r, o.LogoutTo, "/logout")
	case http.MethodPost:
		return o.SignOut(w, r)
	}
	return notAllowed(http.MethodGet, http.MethodHead, http.MethodPost)
}

// lead sends the browser to an endpoint of the gateway, with the address to go on to.
func (o *Options) lead(w http.ResponseWriter, r *http.Request, judge func(string) (string, error), endpoint string) error {
	wish, err := o.wish(r)
	if err != nil {
		return err
	}
	location := o.Prefix + endpoint
	if wish != "" {
		target, err := judge(wish)
		if err != nil {
			return err
		}
		if target != "" {
			location += "?return_to=" + url.QueryEscape(target)
		}
	}
	// nginx with `error_page 401 =403 /oauth2/sign_in` makes a 403 of this, where
	// browsers take no Location. They want a body for the other one.
	w.Header().Set("Refresh", "0;url="+location)
	http.Redirect(w, r, location, http.StatusFound)
	return nil
}

// wish is where the browser is to go on to: rd of the query or, where there is none,
// what the proxy says.
func (o *Options) wish(r *http.Request) (string, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return "", badWish("malformed_request", err)
	}
	wishes := q["rd"]
	if len(wishes) == 0 && o.Trusted(r.RemoteAddr) {
		wishes = r.Header[redirectTo]
	}
	switch len(wishes) {
	case 0:
		return "", nil
	case 1:
		return wishes[0], nil
	}
	return "", badWish("invalid_return_to", nil)
}

func badWish(reason string, err error) error {
	return &httperr.Error{Code: http.StatusBadRequest, Reason: reason, Err: err, Public: "The address to return to is not one of this site."}
}

// userinfo is what oauth2-proxy tells of a session. There are no tokens in it.
type userinfo struct {
	User              string   `json:"user"`
	Email             string   `json:"email"`
	Groups            []string `json:"groups,omitempty"`
	PreferredUsername string   `json:"preferredUsername,omitempty"`
}

func (o *Options) userinfo(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return notAllowed(http.MethodGet, http.MethodHead)
	}
	id, err := o.SignedIn(r)
	if err != nil {
		return err
	}
	answer := userinfo{User: id.Subject, Groups: id.Groups, PreferredUsername: id.PreferredUsername}
	if id.EmailVerified {
		answer.Email = id.Email
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

func notAllowed(methods ...string) error {
	return &httperr.Error{
		Code: http.StatusMethodNotAllowed, Reason: "method_not_allowed", Public: "This method is not allowed here.",
		Header: http.Header{"Allow": {strings.Join(methods, ", ")}},
	}
}
