package http1_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"
)

func TestIdleConnectionsAreClosedInTime(t *testing.T) {
	app := serve(t, answers(ok))
	o := options(app.addr)
	o.IdleTimeout = 50 * time.Millisecond
	tr := transport(t, o)
	body(t, tr, get(t.Context(), "/"))
	within(t, "the end of the idle connection", app.closed)
}

func TestNoMoreConnectionsAreKeptThanMayBe(t *testing.T) {
	all := make(chan struct{})
	var waiting sync.WaitGroup
	waiting.Add(3)
	app := serve(t, func(c net.Conn, _ string) bool {
		waiting.Done()
		<-all
		return answers(ok)(c, "")
	})
	o := options(app.addr)
	o.MaxIdle = 1
	tr := transport(t, o)
	var running sync.WaitGroup
	for range 3 {
		running.Go(func() { body(t, tr, get(t.Context(), "/")) })
	}
	waiting.Wait()
	close(all)
	running.Wait()
	for range 2 {
		within(t, "the end of what is too many", app.closed)
	}
	tr.CloseIdleConnections()
	within(t, "the end of the last", app.closed)
}

// TestARequestUnderWayKeepsNoConnectionThatIsToBeClosed: whoever closes the idle ones
// means to use none of them again.
func TestARequestUnderWayKeepsNoConnectionThatIsToBeClosed(t *testing.T) {
	asked, goOn := make(chan struct{}), make(chan struct{})
	app := serve(t, func(c net.Conn, _ string) bool {
		close(asked)
		<-goOn
		return answers(ok)(c, "")
	})
	tr := transport(t, options(app.addr))
	answered := make(chan string, 1)
	go func() { answered <- body(t, tr, get(t.Context(), "/")) }()
	<-asked
	tr.CloseIdleConnections()
	close(goOn)
	if got := within(t, "the answer", answered); got != "ok" {
		t.Errorf("the answer is %q", got)
	}
	within(t, "the end of the connection", app.closed)
}

// TestWhatCanNotBeLookedAtIsUsedOnce: nobody could tell whose the next bytes are.
func TestWhatCanNotBeLookedAtIsUsedOnce(t *testing.T) {
	app := serve(t, answers(ok))
	o := options(app.addr)
	dial := o.Dial
	o.Dial = func(ctx context.Context) (net.Conn, error) {
		c, err := dial(ctx)
		return struct{ net.Conn }{c}, err
	}
	tr := transport(t, o)
	for n := range int64(3) {
		if got := body(t, tr, get(t.Context(), "/")); got != "ok" || app.connections.Load() != n+1 {
			t.Errorf("the answer is %q, over connection %d", got, app.connections.Load())
		}
		within(t, "the end of the connection", app.closed)
	}
}
