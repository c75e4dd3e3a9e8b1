package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/mail"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// APIKey is what is known of an API key: never the key itself.
type APIKey struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Subject string    `json:"subject"`
	Issuer  string    `json:"issuer"`
	Email   string    `json:"email,omitempty"`
	Groups  []string  `json:"groups,omitempty"`
	Scopes  []string  `json:"scopes,omitempty"`
	Routes  []string  `json:"routes,omitempty"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"` // zero: never
	Revoked bool      `json:"revoked,omitempty"`
}

// APIKeyList are all of them.
type APIKeyList struct {
	Keys []APIKey `json:"keys"`
}

// ErrNoAPIKey is what an APIKeys answers for an id that no key has.
var ErrNoAPIKey = errors.New("admin: no such API key")

// APIKeys makes and revokes API keys. Errors other than ErrNoAPIKey are outages.
type APIKeys interface {
	Create(ctx context.Context, k APIKey) (key string, made APIKey, err error)
	List(ctx context.Context) ([]APIKey, error)
	Revoke(ctx context.Context, id string) (APIKey, error)
}

const (
	// defaultKeyLife is how long a key lives that says nothing else.
	defaultKeyLife = 90 * 24 * time.Hour
	maxKeyLife     = 10 * 365 * 24 * time.Hour
	maxKeyWord     = 256 // bytes of a name, a subject, a group
	maxKeyWords    = 256
)

// APIKeyEndpoints are the endpoints of API keys. routes are the names of those
// on which keys can be used; audit gets a line of every act.
func APIKeyEndpoints(keys APIKeys, routes []string, audit *telemetry.Trail) []Endpoint {
	e := &apiKeyEndpoints{keys: keys, routes: routes, audit: audit}
	return []Endpoint{
		{Method: http.MethodGet, Path: "/apikeys", Serve: e.list, Gives: APIKeyList{}, Summary: "Lists the API keys, without the keys."},
		{Method: http.MethodPost, Path: "/apikeys", Serve: e.create, Takes: keyWish{}, Gives: madeKey{}, Status: http.StatusCreated, Summary: "Makes an API key, which is shown this once."},
		{Method: http.MethodDelete, Path: "/apikeys/{id}", Serve: e.revoke, Status: http.StatusNoContent, Summary: "Revokes an API key on every gateway."},
	}
}

type apiKeyEndpoints struct {
	keys   APIKeys
	routes []string
	audit  *telemetry.Trail
}

func (e *apiKeyEndpoints) list(w http.ResponseWriter, r *http.Request) error {
	list, err := e.keys.List(r.Context())
	if err != nil {
		return keysOutage(err)
	}
	if list == nil {
		list = []APIKey{}
	}
	return writeJSON(w, http.StatusOK, APIKeyList{list})
}

// keyWish is the body of POST /apikeys.
type keyWish struct {
	Name    string   `json:"name"`
	Subject string   `json:"subject"`
	Issuer  string   `json:"issuer"`
	Email   string   `json:"email"`
	Groups  []string `json:"groups"`
	Scopes  []string `json:"scopes"`
	Routes  []string `json:"routes"`
	// Lifetime is a number of days, as in 90d, or a duration such as 12h; empty is
	// 90 days. NeverExpires stands alone.
	Lifetime     string `json:"lifetime"`
	NeverExpires bool   `json:"never_expires"`
}

// madeKey is the answer: the only time that the key is shown.
type madeKey struct {
	Key string `json:"key"`
	APIKey
}

func (e *apiKeyEndpoints) create(w http.ResponseWriter, r *http.Request) error {
	var wish keyWish
	if err := readJSON(r, &wish); err != nil {
		return err
	}
	k, problem := e.judge(&wish, time.Now())
	if problem != "" {
		return badRequest(problem)
	}
	key, made, err := e.keys.Create(r.Context(), k)
	e.record(r, "apikey_create", &made, err)
	if err != nil {
		return keysOutage(err)
	}
	return writeJSON(w, http.StatusCreated, madeKey{key, made})
}

