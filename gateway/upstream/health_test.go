package upstream_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/upstream"
)

// checks are checks once a second, quick to decide.
func checks() config.HealthCheck {
	return config.HealthCheck{Path: "/healthz", Interval: time.Second, Timeout: 500 * time.Millisecond, Healthy: 2, Unhealthy: 3}
}

// mood is an application that is as well as one wishes.
type mood struct{ status atomic.Int64 }

func (m *mood) serve(name string) http.HandlerFunc {
	m.status.Store(http.StatusOK)
	return func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/healthz") {
			switch s := int(m.status.Load()); s {
			case 0:
				<-r.Context().Done() // no answer
			default:
				w.WriteHeader(s)
			}
			return
		}
		says(name)(w, r)
	}
}

// TestAnUpstreamThatIsNotWellGetsNoRequests until it is well again; one bad or
// good check turns nothing.
func TestAnUpstreamThatIsNotWellGetsNoRequests(t *testing.T) {
	for what, bad := range map[string]int{"status": 500, "timeout": 0} {
		synctest.Test(t, func(t *testing.T) {
			m := newMemory(t)
			var a, b mood
			m.serve("10.0.0.1:80", a.serve("a"))
			m.serve("10.0.0.2:80", b.serve("b"))
			r := route("http://10.0.0.1", "http://10.0.0.2")
			r.Balance.Health = checks()
			p := poolOn(t, r, m.network())
			both := func() bool {
				first := get(t, p, nobody)
				return get(t, p, nobody) != first
			}
			synctest.Wait()

			a.status.Store(int64(bad))
			pass(2200 * time.Millisecond)
			if !both() {
				t.Error("fewer bad checks than it takes were enough")
			}
			pass(3 * time.Second)
			if both() || get(t, p, nobody) != "b" || of(p, "http://10.0.0.1").Check != what {
				t.Errorf("it still gets requests: %+v", p.Status())
			}
			a.status.Store(http.StatusNoContent)
			pass(900 * time.Millisecond)
			if both() {
				t.Error("one good check was enough")
			}
			pass(2 * time.Second)
			if !both() {
				t.Errorf("it gets no requests: %+v", p.Status())
			}
		})
	}
}

// TestTheFirstCheckDecidesAlone: a gateway that starts must not send requests to
// what is down.
func TestTheFirstCheckDecidesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t)
		m.serve("10.0.0.1:80", answers(http.StatusServiceUnavailable))
		m.serve("10.0.0.2:80", says("b"))
		r := route("http://10.0.0.1", "http://10.0.0.2", "http://10.0.0.3")
		r.Balance.Health = checks()
		p := poolOn(t, r, m.network())
		synctest.Wait()
		for range 6 {
			if got := get(t, p, nobody); got != "b" {
				t.Errorf("%q", got)
			}
		}
		if got := of(p, "http://10.0.0.3"); got.Check != "unreachable" || got.Healthy || got.Fit {
			t.Errorf("%+v", got)
		}
	})
}

func TestWhereNoUpstreamIsWellNothingIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t)
		var a mood
		m.serve("10.0.0.1:80", a.serve("a"))
		a.status.Store(http.StatusServiceUnavailable)
		r := route("http://10.0.0.1")
		r.Balance.Health = checks()
		p := poolOn(t, r, m.network())
		synctest.Wait()
		got := send(t, p, request(t.Context(), "GET", ""), nobody)
		if !errors.Is(got.err, upstream.ErrNoUpstream) {
			t.Errorf("%+v", got)
		}
	})
}

func TestAHealthCheckIsAskedAsConfigured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t)
		seen := make(chan *http.Request, 10)
		m.serve("10.0.0.1:80", func(w http.ResponseWriter, r *http.Request) {
			seen <- r
			w.WriteHeader(http.StatusTeapot)
		})
		r := route("http://10.0.0.1")
		r.Host = "app.internal"
		r.Balance.Health = checks()
		r.Balance.Health.Path, r.Balance.Health.Status = "/healthz?full=%41;1", []int{http.StatusTeapot}
		p := poolOn(t, r, m.network())
		got := <-seen
		if got.RequestURI != "/healthz?full=%41;1" || got.Host != "app.internal" || got.Method != "GET" || got.UserAgent() != "sallyport-health" {
			t.Errorf("%s %s of %s by %s", got.Method, got.RequestURI, got.Host, got.UserAgent())
		}
		synctest.Wait()
		if s := of(p, "http://10.0.0.1"); !s.Healthy || s.CheckStatus != http.StatusTeapot || s.Checked.IsZero() {
			t.Errorf("%+v", s)
		}
	})
}

// failing are two applications, of which the first answers with a status.
func failing(t *testing.T, m *memory, status *atomic.Int64, e config.Ejection) *upstream.Pool {
	t.Helper()
	m.serve("10.0.0.1:80", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(status.Load())) })
	m.serve("10.0.0.2:80", says("b"))
	r := route("http://10.0.0.1", "http://10.0.0.2")
	r.Balance.Ejection = e
	return poolOn(t, r, m.network())
}

// ask sends n requests, and returns how many of them the first of two upstreams
// got, which answers without a body.
func ask(t *testing.T, p *upstream.Pool, n int) (first int) {
	t.Helper()
	for range n {
		if get(t, p, nobody) != "b" {
			first++
		}
	}
	return first
}

