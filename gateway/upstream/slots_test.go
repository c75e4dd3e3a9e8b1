package upstream_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/gateway/upstream"
)

// TestAnUpstreamHasNoMoreRequestsThanItMay, however many come at once; all are
// served in the end.
func TestAnUpstreamHasNoMoreRequestsThanItMay(t *testing.T) {
	const limit, requests = 3, 60
	var now, most atomic.Int64
	at := func(w http.ResponseWriter, _ *http.Request) {
		n := now.Add(1)
		for {
			seen := most.Load()
			if n <= seen || most.CompareAndSwap(seen, n) {
				break
			}
		}
		_ = http.NewResponseController(w).Flush()
		_, _ = io.WriteString(w, "done")
		now.Add(-1)
	}
	for _, sticky := range []bool{false, true} {
		most.Store(0)
		a := newApp(t, at)
		r := route(a.URL)
		r.Balance.MaxConnections, r.Balance.Sticky, r.Timeouts.Connect = limit, sticky, patience
		p := pool(t, r)
		ended := make(chan answer)
		for i := range requests {
			go func() { ended <- send(t, p, request(t.Context(), "GET", ""), session(i)) }()
		}
		for range requests {
			if a := <-ended; a.err != nil || a.body != "done" {
				t.Error(a)
			}
		}
		if got := most.Load(); got > limit || got == 0 {
			t.Errorf("%d requests were there at a time", got)
		}
		if got := inFlight(p, a.URL); got != 0 {
			t.Errorf("%d are in flight", got)
		}
	}
}

func limited(t *testing.T, m *memory, limit int, upstreams ...string) *upstream.Pool {
	t.Helper()
	r := route(upstreams...)
	r.Balance.MaxConnections = limit
	return poolOn(t, r, m.network())
}

func TestARequestWaitsForItsTurnAndNoLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t)
		free := make(chan struct{})
		m.serve("10.0.0.1:80", func(http.ResponseWriter, *http.Request) { <-free })
		p := limited(t, m, 1, "http://10.0.0.1")
		first, second := make(chan answer), make(chan answer)
		go func() { first <- send(t, p, request(t.Context(), "GET", ""), nobody) }()
		synctest.Wait()
		start := time.Now()

		a := send(t, p, request(t.Context(), "GET", ""), nobody)
		if busy, ok := errors.AsType[*upstream.BusyError](a.err); !ok || busy.Limit != 1 || time.Since(start) != 5*time.Second {
			t.Errorf("%v after %v", a.err, time.Since(start))
		}
		if p.Status().Busy != 1 {
			t.Errorf("%d requests were refused", p.Status().Busy)
		}

		ctx, leave := context.WithTimeout(t.Context(), time.Second)
		defer leave()
		if a := send(t, p, request(ctx, "GET", ""), nobody); !errors.Is(a.err, context.DeadlineExceeded) {
			t.Errorf("a client that leaves: %v", a.err)
		}

		go func() { second <- send(t, p, request(t.Context(), "GET", ""), nobody) }()
		synctest.Wait()
		close(free)
		if a, b := <-first, <-second; a.err != nil || b.err != nil {
			t.Errorf("%v, %v", a.err, b.err)
		}
	})
}

// TestTheFirstThatWaitsIsServedFirst.
func TestTheFirstThatWaitsIsServedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t)
		step := make(chan struct{})
		m.serve("10.0.0.1:80", func(http.ResponseWriter, *http.Request) { <-step })
		p := limited(t, m, 1, "http://10.0.0.1")
		order := make(chan int, 10)
		for i := range 5 {
			go func() {
				send(t, p, request(t.Context(), "GET", ""), nobody)
				order <- i
			}()
			synctest.Wait()
		}
		for want := range 5 {
			step <- struct{}{}
			if got := <-order; got != want {
				t.Errorf("request %d was served in the place of %d", got, want)
			}
		}
	})
}

// TestAFullUpstreamLosesItsTurn to one that has room.
func TestAFullUpstreamLosesItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t)
		free := make(chan struct{})
		m.serve("10.0.0.1:80", func(http.ResponseWriter, *http.Request) { <-free })
		m.serve("10.0.0.2:80", says("b"))
		p := limited(t, m, 1, "http://10.0.0.1", "http://10.0.0.2")
		first := make(chan answer)
		go func() { first <- send(t, p, request(t.Context(), "GET", ""), nobody) }()
		synctest.Wait()
		for range 4 {
			if got := get(t, p, nobody); got != "b" {
				t.Errorf("%q", got)
			}
		}
		close(free)
		<-first
	})
}

