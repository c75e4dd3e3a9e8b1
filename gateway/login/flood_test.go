package login_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/login"
	"github.com/sallyport/sallyport/gateway/login/oidctest"
)

func TestSignInsThatAnAddressMayBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f login.Flood
		for i := range login.FloodBurst {
			if wait := f.Take("192.0.2.1"); wait != 0 {
				t.Fatalf("sign-in %d waits %v", i, wait)
			}
		}
		wait := f.Take("192.0.2.1")
		if wait <= 0 || wait > time.Second {
			t.Fatalf("one more waits %v", wait)
		}
		if f.Take("192.0.2.2") != 0 || f.Take("") != 0 {
			t.Error("others wait too")
		}
		for range 100 { // no faster than it refills, however long
			<-time.After(wait)
			if f.Take("192.0.2.1") != 0 {
				t.Fatal("the promised wait was not enough")
			}
			if f.Take("192.0.2.1") == 0 {
				t.Fatal("two at the price of one")
			}
		}
	})
}

func TestFloodFromManyAddressesIsBoundedInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // in which no time passes
		var f login.Flood
		for range login.FloodBurst {
			f.Take("192.0.2.1")
		}
		for i := range 2 * login.MaxFlood {
			f.Take(fmt.Sprintf("2001:db8:%x:%x::", i>>16, i&0xffff))
		}
		if n := f.Remembered(); n > login.MaxFlood {
			t.Errorf("%d addresses are remembered", n)
		}
		if f.Take("192.0.2.1") == 0 {
			t.Error("the flood washed its own count away")
		}
	})
}

// TestFloodOfAnonymousNavigations is stopped where a sign-in would begin; who is
// signed in, and the sign-in page itself, are not concerned.
func TestFloodOfAnonymousNavigations(t *testing.T) {
	op := oidctest.New(t)
	g := newGatewayWith(t, options{providers: []config.Provider{corp(op), devProvider()}, change: func(o *login.Options) {
		o.ClientAddr = func(*http.Request) string { return "192.0.2.1" }
	}}).waitReady(t)
	for i := range login.FloodBurst {
		if got := g.browser(t).get("/.auth/login?provider=corp"); got.StatusCode != http.StatusFound {
			t.Fatalf("navigation %d: %d", i, got.StatusCode)
		}
	}
	b := g.browser(t)
	var got *answer
	for range 10 * login.FloodBurst { // some more are allowed by the time that this takes
		if got = b.get("/.auth/login?provider=corp"); got.StatusCode != http.StatusFound {
			break
		}
	}
	if got.StatusCode != http.StatusTooManyRequests || got.Header.Get("Retry-After") != "1" || got.reason() != login.ReasonTooManySignIns {
		t.Errorf("the flood is answered %d %s", got.StatusCode, got.body)
	}
	if got := b.get("/.auth/login"); got.StatusCode != http.StatusOK {
		t.Errorf("the sign-in page: %d", got.StatusCode)
	}
}
