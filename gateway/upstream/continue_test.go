package upstream_test

import (
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/upstream"
)

// next is the Pool of a route that goes on with another one's knowledge. It runs no
// checks, so what it knows is that.
func next(t *testing.T, r config.Route, m *memory, former *upstream.Pool) *upstream.Pool {
	t.Helper()
	p, err := upstream.New(upstream.Options{Route: r, Connections: m.network()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	p.Continue(former)
	return p
}

func TestAnotherPoolGoesOnWithWhatIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t)
		var status atomic.Int64
		status.Store(http.StatusServiceUnavailable)
		p := failing(t, m, &status, config.Ejection{Failures: 3, Duration: 10 * time.Second})
		ask(t, p, 20)
		pass(4 * time.Second)

		m.serve("10.0.0.3:80", says("b"))
		r := route("http://10.0.0.3", "http://10.0.0.1")
		r.Balance.Ejection = config.Ejection{Failures: 3, Duration: 10 * time.Second}
		q := next(t, r, m, p)
		if s := of(q, "http://10.0.0.1"); s.Fit || s.Ejections != 1 || time.Until(s.EjectedUntil) != 6*time.Second {
			t.Errorf("the one that stays: %+v", s)
		}
		if s := of(q, "http://10.0.0.3"); !s.Fit || s.Ejections != 0 {
			t.Errorf("the new one: %+v", s)
		}
		if got := ask(t, q, 10); got != 0 {
			t.Errorf("it got %d requests while it is out", got)
		}
		pass(6 * time.Second)
		synctest.Wait()
		if got := ask(t, q, 20); got != 3 {
			t.Errorf("it got %d requests afterwards, want the 3 that it fails", got)
		}
		if got := time.Until(of(q, "http://10.0.0.1").EjectedUntil); got != 20*time.Second {
			t.Errorf("the second time it is out for %v, want longer than the first", got)
		}

		// Alone, it gets requests: nothing worse is known of it.
		r.Upstream = []string{"http://10.0.0.1"}
		if got := ask(t, next(t, r, m, q), 5); got != 5 {
			t.Errorf("alone it got %d of 5", got)
		}
		// Where nobody is ejected any more, neither is this one.
		r.Upstream, r.Balance.Ejection = []string{"http://10.0.0.1", "http://10.0.0.3"}, config.Ejection{}
		if s := of(next(t, r, m, q), "http://10.0.0.1"); !s.Fit || !s.EjectedUntil.IsZero() {
			t.Errorf("without ejection: %+v", s)
		}
	})
}

func TestHealthIsKnownToAnotherPoolThatAsksInTheSameWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t)
		m.serve("10.0.0.1:80", answers(http.StatusInternalServerError))
		m.serve("10.0.0.2:80", says("b"))
		r := route("http://10.0.0.1", "http://10.0.0.2")
		r.Balance.Health = checks()
		p := poolOn(t, r, m.network())
		synctest.Wait()
		if s := of(p, "http://10.0.0.1"); s.Healthy {
			t.Fatalf("%+v", s)
		}
		r.Upstream = append(r.Upstream, "http://10.0.0.3")
		if s := of(next(t, r, m, p), "http://10.0.0.1"); s.Healthy || s.Fit || s.CheckStatus != http.StatusInternalServerError {
			t.Errorf("the same checks: %+v", s)
		}
		for name, change := range map[string]func(*config.Route){
			"another path":   func(r *config.Route) { r.Balance.Health.Path = "/other" },
			"another host":   func(r *config.Route) { r.Host = "app.test" },
			"another status": func(r *config.Route) { r.Balance.Health.Status = []int{500} },
		} {
			r := r
			change(&r)
			if s := of(next(t, r, m, p), "http://10.0.0.1"); !s.Healthy || !s.Checked.IsZero() {
				t.Errorf("%s: %+v", name, s)
			}
		}
	})
}

// TestVisitorsStayWhereTheyWere when an upstream comes or goes, but for those whose
// upstream it is.
func TestVisitorsStayWhereTheyWere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t)
		for _, name := range []string{"1", "2", "3"} {
			m.serve("10.0.0."+name+":80", says(name))
		}
		r := route("http://10.0.0.1", "http://10.0.0.2")
		r.Balance.Sticky = true
		p := poolOn(t, r, m.network())
		r.Upstream = slices.Insert(slices.Clone(r.Upstream), 0, "http://10.0.0.3")
		q := poolOn(t, r, m.network())
		q.Continue(p)
		moved := 0
		for n := range 90 {
			was, is := get(t, p, session(n)), get(t, q, session(n))
			if was != is {
				moved++
				if is != "3" {
					t.Errorf("a visitor of %s is now at %s, which was there before", was, is)
				}
			}
		}
		if moved == 0 || moved > 50 {
			t.Errorf("%d of 90 have moved", moved)
		}
	})
}
