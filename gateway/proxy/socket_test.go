package proxy

import (
	"bytes"
	"io"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
)

// tunnel carries bytes between two connections as httputil.ReverseProxy does,
// until one of them ends.
func tunnel(client, app net.Conn) {
	over := make(chan error, 2)
	go func() { _, err := io.Copy(app, client); over <- err }()
	go func() { _, err := io.Copy(client, app); over <- err }()
	<-over
	_ = client.Close()
	_ = app.Close()
	<-over
}

// TestCloseFrameStandsBetweenFrames ends a WebSocket at every kind of moment.
// Nothing is buffered between the parties, and time is virtual.
func TestCloseFrameStandsBetweenFrames(t *testing.T) {
	head := []byte(answerHead)
	goodbye := closeFrame(session.EndSession)
	long := frame(0x82, false, 70000)
	for name, c := range map[string]struct {
		before, after, later []byte // what the application says before the end, just after it, and 100 ms later
		want                 []byte
		atMost               time.Duration
	}{
		"after the head":                      {head, nil, nil, join(head, goodbye), grace},
		"in the head":                         {head[:20], nil, nil, head[:20], frameWait},
		"in the head, which is completed":     {head[:20], join(head[20:], frame(0x81, false, 1)), nil, join(head, goodbye), grace},
		"after a frame":                       {join(head, long), nil, nil, join(head, long, goodbye), grace},
		"in a header":                         {join(head, long[:3]), nil, nil, join(head, long[:3]), frameWait},
		"in a frame that is completed":        {join(head, long[:3]), join(long[3:], long), nil, join(head, long, goodbye), grace},
		"in a frame that is completed slowly": {join(head, long[:3]), long[3:500], long[500:], join(head, long, goodbye), grace + 100*time.Millisecond},
		"between fragments":                   {join(head, frame(0x01, false, 5)), frame(0x80, false, 5), nil, join(head, frame(0x01, false, 5), goodbye), grace},
		"after the application's own end":     {join(head, frame(0x88, false, 2)), nil, nil, join(head, frame(0x88, false, 2)), grace},
		"in the application's own end":        {join(head, frame(0x88, false, 2)[:3]), []byte{0}, nil, join(head, frame(0x88, false, 2)), grace},
		"in what is no WebSocket":             {join(head, []byte("<html>")), nil, nil, join(head, []byte("<html>")), 0},
		"in what turns out to be none":        {join(head, []byte{0x83}), []byte{1, 2}, nil, join(head, []byte{0x83, 1, 2}), frameWait},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				browser, client := net.Pipe()
				upstream, app := net.Pipe()
				s := newSocket(client, upstream)
				over := make(chan struct{})
				go func() { tunnel(s, upstream); close(over) }()
				var got []byte
				read := make(chan struct{})
				go func() { got, _ = io.ReadAll(browser); close(read) }()
				say := func(b []byte) {
					if len(b) > 0 {
						_, _ = app.Write(b) // the gateway may have hung up
					}
					synctest.Wait()
				}
				say(c.before)
				began := time.Now()
				ended := make(chan struct{})
				go func() { s.end(session.EndSession); close(ended) }()
				synctest.Wait()
				say(c.after)
				if c.later != nil {
					<-time.After(100 * time.Millisecond)
					say(c.later)
				}
				<-read
				took := time.Since(began)
				<-ended
				<-over
				if _, err := app.Write([]byte{0}); err == nil {
					t.Error("the application's side is open")
				}
				if !bytes.Equal(got, c.want) {
					t.Errorf("the client got %d bytes, want %d:\n%.80q\n%.80q", len(got), len(c.want), tail(got), tail(c.want))
				}
				if took > c.atMost {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

func join(parts ...[]byte) []byte { return slices.Concat(parts...) }

func tail(b []byte) []byte { return b[max(0, len(b)-60):] }

// TestClientThatReadsNothingIsNotWaitedFor, whatever holds the writer up. A
// writer that waits holds the lock, which stops the virtual clock: this one is
// real.
func TestClientThatReadsNothingIsNotWaitedFor(t *testing.T) {
	for name, before := range map[string][]byte{"idle": nil, "in the middle of a write": []byte(answerHead)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			browser, client := net.Pipe()
			upstream, app := net.Pipe()
			defer browser.Close()
			s := newSocket(client, upstream)
			over := make(chan struct{})
			go func() { tunnel(s, upstream); close(over) }()
			if before != nil {
				if _, err := app.Write(before); err != nil {
					t.Fatal(err)
				}
			}
			began := time.Now()
			s.end(session.EndShutdown)
			<-over
			if took := time.Since(began); took > frameWait+2*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}
