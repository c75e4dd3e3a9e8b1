package authorizer_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/policy"
	"github.com/sallyport/sallyport/policy/authorizer"
)

// after waits in the time of the test.
func after(d time.Duration) { <-time.After(d) }

func TestAnAnswerCountsForItsTimeAndNoLonger(t *testing.T) {
	for name, tt := range map[string]struct {
		cache time.Duration
		slow  time.Duration // until the service answers
		every time.Duration
		times int
		asked int
	}{
		"without a cache":                     {0, 0, 0, 10, 10},
		"within the time":                     {5 * time.Second, 0, time.Second, 5, 1},
		"at the very end":                     {5 * time.Second, 0, time.Second, 6, 2},
		"again and again":                     {5 * time.Second, 0, time.Second, 16, 4},
		"from when the question was sent":     {time.Second, 600 * time.Millisecond, 500 * time.Millisecond, 2, 2},
		"an answer that is too old when late": {500 * time.Millisecond, 600 * time.Millisecond, 0, 3, 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newService(t)
				s.Script(func(w http.ResponseWriter, _ *http.Request) {
					after(tt.slow)
					_, _ = io.WriteString(w, `{"result": true}`)
				})
				c := s.client(t, remembering(tt.cache))
				for range tt.times {
					if got := asks(t, c, alice()); got != "allow" {
						t.Fatal(got)
					}
					after(tt.every)
				}
				if n := len(s.Asked()); n != tt.asked {
					t.Errorf("asked %d times, want %d", n, tt.asked)
				}
			})
		})
	}
}

func TestOnlyAnswersAreRemembered(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		body   string
		want   string
		asked  int
	}{
		"yes":                {200, `{"result": true}`, "allow", 1},
		"no":                 {200, `{"result": false}`, "deny", 1},
		"undefined":          {200, `{}`, "deny", 1},
		"a sign-in":          {200, `{"result": {"allow": false, "step_up": {"acr": ["phrh"]}}}`, "step_up", 1},
		"no answer":          {200, `{"result": 1}`, policy.ReasonPolicyError, 3},
		"too long an answer": {200, strings.Repeat(" ", 65<<10), policy.ReasonPolicyError, 3},
		"an outage":          {500, `{"result": true}`, outage, 3},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			s.Says(tt.status, tt.body)
			c := s.client(t, remembering(time.Minute))
			for range 3 {
				if got := asks(t, c, alice()); got != tt.want {
					t.Errorf("%s, want %s", got, tt.want)
				}
			}
			if n := len(s.Asked()); n != tt.asked {
				t.Errorf("asked %d times, want %d", n, tt.asked)
			}
		})
	}
}

// TestARememberedSignInIsJudgedAtItsTime: what was recent enough to be refused for
// another reason is not any more, and who has signed in is another question.
func TestARememberedSignInIsJudgedAtItsTime(t *testing.T) {
	s := newService(t)
	s.Says(http.StatusOK, `{"result": {"allow": false, "step_up": {"max_age": 60}}}`)
	c := s.client(t, remembering(time.Minute))
	at := alice().Identity.AuthTime
	for _, tt := range []struct {
		age  time.Duration
		want string
	}{{2 * time.Minute, "step_up"}, {30 * time.Second, "deny"}, {61 * time.Second, "step_up"}} {
		in := alice()
		in.Now = at.Add(tt.age)
		if got := asks(t, c, in); got != tt.want {
			t.Errorf("%s after the sign-in: %s, want %s", tt.age, got, tt.want)
		}
	}
	if n := len(s.Asked()); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestTwoPoliciesNeverShareAnAnswer(t *testing.T) {
	s := newService(t)
	s.Rule("yes", func(map[string]any) (any, error) { return true, nil })
	s.Rule("no", func(map[string]any) (any, error) { return false, nil })
	for path, want := range map[string]string{"yes": "allow", "no": "deny"} {
		c := s.client(t, func(o *authorizer.Options) { o.Cache, o.URL = time.Minute, "http://opa.test/v1/data/"+path })
		for range 2 {
			if got := asks(t, c, alice()); got != want {
				t.Errorf("%s: %s", path, got)
			}
		}
	}
}

func TestManyWhoAskTheSameAreOneQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t)
		s.Script(func(w http.ResponseWriter, _ *http.Request) {
			after(500 * time.Millisecond)
			_, _ = io.WriteString(w, `{"result": true}`)
		})
		c := s.client(t, remembering(5*time.Second))

		// The first client, whose request began it, goes away at once.
		first, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := set(t, c).Evaluate(first, alice()); !errors.Is(err, context.Canceled) {
				t.Errorf("the client that went away got %v", err)
			}
		})
		synctest.Wait()
		var passed atomic.Int64
		for range 200 {
			all.Go(func() {
				if d, err := set(t, c).Evaluate(t.Context(), alice()); err == nil && d.Effect == policy.Allow {
					passed.Add(1)
				}
			})
		}
		synctest.Wait()
		leave()
		all.Wait()
		if passed.Load() != 200 || len(s.Asked()) != 1 {
			t.Errorf("%d of 200 passed, and the service was asked %d times", passed.Load(), len(s.Asked()))
		}
	})
}

