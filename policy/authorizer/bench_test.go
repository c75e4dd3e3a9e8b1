package authorizer_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/sallyport/sallyport/policy"
	"github.com/sallyport/sallyport/policy/authorizer"
	"github.com/sallyport/sallyport/policy/authorizer/opatest"
)

// BenchmarkAuthorize is what the authorizer adds to a request: from memory, and by a
// question to a service that takes no time of its own.
func BenchmarkAuthorize(b *testing.B) {
	for name, cache := range map[string]time.Duration{"cached": time.Hour, "asked": 0} {
		b.Run(name, func(b *testing.B) {
			service := opatest.New()
			service.Says(http.StatusOK, `{"result": true}`)
			server := newTCP(b, service)
			c, err := authorizer.New(authorizer.Options{Policy: "app", URL: server, Timeout: time.Second, Cache: cache})
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			s, in := set(b, c), alice()
			b.ReportAllocs()
			for b.Loop() {
				if d, err := s.Evaluate(b.Context(), in); err != nil || d.Effect != policy.Allow {
					b.Fatal(d, err)
				}
			}
		})
	}
}
