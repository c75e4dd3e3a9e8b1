package upstream_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/upstream"
)

// three are applications that say their names, at addresses without a name.
func three(t testing.TB) (*memory, config.Route) {
	t.Helper()
	m := newMemory(t)
	m.serve("10.0.0.1:80", says("a"))
	m.serve("10.0.0.2:80", says("b"))
	m.serve("10.0.0.3:80", says("c"))
	return m, route("http://10.0.0.1", "http://10.0.0.2", "http://10.0.0.3")
}

func TestRoundRobinTakesTurns(t *testing.T) {
	m, r := three(t)
	p := poolOn(t, r, m.network())
	var got []string
	for range 6 {
		got = append(got, get(t, p, nobody))
	}
	if want := []string{"a", "b", "c", "a", "b", "c"}; !slices.Equal(got, want) {
		t.Errorf("requests went to %v, want %v", got, want)
	}
}

func TestLeastLoadedSpreadsOverAll(t *testing.T) {
	m, r := three(t)
	r.Balance.Method = config.BalanceLeastLoaded
	p := poolOn(t, r, m.network())
	got := map[string]int{}
	for range 600 {
		got[get(t, p, nobody)]++
	}
	for _, name := range []string{"a", "b", "c"} {
		if got[name] < 100 {
			t.Errorf("of 600 requests %v", got)
		}
	}
}

// TestLeastLoadedSparesAnUpstreamThatDoesNotAnswer: one that holds its requests
// gets one, where turns would give it a third of them.
func TestLeastLoadedSparesAnUpstreamThatDoesNotAnswer(t *testing.T) {
	for method, most := range map[string]int64{config.BalanceLeastLoaded: 1, config.BalanceRoundRobin: 20} {
		m, r := three(t)
		r.Balance.Method = method
		held, free := make(chan struct{}, 100), make(chan struct{})
		m.serve("10.0.0.2:80", func(http.ResponseWriter, *http.Request) { held <- struct{}{}; <-free })
		p := poolOn(t, r, m.network())
		answered := make(chan answer, 60)
		waiting := 0
		for range 60 {
			go func() { answered <- send(t, p, request(t.Context(), "GET", ""), nobody) }()
			select {
			case <-held:
				waiting++
			case a := <-answered:
				if a.err != nil {
					t.Fatal(a.err)
				}
			}
		}
		if int64(waiting) > most || method == config.BalanceRoundRobin && int64(waiting) != most {
			t.Errorf("%s: %d of 60 requests went to the upstream that does not answer", method, waiting)
		}
		if got := inFlight(p, "http://10.0.0.2"); got != int64(waiting) {
			t.Errorf("%s: %d are in flight, want %d", method, got, waiting)
		}
		close(free)
		for range waiting {
			<-answered
		}
		poll(t, "nothing in flight", func() bool { return inFlight(p, "http://10.0.0.2") == 0 })
	}
}

func inFlight(p *upstream.Pool, url string) int64 { return of(p, url).InFlight }

func of(p *upstream.Pool, url string) upstream.EndpointStatus {
	for _, u := range p.Status().Upstreams {
		if u.Upstream == url {
			return u
		}
	}
	return upstream.EndpointStatus{}
}

// TestAnUpstreamThatDiesMovesOnlyItsOwnSessions, and every gateway finds the same
// one for a session.
func TestAnUpstreamThatDiesMovesOnlyItsOwnSessions(t *testing.T) {
	m, r := three(t)
	r.Balance.Sticky = true
	r.Balance.Ejection = config.Ejection{Failures: 1, Duration: patience}
	p, other := poolOn(t, r, m.network()), poolOn(t, r, m.network())
	const sessions = 300
	home, share := make([]string, sessions), map[string]int{}
	for i := range sessions {
		home[i] = get(t, p, session(i))
		share[home[i]]++
		if again, elsewhere := get(t, p, session(i)), get(t, other, session(i)); again != home[i] || elsewhere != home[i] {
			t.Fatalf("a session went to %s, then to %s, and by another gateway to %s", home[i], again, elsewhere)
		}
	}
	for _, name := range []string{"a", "b", "c"} {
		if share[name] < sessions/6 {
			t.Errorf("%d sessions are spread as %v", sessions, share)
		}
	}

	m.serve("10.0.0.2:80", nil)
	moved := map[string]int{}
	for i := range sessions {
		now := get(t, p, session(i))
		switch {
		case home[i] != "b" && now != home[i]:
			t.Errorf("a session moved from %s to %s, though that lives", home[i], now)
		case home[i] == "b":
			moved[now]++
		}
	}
	if moved["a"] == 0 || moved["c"] == 0 {
		t.Errorf("the sessions of the dead one went to %v", moved)
	}
}

func TestWithoutASessionNothingSticks(t *testing.T) {
	m, r := three(t)
	r.Balance.Sticky = true
	p := poolOn(t, r, m.network())
	got := map[string]bool{}
	for range 3 {
		got[get(t, p, nobody)] = true
	}
	if len(got) != 3 {
		t.Errorf("three requests went to %v", got)
	}
}