// TestAnOutageIsSharedByThoseWhoWait and by nobody else.
func TestAnOutageIsSharedByThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t)
		s.Script(hangs)
		c := s.client(t, remembering(5*time.Second))
		var all sync.WaitGroup
		for range 200 {
			all.Go(func() {
				if got := asks(t, c, alice()); got != outage {
					t.Errorf("%s", got)
				}
			})
		}
		all.Wait()
		synctest.Wait() // they left in the moment in which the question was given up
		s.Says(http.StatusOK, `{"result": true}`)
		if got := asks(t, c, alice()); got != "allow" || len(s.Asked()) != 2 {
			t.Errorf("afterwards: %s, asked %d times", got, len(s.Asked()))
		}
	})
}

// TestAQuestionThatIsOlderThanAnAnswerMayBeIsAskedAgain: who comes late to a question
// under way must not get an answer that is older than the cache makes them.
func TestAQuestionThatIsOlderThanAnAnswerMayBeIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t)
		var revoked atomic.Bool
		s.Script(func(w http.ResponseWriter, _ *http.Request) {
			allow := !revoked.Load() // it has decided, and takes its time
			after(400 * time.Millisecond)
			_, _ = fmt.Fprintf(w, `{"result": %t}`, allow)
		})
		c := s.client(t, remembering(100*time.Millisecond))
		var all sync.WaitGroup
		all.Go(func() {
			if got := asks(t, c, alice()); got != "allow" {
				t.Errorf("the first: %s", got)
			}
		})
		after(200 * time.Millisecond)
		revoked.Store(true)
		if got := asks(t, c, alice()); got != "deny" {
			t.Errorf("a tenth of a second after the revocation: %s", got)
		}
		all.Wait()
	})
}

func TestTheMemoryIsBounded(t *testing.T) {
	s := newService(t)
	word := `"` + strings.Repeat("w", 100) + `"`
	words := "[" + strings.Repeat(word+",", 7) + word + "]" // as many, and as long, as an answer can have
	s.Says(http.StatusOK, `{"result": {"allow": false, "message": "`+strings.Repeat("m", 500)+`", "step_up": {"acr": `+words+`, "amr": `+words+`}}}`)
	c := s.client(t, remembering(time.Minute))
	const many = 4_000
	p, in := set(t, c), alice()
	for n := range many {
		in.Request.Path = fmt.Sprint("/", n)
		if d, err := p.Evaluate(t.Context(), in); err != nil || d.Effect != policy.NeedStepUp {
			t.Fatal(d, err)
		}
	}
	if bytes, answers := c.Remembered(); bytes > authorizer.MaxMemory || answers == 0 || answers >= many {
		t.Errorf("%d answers in %d bytes", answers, bytes)
	}
}

func TestWhatMetricsHear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type heard struct {
			Result authorizer.Result
			Took   time.Duration
		}
		s := newService(t)
		var mu sync.Mutex
		var all []heard
		c := s.client(t, func(o *authorizer.Options) {
			o.Cache = 5 * time.Second
			o.Observe = func(r authorizer.Result, took time.Duration) {
				mu.Lock()
				defer mu.Unlock()
				all = append(all, heard{r, took})
			}
		})
		slow := func(body string) {
			s.Script(func(w http.ResponseWriter, _ *http.Request) {
				after(100 * time.Millisecond)
				_, _ = io.WriteString(w, body)
			})
		}
		expect := func(what string, crowd int, want ...heard) {
			t.Helper()
			after(10 * time.Second) // nothing is remembered
			mu.Lock()
			all = nil
			mu.Unlock()
			var asking sync.WaitGroup
			for range crowd {
				asking.Go(func() { _, _ = set(t, c).Evaluate(t.Context(), alice()) })
			}
			asking.Wait()
			synctest.Wait() // for a question that nobody waits for any more
			mu.Lock()
			defer mu.Unlock()
			slices.SortFunc(all, func(a, b heard) int { return cmp.Or(cmp.Compare(a.Result, b.Result), cmp.Compare(a.Took, b.Took)) })
			if diff := gocmp.Diff(want, all); diff != "" {
				t.Errorf("%s (-want +got):\n%s", what, diff)
			}
		}
		const tenth = 100 * time.Millisecond
		slow(`{"result": true}`)
		expect("yes", 1, heard{authorizer.ResultAllow, tenth})
		expect("yes to three", 3, heard{authorizer.ResultAllow, tenth}, heard{authorizer.ResultCached, 0}, heard{authorizer.ResultCached, 0})
		slow(`{}`)
		expect("no", 1, heard{authorizer.ResultDeny, tenth})
		slow(`{"result": {"allow": false, "step_up": {"max_age": 1}}}`)
		expect("a sign-in", 1, heard{authorizer.ResultStepUp, tenth})
		slow(`?`)
		expect("nonsense", 1, heard{authorizer.ResultError, tenth})
		s.Script(hangs)
		expect("an outage", 1, heard{authorizer.ResultOutage, time.Second})
		expect("an outage to three", 3, heard{authorizer.ResultOutage, 0}, heard{authorizer.ResultOutage, 0}, heard{authorizer.ResultOutage, time.Second})
	})
}
