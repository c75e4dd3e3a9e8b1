package jwks_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/gateway/jwks"
)

// A short max_stale must not make an outage of an issuer that is well: its set
// is asked for again before it is too old, whatever Cache-Control says.
func TestAHealthyIssuerIsNeverTooOld(t *testing.T) {
	for _, maxStale := range []time.Duration{time.Second, 10 * time.Second, time.Minute, 10 * time.Minute, time.Hour, 24 * time.Hour} {
		t.Run(maxStale.String(), func(t *testing.T) {
			i := newIssuer("a")
			i.header = http.Header{"Cache-Control": {"max-age=86400"}}
			synctest.Test(t, func(t *testing.T) {
				s := i.started(t, func(o *jwks.Options) { o.MaxStale = maxStale })
				for range 200 {
					pass(maxStale / 20)
					if !s.Ready() {
						t.Fatal("not ready")
					}
				}
				want(t, s, "a", "key")
				if n, most := i.count(), max(30, int(10*maxStale/(50*time.Minute))); n > most {
					t.Errorf("%d fetches while ten times max_stale went by, at most %d are needed", n, most)
				}
			})
		})
	}
}

// And it must not become a way to ask without end.
func TestATinyMaxStaleDoesNotFloodTheIssuer(t *testing.T) {
	i := newIssuer("a")
	synctest.Test(t, func(t *testing.T) {
		i.started(t, func(o *jwks.Options) { o.MaxStale = time.Millisecond })
		pass(10 * time.Second)
		if n := i.count(); n > 25 {
			t.Errorf("%d fetches in 10 s", n)
		}
	})
}

// While the issuer can't be asked, nobody knows whether it has new keys: a token
// with one is not refused for that, also where the throttle forbids to try again.
func TestUnknownKeysDuringAnOutageAreNotRefused(t *testing.T) {
	i := newIssuer("a")
	synctest.Test(t, func(t *testing.T) {
		s := i.started(t, nil)
		want(t, s, "gone", "unknown")
		pass(jwks.DefaultUnknownKeyInterval)
		i.set(func(i *issuer) { i.status = http.StatusInternalServerError })
		for range 3 {
			want(t, s, "new", "unavailable")
		}
		want(t, s, "gone", "unknown") // the issuer said so, not long ago
		want(t, s, "a", "key")
		n := i.count()
		if n != 3 {
			t.Errorf("%d fetches, want the first and one for each of the unknown keys", n)
		}
		// The issuer comes back, and nobody has to ask for that.
		i.publish("a", "new")
		pass(2 * time.Second)
		want(t, s, "new", "key")
		want(t, s, "other", "unknown")
	})
}
