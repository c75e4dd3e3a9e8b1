package upstream_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/gateway/upstream"
)

// TestAnUpstreamThatMovesIsFound: kept connections to the old address get no new
// requests, and are closed.
func TestAnUpstreamThatMovesIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t)
		m.serve("10.0.0.1:8080", says("old"))
		m.serve("10.0.0.2:8080", says("new"))
		m.name("app.internal", "10.0.0.1")
		r := route("http://app.internal:8080")
		r.Balance.Resolve = 30 * time.Second
		p := poolOn(t, r, m.network())
		if got := get(t, p, nobody); got != "old" {
			t.Fatal(got)
		}
		slow, err := p.RoundTrip(request(t.Context(), "GET", ""), nobody) // under way meanwhile
		if err != nil {
			t.Fatal(err)
		}
		get(t, p, nobody) // leaves another one behind

		m.name("app.internal", "10.0.0.2")
		pass(29 * time.Second)
		if got := get(t, p, nobody); got != "old" {
			t.Errorf("%q: the connection was not kept", got)
		}
		pass(2 * time.Second)
		if got := get(t, p, nobody); got != "new" {
			t.Errorf("%q answers", got)
		}
		if got := m.connections("10.0.0.1:8080"); got != 1 {
			t.Errorf("%d connections to the old address, want that of the request under way", got)
		}
		_ = slow.Body.Close()
		synctest.Wait()
		if got := m.connections("10.0.0.1:8080"); got != 0 {
			t.Errorf("%d connections to the old address are left", got)
		}
		p.Close()
	})
}

func TestTheSameAddressesInAnotherOrderMoveNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t)
		m.serve("10.0.0.1:80", says("a"))
		m.serve("10.0.0.2:80", says("b"))
		m.name("app.internal", "10.0.0.1", "10.0.0.2")
		r := route("http://app.internal")
		r.Balance.Resolve = time.Second
		p := poolOn(t, r, m.network())
		get(t, p, nobody)
		m.name("app.internal", "10.0.0.2", "10.0.0.1", "10.0.0.1")
		pass(10 * time.Second)
		if got := get(t, p, nobody); got != "a" || len(m.dials()) != 1 {
			t.Errorf("%q, by a connection of its own", got)
		}
		p.Close()
	})
}

// TestANameThatCanNotBeLookedUpKeepsItsAddresses, for new connections as well.
func TestANameThatCanNotBeLookedUpKeepsItsAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t)
		m.serve("10.0.0.1:80", says("a"))
		m.name("app.internal", "10.0.0.1")
		r := route("http://app.internal")
		r.Balance.Resolve = 30 * time.Second
		p := poolOn(t, r, m.network())
		get(t, p, nobody)
		m.name("app.internal")
		pass(time.Hour) // kept connections are closed by then
		if got := get(t, p, nobody); got != "a" || len(m.dials()) != 2 {
			t.Errorf("%q", got)
		}
		p.Close()
	})
}

func TestANameThatNeverHadAnAddressIsAFailedConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t)
		r := route("http://app.internal")
		r.Balance.Resolve = 30 * time.Second
		p := poolOn(t, r, m.network())
		a := send(t, p, request(t.Context(), "GET", ""), nobody)
		if _, ok := errors.AsType[*upstream.ConnectError](a.err); !ok {
			t.Error(a.err)
		}
		m.name("app.internal", "10.0.0.1")
		m.serve("10.0.0.1:80", says("a"))
		if got := get(t, p, nobody); got != "a" {
			t.Errorf("%q", got)
		}
		p.Close()
	})
}

// TestANewConnectionAsksForFreshAddresses: an application that was restarted at
// another address is reached at once.
func TestANewConnectionAsksForFreshAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t)
		m.serve("10.0.0.1:80", says("old"))
		m.name("app.internal", "10.0.0.1")
		r := route("http://app.internal")
		r.Balance.Resolve = time.Hour
		p := poolOn(t, r, m.network())
		get(t, p, nobody)
		m.serve("10.0.0.1:80", nil)
		m.serve("10.0.0.2:80", says("new"))
		m.name("app.internal", "10.0.0.2")
		pass(2 * time.Second)
		if got := get(t, p, nobody); got != "new" {
			t.Errorf("%q", got)
		}
		p.Close()
	})
}

// TestAnAddressThatSwallowsPacketsHoldsUpNobody: the next is tried a moment later.
func TestAnAddressThatSwallowsPacketsHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead, live, slow := netip.MustParseAddr("fd00::1"), netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
		var closed []net.Conn
		here, there := net.Pipe()
		late, end := net.Pipe()
		start := time.Now()
		got, err := upstream.DialAny(t.Context(), []netip.Addr{dead, slow, live}, func(ctx context.Context, a netip.Addr) (net.Conn, error) {
			switch a {
			case live:
				return here, nil
			case slow: // it comes through although it was given up
				<-ctx.Done()
				return late, nil
			}
			<-ctx.Done()
			return nil, ctx.Err()
		})
		if err != nil || got != here || time.Since(start) != 500*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if n, err := end.Read(make([]byte, 1)); err == nil { // the late one is closed
			t.Errorf("%d bytes", n)
		}
		closed = append(closed, here, there, end)
		for _, c := range closed {
			_ = c.Close()
		}
	})
}

func TestEveryAddressIsTriedBeforeAConnectFails(t *testing.T) {
	var tried []netip.Addr
	all := []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.3")}
	seen := make(chan netip.Addr, 3)
	_, err := upstream.DialAny(t.Context(), all, func(_ context.Context, a netip.Addr) (net.Conn, error) {
		seen <- a
		return nil, &net.OpError{Op: "dial", Addr: &net.TCPAddr{IP: a.AsSlice()}, Err: errRefused}
	})
	for range all {
		tried = append(tried, <-seen)
	}
	if op, ok := errors.AsType[*net.OpError](err); !ok || op.Addr.String() != "10.0.0.1:0" || !slices.Equal(tried, all) {
		t.Errorf("%v, after %v", err, tried)
	}
}