func TestAnUpstreamThatFailsRequestsIsLeftOutForAWhile(t *testing.T) {
	for _, bad := range []int64{502, 503, 504} {
		synctest.Test(t, func(t *testing.T) {
			var status atomic.Int64
			status.Store(bad)
			p := failing(t, newMemory(t), &status, config.Ejection{Failures: 3, Duration: 10 * time.Second})
			if got := ask(t, p, 100); got != 3 {
				t.Errorf("it got %d requests, want the 3 that it failed", got)
			}
			if s := of(p, "http://10.0.0.1"); s.Ejections != 1 || s.Fit || time.Until(s.EjectedUntil) != 10*time.Second {
				t.Errorf("%+v", s)
			}
			for _, out := range []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second} { // longer each time
				pass(out - time.Second)
				if got := ask(t, p, 10); got != 0 {
					t.Errorf("it got %d requests before %v", got, out)
				}
				pass(time.Second)
				synctest.Wait()
				if got := ask(t, p, 20); got != 3 {
					t.Errorf("it got %d requests after %v, want the 3 that it fails", got, out)
				}
			}
			pass(80 * time.Second)
			synctest.Wait()
			status.Store(200)
			pass(80 * time.Second) // well for as long as it was out: it begins anew
			status.Store(bad)
			ask(t, p, 20)
			if got := time.Until(of(p, "http://10.0.0.1").EjectedUntil); got != 10*time.Second {
				t.Errorf("it is out for %v", got)
			}
		})
	}
}

func TestWhatIsNoFailureEjectsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var status atomic.Int64
		m := newMemory(t)
		p := failing(t, m, &status, config.Ejection{Failures: 1, Duration: time.Minute})
		for _, fine := range []int64{200, 404, 429, 500, 501} {
			status.Store(fine)
			if got := ask(t, p, 10); got != 5 {
				t.Errorf("%d: it got %d of 10 requests", fine, got)
			}
		}
		hang := make(chan struct{})
		m.serve("10.0.0.1:80", func(http.ResponseWriter, *http.Request) { <-hang })
		m.serve("10.0.0.2:80", func(http.ResponseWriter, *http.Request) { <-hang })
		for range 4 { // a client that leaves
			ctx, leave := context.WithCancel(t.Context())
			go func() { pass(time.Second); leave() }()
			send(t, p, request(ctx, "GET", ""), nobody)
		}
		for range 4 { // a client whose upload breaks off
			r := request(t.Context(), "POST", "x")
			r.Body, r.ContentLength = brokenUpload{}, 10
			if a := send(t, p, r, nobody); a.err == nil {
				t.Error("it was answered")
			}
		}
		close(hang)
		for _, u := range p.Status().Upstreams {
			if u.Ejections != 0 || u.Failures != 0 {
				t.Errorf("%+v", u)
			}
		}
	})
}

type brokenUpload struct{}

func (brokenUpload) Read([]byte) (int, error) { return 0, errors.New("unexpected EOF of the client") }
func (brokenUpload) Close() error             { return nil }

func TestFailuresCountInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var status atomic.Int64
		p := failing(t, newMemory(t), &status, config.Ejection{Failures: 3, Duration: time.Minute})
		for range 5 {
			status.Store(503)
			ask(t, p, 4)
			status.Store(200)
			ask(t, p, 2)
		}
		if s := of(p, "http://10.0.0.1"); s.Ejections != 0 || s.Failures != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestTheLastUpstreamIsNeverEjected, nor is the only one: a failing answer is
// better than none.
func TestTheLastUpstreamIsNeverEjected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t)
		all := []string{"http://10.0.0.1", "http://10.0.0.2", "http://10.0.0.3"}
		for _, a := range []string{"10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"} {
			m.serve(a, answers(http.StatusServiceUnavailable))
		}
		for n := 1; n <= 3; n++ {
			r := route(all[:n]...)
			r.Balance.Ejection = config.Ejection{Failures: 2, Duration: time.Hour}
			p := poolOn(t, r, m.network())
			for range 30 {
				if a := send(t, p, request(t.Context(), "GET", ""), nobody); a.status != http.StatusServiceUnavailable {
					t.Errorf("of %d: %+v", n, a)
				}
			}
			fit := 0
			for _, u := range p.Status().Upstreams {
				if u.Fit {
					fit++
				}
			}
			if fit != 1 {
				t.Errorf("of %d, %d get requests", n, fit)
			}
		}
	})
}

// TestEjectedUpstreamsServeWhenTheOthersAreNotWell: that one failed requests
// lately is less than that the others say of themselves.
func TestEjectedUpstreamsServeWhenTheOthersAreNotWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t)
		var a, b mood
		serving := a.serve("a")
		m.serve("10.0.0.1:80", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" && r.Header.Get("Fail") != "" {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			serving(w, r)
		})
		m.serve("10.0.0.2:80", b.serve("b"))
		r := route("http://10.0.0.1", "http://10.0.0.2")
		r.Balance.Health, r.Balance.Ejection = checks(), config.Ejection{Failures: 1, Duration: time.Hour}
		p := poolOn(t, r, m.network())
		synctest.Wait()
		for range 2 {
			bad := request(t.Context(), "GET", "")
			bad.Header.Set("Fail", "1")
			send(t, p, bad, nobody)
		}
		if got := ask(t, p, 2); got != 0 {
			t.Fatal("it was not ejected")
		}
		b.status.Store(http.StatusInternalServerError)
		pass(5 * time.Second)
		if got := []string{get(t, p, nobody), get(t, p, nobody)}; !slices.Equal(got, []string{"a", "a"}) {
			t.Errorf("requests went to %v", got)
		}
	})
}
