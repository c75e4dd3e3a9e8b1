package login

import (
	"net/http"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/gateway/httperr"
)

// What pages of another origin may send and read besides what every page may
// (Fetch, section 3.2).
const (
	corsHeaders = "Content-Type, X-Requested-With, X-Request-Id"
	corsExposed = "Retry-After, WWW-Authenticate, X-Request-Id"
	corsMaxAge  = "600" // seconds
)

// CORS lets the pages of Options.CORSOrigins ask next with their user's cookies
// and read what it answers, refusals too. Every other origin is answered as if
// there were no such thing. methods are those that a page needs.
func (s *Service) CORS(next httperr.HandlerFunc, methods ...string) httperr.HandlerFunc {
	if len(s.corsOrigins) == 0 {
		return next
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		h := w.Header()
		h.Add("Vary", "Origin")
		origin, ok := s.sharedOrigin(r)
		if !ok {
			return next(w, r)
		}
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
		if r.Method != http.MethodOptions || !s.preflight(r, methods) {
			h.Set("Access-Control-Expose-Headers", corsExposed)
			return next(w, r)
		}
		noStore(w)
		h.Set("Access-Control-Allow-Methods", strings.Join(methods, ", "))
		h.Set("Access-Control-Allow-Headers", corsHeaders)
		h.Set("Access-Control-Max-Age", corsMaxAge)
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
}

// sharedOrigin returns the origin of the page that asks, if it is one with which
// answers are shared. The comparison is exact, so "null" and look-alikes are none.
func (s *Service) sharedOrigin(r *http.Request) (origin string, ok bool) {
	values := r.Header["Origin"]
	if len(values) != 1 || !slices.Contains(s.corsOrigins, values[0]) {
		return "", false
	}
	return values[0], true
}

// preflight tells a browser's question, whether it may ask something that is
// allowed, from any other OPTIONS.
func (s *Service) preflight(r *http.Request, methods []string) bool {
	wanted := r.Header["Access-Control-Request-Method"]
	if len(wanted) != 1 || !slices.Contains(methods, wanted[0]) {
		return false
	}
	for _, line := range r.Header["Access-Control-Request-Headers"] {
		for name := range strings.SplitSeq(line, ",") {
			if !corsHeader(strings.TrimSpace(name)) {
				return false
			}
		}
	}
	return true
}

func corsHeader(name string) bool {
	for allowed := range strings.SplitSeq(corsHeaders, ", ") {
		if strings.EqualFold(name, allowed) {
			return true
		}
	}
	return name == ""
}
