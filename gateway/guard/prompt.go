package guard

import "net/http"

// Prompt tells a client how to get in. It is a value, because each front
// end writes it in its own way: a proxy redirects, nginx needs a 401 with a
// Location, gRPC has no writer at all.
type Prompt struct {
	// Location is where a browser signs in; empty where signing in would not
	// help (a route that takes no sessions) or the request is no navigation.
	Location string
	// WWWAuthenticate goes with a 401 (RFC 9110, section 11.6.1).
	WWWAuthenticate []string
	// LoginURL tells a program where a person can sign in; may be empty.
	LoginURL string
}

// Challenger makes the prompt that goes with a verdict. It is bound at the start, so
// that front ends need not know how people sign in.
type Challenger func(r *http.Request, v *Verdict) Prompt
