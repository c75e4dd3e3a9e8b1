package config

import "time"

// hstsByDefault is what a gateway with a certificate of its own says: two years
// are what the preload list recommends, one is the least that audits accept.
const hstsByDefault = 365 * 24 * time.Hour

// listenerDefaults fills in what depends on the listeners.
func (s *Server) listenerDefaults(given func(path string) bool) {
	if len(s.Listeners) > 0 && !given("server.listen") {
		s.Listen = ""
	}
	for i := range s.Listeners {
		if l := &s.Listeners[i]; l.Name == "" {
			l.Name = l.Listen
		}
	}
	// Browsers keep to HSTS for all ports of a host, and for long. Behind a proxy
	// that terminates TLS it is the proxy's to say, and a developer's localhost
	// has other servers.
	if !given("server.hsts.max_age") && s.TLS.Given() && s.Secure() && !s.Loopback() {
		s.HSTS.MaxAge = hstsByDefault
	}
}