func (e *apiKeyEndpoints) revoke(w http.ResponseWriter, r *http.Request) error {
	gone, err := e.keys.Revoke(r.Context(), r.PathValue("id"))
	if errors.Is(err, ErrNoAPIKey) {
		return &httperr.Error{Code: http.StatusNotFound, Reason: "unknown_api_key", Public: "No API key has this id."}
	}
	e.record(r, "apikey_revoke", &gone, err)
	if err != nil {
		return keysOutage(err)
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// judge turns a wish into a key, or says what is wrong with it.
func (e *apiKeyEndpoints) judge(wish *keyWish, now time.Time) (k APIKey, problem string) {
	k = APIKey{
		Name: wish.Name, Subject: wish.Subject, Issuer: wish.Issuer, Email: wish.Email,
		Groups: wish.Groups, Scopes: wish.Scopes, Routes: wish.Routes,
	}
	for _, one := range []struct {
		what, value string
		required    bool
	}{{"name", k.Name, true}, {"subject", k.Subject, true}, {"issuer", k.Issuer, false}, {"email", k.Email, false}} {
		if one.required && one.value == "" {
			return k, "Give the key a " + one.what + "."
		}
		if one.value != "" && !isWord(one.value) {
			return k, "The " + one.what + " is not one line of up to " + strconv.Itoa(maxKeyWord) + " bytes of text."
		}
	}
	if k.Email != "" {
		if address, err := mail.ParseAddress(k.Email); err != nil || address.Address != k.Email {
			return k, "The email is no address."
		}
	}
	for _, list := range [][]string{k.Groups, k.Scopes, k.Routes} {
		if len(list) > maxKeyWords || slices.ContainsFunc(list, func(s string) bool { return !isWord(s) }) {
			return k, "Groups, scopes and routes are lists of words that are not empty."
		}
	}
	if slices.ContainsFunc(k.Scopes, func(s string) bool { return strings.ContainsAny(s, ` "\`) }) {
		return k, "A scope has no spaces, quotes or backslashes: write one scope an entry."
	}
	for _, name := range k.Routes {
		if !slices.Contains(e.routes, name) {
			return k, fmt.Sprintf("No route that takes API keys is called %q.", name)
		}
	}
	life, problem := keyLife(wish)
	if problem == "" && life > 0 {
		k.Expires = now.Add(life).UTC().Truncate(time.Second)
	}
	return k, problem
}

// keyLife returns 0 for a key that never expires.
func keyLife(wish *keyWish) (life time.Duration, problem string) {
	switch {
	case wish.NeverExpires && wish.Lifetime != "":
		return 0, "A key that never expires has no lifetime."
	case wish.NeverExpires:
		return 0, ""
	case wish.Lifetime == "":
		return defaultKeyLife, ""
	}
	life, err := parseSpan(wish.Lifetime)
	if err != nil || life < time.Second || life > maxKeyLife {
		return 0, "The lifetime is neither a number of days up to ten years, such as 90d, nor a duration, such as 12h."
	}
	return life, ""
}

// parseSpan reads a number of days, as in 90d, or a duration such as 12h.
func parseSpan(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err
	}
	return time.ParseDuration(text)
}

func isWord(s string) bool {
	return s != "" && len(s) <= maxKeyWord && strings.TrimSpace(s) == s && !strings.ContainsFunc(s, func(c rune) bool {
		return unicode.IsControl(c) || c == unicode.ReplacementChar
	})
}

func (e *apiKeyEndpoints) record(r *http.Request, event string, k *APIKey, err error) {
	line := ActOf(r, event, err)
	line.Issuer, line.Subject, line.Token = k.Issuer, k.Subject, k.ID
	e.audit.Record(line)
}

func keysOutage(err error) error {
	return &httperr.Error{
		Code: http.StatusServiceUnavailable, Reason: "store_unavailable", Public: "API keys cannot be read or written right now.",
		Err: err, Header: http.Header{"Retry-After": {"5"}},
	}
}