// TestASessionWaitsForItsOwnUpstream, though another has room: its state is there.
func TestASessionWaitsForItsOwnUpstream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, r := three(t)
		r.Balance.Sticky, r.Balance.MaxConnections = true, 1
		p := poolOn(t, r, m.network())
		home := get(t, p, session(1))
		address := map[string]string{"a": "10.0.0.1:80", "b": "10.0.0.2:80", "c": "10.0.0.3:80"}[home]
		free := make(chan struct{})
		m.serve(address, func(w http.ResponseWriter, r *http.Request) { <-free; says(home)(w, r) })
		ended := make(chan answer, 2)
		for range 2 {
			go func() { ended <- send(t, p, request(t.Context(), "GET", ""), session(1)) }()
			synctest.Wait()
		}
		close(free)
		for range 2 {
			if a := <-ended; a.body != home {
				t.Errorf("%+v, want %s", a, home)
			}
		}
	})
}

// TestASlotIsHeldUntilTheAnswerIsRead, and by a connection that switched protocols
// until it is closed.
func TestASlotIsHeldUntilTheAnswerIsRead(t *testing.T) {
	a := newApp(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			_, _ = io.WriteString(w, "an answer")
			return
		}
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "websocket")
		w.WriteHeader(http.StatusSwitchingProtocols)
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		got, err := io.ReadAll(c) // until the other side says no more
		if err != nil {
			t.Error(err)
		}
		_, _ = c.Write(append(got, " yourself"...))
	})
	r := route(a.URL)
	r.Balance.MaxConnections = 10
	p := pool(t, r)

	res, err := p.RoundTrip(request(t.Context(), "GET", ""), nobody)
	if err != nil || inFlight(p, a.URL) != 1 {
		t.Fatalf("%v, %d in flight", err, inFlight(p, a.URL))
	}
	for range 2 { // closing twice frees one slot
		_ = res.Body.Close()
		if got := inFlight(p, a.URL); got != 0 {
			t.Errorf("%d are in flight when the answer was closed", got)
		}
	}

	up := request(t.Context(), "GET", "")
	up.Header.Set("Connection", "Upgrade")
	up.Header.Set("Upgrade", "websocket")
	if res, err = p.RoundTrip(up, nobody); err != nil {
		t.Fatal(err)
	}
	both, ok := res.Body.(io.ReadWriteCloser)
	if !ok {
		t.Fatalf("the body is a %T, which can't be written to", res.Body)
	}
	if _, err := io.WriteString(both, "hello"); err != nil {
		t.Fatal(err)
	}
	if err := both.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(both); err != nil || string(got) != "hello yourself" {
		t.Errorf("%q, %v", got, err)
	}
	if got := inFlight(p, a.URL); got != 1 {
		t.Errorf("%d are in flight while the connection is open", got)
	}
	_ = both.Close()
	if got := inFlight(p, a.URL); got != 0 {
		t.Errorf("%d are in flight when the connection was closed", got)
	}
}

// TestThoseWhoWaitForAnUpstreamThatDiesLookElsewhere.
func TestThoseWhoWaitForAnUpstreamThatDiesLookElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, r := three(t)
		r.Balance.Sticky, r.Balance.MaxConnections = true, 1
		r.Balance.Health = checks()
		p := poolOn(t, r, m.network())
		synctest.Wait()
		home := get(t, p, session(1))
		address := map[string]string{"a": "10.0.0.1:80", "b": "10.0.0.2:80", "c": "10.0.0.3:80"}[home]
		free := make(chan struct{})
		m.serve(address, func(_ http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/healthz" {
				panic(http.ErrAbortHandler)
			}
			<-free
		})
		ended := make(chan answer, 2)
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			go func() { ended <- send(t, p, request(ctx, "GET", ""), session(1)) }()
			synctest.Wait()
		}
		if a := <-ended; a.err != nil || a.body == home {
			t.Errorf("%+v, want an answer of another than %s", a, home)
		}
		close(free)
		<-ended
	})
}
