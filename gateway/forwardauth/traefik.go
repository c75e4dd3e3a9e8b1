package forwardauth

import "github.com/sallyport/sallyport/gateway/config"

// traefik asks by its middleware ForwardAuth, with its own X-Forwarded-Method, -Proto
// (ws or wss for WebSockets), -Host, -Uri and -For besides the client's headers. A
// refusal goes to the client as it is; of a yes, it copies the headers that are
// listed in authResponseHeaders.
func traefik() Dialect { return Dialect{Name: config.DialectTraefik, Original: forwarded} }
