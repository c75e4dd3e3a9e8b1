package admin

import (
	"net/http"
	"time"

	"github.com/sallyport/sallyport/gateway/upstream"
	"github.com/sallyport/sallyport/policy"
)

// Route is a route as it was compiled.
type Route struct {
	Name      string   `json:"name"`
	Hosts     []string `json:"hosts"`
	Paths     []string `json:"paths"`
	Methods   []string `json:"methods,omitempty"` // empty: every method
	Public    bool     `json:"public,omitempty"`
	Auth      []string `json:"auth,omitempty"` // kinds of credentials, the first that is there counts
	Policy    string   `json:"policy,omitempty"`
	Providers []string `json:"providers,omitempty"` // whose sessions count; empty: all
	Requires  string   `json:"requires,omitempty"`  // of every sign-in
	Upstreams []string `json:"upstreams,omitempty"` // empty: other proxies ask about it
	Headers   []string `json:"headers,omitempty"`   // that tell the upstream who the user is, besides the default ones
	Assertion bool     `json:"assertion,omitempty"`
	Preflight bool     `json:"preflight,omitempty"`
	CrossSite string   `json:"cross_site"` // enforce, report, off
	Shield    string   `json:"shield"`     // enforce, report, off
}

// Routes are all routes, in the order in which they are tried.
type Routes struct {
	Routes []Route `json:"routes"`
}

// Policy is a policy as it was compiled.
type Policy struct {
	Name     string                   `json:"name"`
	Mode     string                   `json:"mode"` // enforce, shadow
	External bool                     `json:"external,omitempty"`
	Rules    []policy.RuleDescription `json:"rules"`
	Routes   []string                 `json:"routes"` // that it decides about
}

// Policies are all policies, in the order of the configuration.
type Policies struct {
	Policies []Policy `json:"policies"`
}

// Provider is a login provider and how it is.
type Provider struct {
	Name   string   `json:"name"`
	Type   string   `json:"type"`
	Issuer string   `json:"issuer,omitempty"`
	Status string   `json:"status"` // ok, failing
	Keys   *KeyAges `json:"keys,omitempty"`
}

// Providers are all login providers, in the order of the configuration.
type Providers struct {
	Providers []Provider `json:"providers"`
}

// KeyAges say how the published keys of an issuer stand here.
type KeyAges struct {
	Keys      int       `json:"keys"`                 // that can be used
	Confirmed time.Time `json:"confirmed,omitzero"`   // when the issuer last said that these are its keys
	LastError string    `json:"last_error,omitempty"` // one word: what was wrong with the last fetch
}

// Issuer is an issuer of tokens and how its keys are.
type Issuer struct {
	Issuer     string   `json:"issuer"`
	Audiences  []string `json:"audiences"`
	Algorithms []string `json:"algorithms"`
	Source     string   `json:"source"` // discovery, jwks_url, jwks_file, secret
	Status     string   `json:"status"` // ok, failing
	Keys       *KeyAges `json:"keys,omitempty"`
}

// Issuers are all issuers of tokens, in the order of the configuration.
type Issuers struct {
	Issuers []Issuer `json:"issuers"`
}

// Upstreams say where routes lead, and how it is there.
type Upstreams struct {
	Routes []upstream.Status `json:"routes"`
}

// Inventory is what a configuration has become. Everything in it is for operators:
// it holds no secret.
type Inventory interface {
	Routes() Routes
	Policies() Policies
	Providers() Providers
	Issuers() Issuers
	Upstreams() Upstreams
}

// InventoryEndpoints are the endpoints of what was compiled.
func InventoryEndpoints(i Inventory) []Endpoint {
	get := func(path, summary string, gives any, read func() any) Endpoint {
		return Endpoint{
			Method: http.MethodGet, Path: path, Summary: summary, Gives: gives,
			Serve: func(w http.ResponseWriter, _ *http.Request) error { return writeJSON(w, http.StatusOK, read()) },
		}
	}
	return []Endpoint{
		get("/routes", "Lists the routes as compiled, in the order in which they are tried.", Routes{}, func() any { return i.Routes() }),
		get("/policies", "Lists the policies as compiled, with the routes that they decide about.", Policies{}, func() any { return i.Policies() }),
		get("/providers", "Lists the login providers, whether people can sign in with them, and how old their keys are.", Providers{}, func() any { return i.Providers() }),
		get("/issuers", "Lists the issuers of tokens, and how old their keys are.", Issuers{}, func() any { return i.Issuers() }),
		get("/upstreams", "Lists the upstreams of the routes and how they are.", Upstreams{}, func() any { return i.Upstreams() }),
	}
}

// InventoryPages are the same to look at.
func InventoryPages(i Inventory) []Page {
	return []Page{
		{Path: "/routes", Name: "Routes", Show: func(*http.Request) (*View, error) {
			return &View{Title: "Routes", File: "routes", Data: i.Routes()}, nil
		}},
		{Path: "/policies", Name: "Policies", Show: func(*http.Request) (*View, error) {
			return &View{Title: "Policies", File: "policies", Data: i.Policies()}, nil
		}},
		{Path: "/health", Name: "Health", Show: func(*http.Request) (*View, error) {
			return &View{Title: "Upstreams, providers and issuers", File: "health", Live: true, Data: struct {
				Upstreams Upstreams
				Providers Providers
				Issuers   Issuers
			}{i.Upstreams(), i.Providers(), i.Issuers()}}, nil
		}},
	}
}
