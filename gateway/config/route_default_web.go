package config

import "time"

// webDefaults fills in how a route protects people's browsers, where it does not
// say. What is written empty stays so: it means "add nothing".
func (r *Route) webDefaults(given func(key string) bool) {
	s := &r.Shield
	if s.Mode == "" {
		s.Mode = ModeOff
	}
	if s.SameSite == "" {
		s.SameSite = "lax"
	}
	if !given("shield.hsts") {
		s.HSTS = 365 * 24 * time.Hour
	}
	if !given("shield.frame_ancestors") {
		s.FrameAncestors = "'self'"
	}
	if !given("shield.referrer_policy") {
		s.ReferrerPolicy = "strict-origin-when-cross-origin"
	}
	if r.CrossSite.Mode == "" {
		r.CrossSite.Mode = ModeOff
	}
	if r.CrossSite.WebSocket == "" {
		r.CrossSite.WebSocket = ModeEnforce
		if r.Public {
			// Nobody is signed in whose name a page could use, and a public service may
			// well be for the pages of others.
			r.CrossSite.WebSocket = ModeOff
		}
	}
}
