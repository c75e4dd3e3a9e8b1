package listener_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/listener"
)

func TestConnectionsAreBoundedOverAllListenersTogether(t *testing.T) {
	var saturated atomic.Int32
	g := serve(t, config.Server{
		Listeners: []config.Listener{{Name: "a", Listen: "127.0.0.1:0"}, {Name: "b", Listen: "127.0.0.1:0"}},
		Limits:    config.Limits{MaxConnections: 2},
	}, func(o *listener.Options) { o.Saturated = func() { saturated.Add(1) } })
	first, second := dial(t, g.addr(0)), dial(t, g.addr(1))
	ask(t, first, get)
	ask(t, second, get)
	third := dial(t, g.addr(1)) // once the others are in: each listener accepts for itself
	poll(t, "a listener to notice that it is full", func() bool { return saturated.Load() > 0 })
	if n := g.Open(); n != 2 {
		t.Errorf("%d connections are open", n)
	}

	answer := make(chan string, 1)
	go func() {
		body, _ := ask(t, third, get)
		answer <- body
	}()
	select {
	case body := <-answer:
		t.Fatalf("a third connection was answered: %s", body)
	default:
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if body := <-answer; body == "" {
		t.Error("the third was not answered when there was room")
	}
}

// TestFullListenersEnd: a listener that waits for room is closed like any other.
func TestFullListenersEnd(t *testing.T) {
	full := make(chan struct{}, 10)
	g := serve(t, config.Server{Listen: "127.0.0.1:0", Limits: config.Limits{MaxConnections: 1}},
		func(o *listener.Options) { o.Saturated = func() { full <- struct{}{} } })
	ask(t, dial(t, g.addr(0)), get)
	dial(t, g.addr(0))
	<-full
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := g.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

func TestHTTP2WithoutTLSNeedsPriorKnowledge(t *testing.T) {
	g := serve(t, anywhere())
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	client := &http.Client{Timeout: patience, Transport: &http.Transport{Protocols: &protocols}}
	defer client.CloseIdleConnections()
	res, err := client.Get("http://" + g.addr(0) + "/grpc")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if !strings.HasPrefix(string(body), "HTTP/2.0 /grpc from 127.0.0.1:") {
		t.Errorf("it says %s", body)
	}

	// An upgrade is not taken: it is answered as the HTTP/1.1 that it is.
	c := dial(t, g.addr(0))
	text, header := ask(t, c, "GET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n")
	if !strings.HasPrefix(text, "HTTP/1.1 /x") || header.Get("Upgrade") != "" {
		t.Errorf("an upgrade was answered with %q, %v", text, header)
	}
}
