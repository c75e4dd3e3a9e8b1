package admin

import (
	"encoding/json"
	"io"
	"net/http"

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
	Status  int         // of its answer; 0 is 200
}

// Parameter is one parameter of the query of an endpoint.
type Parameter struct{ Name, Summary string }

// mountAPI serves the endpoints to operators.
func mountAPI(mux *http.ServeMux, g *gate, o Options) {
	for _, e := range o.API {
		mux.Handle(e.Method+" "+prefix+e.Path, o.Edge.Handle(g.api(e.Serve)))
	}
	mux.Handle(prefix+"/", o.Edge.Handle(g.api(func(http.ResponseWriter, *http.Request) error {
		return &httperr.Error{Code: http.StatusNotFound, Reason: "no_route", Public: "The API has nothing at this address, or not with this method."}
	})))
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
