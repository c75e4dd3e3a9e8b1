package gateway

import (
	"math"
	"reflect"
	"strings"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/headers"
)

// headerSets gives routes with the same header rules the same compiled set. A
// session remembers its header values for the set that asked last, so a user
// who goes to and fro between such routes finds them ready.
type headerSets struct {
	maxBytes int
	names    []string // of all headers that any route sets
	known    []headerSet
}

type headerSet struct {
	rules   []config.Header
	options headers.Options
	set     *headers.Set
}

func newHeaderSets(cfg *config.Config) *headerSets {
	s := &headerSets{maxBytes: cfg.Server.Limits.MaxIdentityBytes}
	if s.maxBytes == 0 {
		s.maxBytes = math.MaxInt
	}
	for i := range cfg.Routes {
		r := &cfg.Routes[i]
		for _, h := range r.Headers {
			s.names = append(s.names, h.Name)
		}
		if !strings.EqualFold(r.ForwardIDToken, "Authorization") { // elsewhere that is the application's own
			s.names = append(s.names, r.ForwardIDToken)
		}
	}
	return s
}

// of compiles the set of a route.
func (s *headerSets) of(r *config.Route) (*headers.Set, error) {
	o := headers.Options{
		MaxBytes: s.maxBytes, Strip: s.names, IDToken: r.ForwardIDToken,
		SetsAuthorization: r.ForwardAccessToken || r.UpstreamCredential != (config.UpstreamCredential{}),
	}
	for _, one := range s.known {
		if reflect.DeepEqual(one.rules, r.Headers) && reflect.DeepEqual(one.options, o) {
			return one.set, nil
		}
	}
	set, err := headers.Compile(r.Headers, o)
	if err != nil {
		return nil, err
	}
	s.known = append(s.known, headerSet{r.Headers, o, set})
	return set, nil
}
