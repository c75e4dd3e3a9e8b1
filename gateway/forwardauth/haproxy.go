package forwardauth

import "github.com/sallyport/sallyport/gateway/config"

// haproxy asks by the script of deploy/haproxy, which sends what Traefik does.
func haproxy() Dialect { return Dialect{Name: config.DialectHAProxy, Original: forwarded} }
