package forwardauth

import "github.com/sallyport/sallyport/gateway/config"

// caddy asks by its directive forward_auth, which sets X-Forwarded-Method and -Uri,
// and whose proxy sets -Proto, -Host and -For. A refusal goes to the client as it is;
// of a yes, it copies what copy_headers lists, and nothing else. The query of the
// check may be the client's.
func caddy() Dialect { return Dialect{Name: config.DialectCaddy, Original: forwarded} }
