package listener_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/listener"
)

// slow is a handler that begins an answer and ends it when it is told to.
type slow struct {
	begun, finish chan struct{}
}

func newSlow() *slow { return &slow{begun: make(chan struct{}, 10), finish: make(chan struct{})} }

func (s *slow) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/slow" {
		says(w, r)
		return
	}
	s.begun <- struct{}{}
	select {
	case <-s.finish:
		_, _ = io.WriteString(w, "finished")
	case <-r.Context().Done():
	}
}

const getSlow = "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"

func TestRequestsUnderWayFinishWhileNobodyElseGetsIn(t *testing.T) {
	s := newSlow()
	g := serve(t, anywhere(), func(o *listener.Options) { o.Handler = s })
	addr := g.addr(0)
	c := dial(t, addr)
	answer := make(chan string, 1)
	go func() {
		body, _ := ask(t, c, getSlow)
		answer <- body
	}()
	<-s.begun
	ended := make(chan error, 1)
	go func() { ended <- g.Shutdown(context.Background()) }()
	poll(t, "the socket to be closed", func() bool {
		var d net.Dialer
		late, err := d.DialContext(t.Context(), "tcp", addr)
		if err == nil {
			late.Close()
		}
		return err != nil
	})
	select {
	case err := <-ended:
		t.Fatalf("it did not wait: %v", err)
	default:
	}
	close(s.finish)
	if body := <-answer; body != "finished" {
		t.Errorf("the answer is %q", body)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestRequestsThatTakeTooLongAreCutOff(t *testing.T) {
	s := newSlow()
	g := serve(t, anywhere(), func(o *listener.Options) { o.Handler = s })
	c := dial(t, g.addr(0))
	answer := make(chan string, 1)
	go func() {
		body, _ := ask(t, c, getSlow)
		answer <- body
	}()
	<-s.begun
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := g.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it says %v", err)
	}
	if body := <-answer; body != "" {
		t.Errorf("it was answered: %q", body)
	}
}

// TestConnectionThatWasJustMadeIsStillAnswered: net/http closes, without an answer,
// a connection whose first request comes after the end has begun. A client would not
// try again, because the connection was new.
func TestConnectionThatWasJustMadeIsStillAnswered(t *testing.T) {
	g := serve(t, anywhere())
	var conns []net.Conn
	for range 20 {
		conns = append(conns, dial(t, g.addr(0)))
	}
	poll(t, "the connections to be accepted", func() bool { return g.Open() == 20 })
	if err := g.StopListening(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- g.Shutdown(context.Background()) }()
	var clients sync.WaitGroup
	for _, c := range conns {
		clients.Go(func() {
			if body, _ := ask(t, c, get); body == "" {
				t.Error("it was not answered")
			}
		})
	}
	clients.Wait()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestSilentConnectionsDoNotDelayTheEndForLong(t *testing.T) {
	g := serve(t, anywhere())
	dial(t, g.addr(0))
	idle := dial(t, g.addr(0))
	ask(t, idle, get)
	poll(t, "both to be accepted", func() bool { return g.Open() == 2 })
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := g.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if _, err := idle.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("an idle connection: %v", err)
	}
}
