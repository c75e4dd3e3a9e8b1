package gateway_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sallyport/sallyport/gateway/admin"
	"github.com/sallyport/sallyport/gateway/httperr"
)

// TestABlipTakesNoGatewayOutOfService: whoever can make the store stumble for a
// moment could otherwise empty a whole load balancer.
func TestABlipTakesNoGatewayOutOfService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var storeDown, hung atomic.Bool
		serve := newAdmin([]admin.Check{
			{Name: "store", Required: true, Probe: func(ctx context.Context) error {
				if hung.Load() {
					<-ctx.Done()
				}
				if storeDown.Load() || ctx.Err() != nil {
					return errors.New("dial 10.1.2.3:6379: refused")
				}
				return nil
			}},
			{Name: "provider corp", Probe: func(context.Context) error { return errors.New("down") }},
		})
		ask := func(want int) {
			t.Helper()
			w := httptest.NewRecorder()
			serve.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", nil))
			if w.Code != want {
				t.Errorf("/readyz is %d, want %d\n%s", w.Code, want, w.Body)
			}
			if strings.Contains(w.Body.String(), "10.1.2.3") {
				t.Errorf("the answer tells where the store is:\n%s", w.Body)
			}
		}
		wait := func(d time.Duration) { <-time.After(d) }

		ask(http.StatusOK) // a provider that is down stops new sign-ins alone
		storeDown.Store(true)
		ask(http.StatusOK)
		wait(2900 * time.Millisecond)
		ask(http.StatusOK)
		wait(200 * time.Millisecond)
		ask(http.StatusServiceUnavailable)
		storeDown.Store(false)
		ask(http.StatusOK)

		// A second blip begins to count from itself.
		storeDown.Store(true)
		ask(http.StatusOK)
		storeDown.Store(false)
		hung.Store(true)
		wait(2 * time.Second)
		ask(http.StatusOK) // after the probe's own deadline
		wait(5 * time.Second)
		ask(http.StatusServiceUnavailable)
	})
}

// TestAGatewayThatNeverHadItsStoreIsNotReady: a rollout with a wrong password
// would replace gateways that work by gateways that don't.
func TestAGatewayThatNeverHadItsStoreIsNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("down")
		var since time.Time
		serve := newAdmin([]admin.Check{{
			Name: "store", Required: true,
			Probe:        func(context.Context) error { return down },
			FailingSince: func() time.Time { return since },
		}})
		ask := func(want int) {
			t.Helper()
			w := httptest.NewRecorder()
			serve.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", nil))
			if w.Code != want {
				t.Errorf("/readyz is %d, want %d\n%s", w.Code, want, w.Body)
			}
		}
		ask(http.StatusServiceUnavailable)
		down = nil
		ask(http.StatusOK)
		// Nobody asked for a while, and it has been down all the time.
		<-time.After(10 * time.Second)
		down, since = errors.New("down"), time.Now().Add(-4*time.Second)
		ask(http.StatusServiceUnavailable)
		down, since = nil, time.Time{}
		ask(http.StatusOK)
		down = errors.New("down")
		ask(http.StatusOK) // a blip
	})
}

// TestAReloadIsNoWayToMakeAGatewayNotReady: another handler for the same checks goes on
// with what the one before has seen of them, and begins no patience anew.
func TestAReloadIsNoWayToMakeAGatewayNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down error
		var known admin.Known
		handler := func(name string) http.Handler {
			return admin.New(admin.Options{Metrics: prometheus.NewRegistry(), Edge: &httperr.Edge{}, Known: &known, Checks: []admin.Check{
				{Name: name, Required: true, Probe: func(context.Context) error { return down }},
			}})
		}
		ask := func(serve http.Handler, want int) {
			t.Helper()
			w := httptest.NewRecorder()
			serve.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", nil))
			if w.Code != want {
				t.Errorf("/readyz is %d, want %d\n%s", w.Code, want, w.Body)
			}
		}
		ask(handler("store"), http.StatusOK)
		down = errors.New("down")
		second := handler("store")
		ask(second, http.StatusOK) // a blip, though this one has never seen it work
		<-time.After(2 * time.Second)
		ask(second, http.StatusOK)
		third := handler("store")
		ask(third, http.StatusOK)
		<-time.After(1100 * time.Millisecond)
		ask(third, http.StatusServiceUnavailable) // and no blip any more
		down = nil
		ask(third, http.StatusOK)
		down = errors.New("down")
		ask(handler("another"), http.StatusServiceUnavailable) // which has never worked
	})
}

func newAdmin(checks []admin.Check) http.Handler {
	return admin.New(admin.Options{Metrics: prometheus.NewRegistry(), Edge: &httperr.Edge{}, Checks: checks})
}
