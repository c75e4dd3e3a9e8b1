//go:build e2e && long

package ingress_test

import (
	"testing"
	"time"
)

// TestMinutesOfLoadBehindEveryProxy: with sessions that end, refusals, HEAD, uploads,
// WebSockets and clients that leave, neither the connections to the gateway nor what
// it holds grow, and every request gets the answer that it should.
func TestMinutesOfLoadBehindEveryProxy(t *testing.T) {
	const life, rate = 5 * time.Minute, 60
	for _, name := range fronts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, name, nil, "SALLYPORT_SESSION__IDLE_TIMEOUT=30s", "SALLYPORT_SESSION__ABSOLUTE_TIMEOUT=45s", "SALLYPORT_LOG__LEVEL=warn")
			s.load(t, 20*time.Second, rate)
			before, opened := s.holds(t), s.way.Opened()
			done := make(chan *load, 1)
			go func() { done <- s.load(t, life, rate) }()
			tick := time.NewTicker(30 * time.Second)
			defer tick.Stop()
			var l *load
			for most := 0; l == nil; {
				select {
				case l = <-done:
				case <-tick.C:
					now := s.holds(t)
					most = max(most, now.connections)
					t.Logf("%+v", now)
					if most > before.connections+50 {
						t.Fatalf("%d connections to the gateway instead of %d", now.connections, before.connections)
					}
				}
			}
			after := s.holds(t)
			t.Logf("%s; %d connections to the gateway were opened; before %+v, after %+v", l, s.way.Opened()-opened, before, after)
			if after.connections > before.connections+20 || after.goroutines > before.goroutines+50 || after.files > before.files+50 {
				t.Errorf("it grows: %+v, %+v", before, after)
			}
			if l.expired == 0 || l.requests < int(life/time.Second)*rate/2 {
				t.Errorf("that was no load: %s", l)
			}
		})
	}
}

// holding is what is held at a time.
type holding struct {
	connections       int     // of the proxy to the gateway
	goroutines, files float64 // of the gateway
}

func (s *site) holds(t *testing.T) holding {
	t.Helper()
	return holding{s.way.Connections(), s.metric(t, "go_goroutines"), s.metric(t, "process_open_fds")}
}
