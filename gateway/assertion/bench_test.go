package assertion_test

import (
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/identity"
)

// BenchmarkAssertion is what a request pays for its assertion: a signature for
// the first of a session and route, a look-up for those that follow.
func BenchmarkAssertion(b *testing.B) {
	for _, algorithm := range []string{"ES256", "EdDSA"} {
		m, now := minter(stored(b, &memory{}, algorithm)), time.Now()
		fresh := someone(1)
		fresh.Ref = identity.Ref{}
		known := someone(1)
		for name, id := range map[string]*identity.Identity{"mint/" + algorithm: fresh, "reuse/" + algorithm: known} {
			b.Run(name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := m.Mint(id, "app", now); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
