package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/httperr"
)

// prefix is where the API is. The version changes when a client of the old
// one would no longer understand the answers.
const prefix = "/api/v1"

// maxRequestBytes bounds the body of an API request.
const maxRequestBytes = 64 << 10

// Endpoint is one endpoint of the API. It is called for requests with the admin
// token alone.
type Endpoint struct {
	Method string
	Path   string // below /api/v1, as http.ServeMux writes it: /sessions/{id}
	Serve  httperr.HandlerFunc

	// What the description of the API says of it.
	Summary string      // one sentence
	Query   []Parameter // what it reads from the query
	Takes   any         // the zero value of its body; nil where it has none
	Gives   any         // the zero value of its answer; nil where it has none
}

// Parameter is one parameter of the query of an endpoint.
type Parameter struct{ Name, Summary string }

// mountAPI serves the endpoints behind the token. Loopback is no proof: a
// sidecar shares it with the application.
func mountAPI(mux *http.ServeMux, o Options) {
	for _, e := range o.API {
		mux.Handle(e.Method+" "+prefix+e.Path, o.Edge.Handle(func(w http.ResponseWriter, r *http.Request) error {
			if err := authorize(r, o.Token); err != nil {
				return err
			}
			return e.Serve(w, r)
		}))
	}
	mux.Handle(prefix+"/", o.Edge.Handle(func(_ http.ResponseWriter, r *http.Request) error {
		if err := authorize(r, o.Token); err != nil {
			return err
		}
		return &httperr.Error{Code: http.StatusNotFound, Reason: "no_route", Public: "The API has nothing at this address, or not with this method."}
	}))
}

func authorize(r *http.Request, token func() (config.Secret, error)) error {
	want, err := token()
	switch {
	case errors.Is(err, config.ErrNoSecret):
		return &httperr.Error{Code: http.StatusForbidden, Reason: "admin_api_off", Public: "The admin API is off: configure admin.token_file."}
	case err != nil:
		return &httperr.Error{Code: http.StatusServiceUnavailable, Reason: "unavailable", Public: "The admin token can't be read now.", Err: err}
	}
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	// The hashes have one length, so that the comparison tells nothing of the token's.
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(want.Reveal()))
	if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(a[:], b[:]) != 1 {
		return &httperr.Error{
			Code: http.StatusUnauthorized, Reason: "bad_admin_token", Public: "Send the token of admin.token_file as Authorization: Bearer.",
			Header: http.Header{"Www-Authenticate": {`Bearer realm="sallyport admin"`}},
		}
	}
	return nil
}

// readJSON reads the body of a request strictly: one object, without members
// that to has no field for.
func readJSON(r *http.Request, to any) error {
	dec := json.NewDecoder(io.LimitReader(r.Body, maxRequestBytes))
	dec.DisallowUnknownFields()
	if err := dec.Decode(to); err != nil {
		return &httperr.Error{Code: http.StatusBadRequest, Reason: "malformed_request", Public: "The body is not the JSON object that this endpoint takes.", Err: err}
	}
	if dec.More() {
		return badRequest("There is more than one JSON value in the body.")
	}
	return nil
}

func badRequest(public string) error {
	return &httperr.Error{Code: http.StatusBadRequest, Reason: "malformed_request", Public: public}
}
