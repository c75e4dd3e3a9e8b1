package authorizer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/sallyport/sallyport/policy"
	"github.com/sallyport/sallyport/policy/authorizer"
)

// hangs keeps a client waiting until it leaves.
func hangs(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// hangsUp ends the connection after these bytes.
func hangsUp(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, text)
		_ = conn.Close()
	}
}

func TestWhatIsNoAnswerAtAllIsAnOutage(t *testing.T) {
	for name, script := range map[string]http.HandlerFunc{
		"a bad request":     status(http.StatusBadRequest),
		"wants a token":     status(http.StatusUnauthorized),
		"forbids it":        status(http.StatusForbidden),
		"no such path":      status(http.StatusNotFound),
		"too many":          status(http.StatusTooManyRequests),
		"OPA's error":       status(http.StatusInternalServerError),
		"a gateway's error": status(http.StatusBadGateway),
		"another success":   status(http.StatusAccepted),
		"created":           status(http.StatusCreated),
		"half of it":        status(http.StatusPartialContent),
		"unchanged":         status(http.StatusNotModified),
		"no content":        func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"hangs":             hangs,
		"hangs in the body": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, `{"result": true`)
			_ = http.NewResponseController(w).Flush()
			hangs(w, r)
		},
		"hangs after it": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, `{"result": true}`)
			_ = http.NewResponseController(w).Flush()
			hangs(w, r)
		},
		"drips": func(w http.ResponseWriter, r *http.Request) {
			for _, c := range []byte(`{"result": true}`) {
				_, _ = w.Write([]byte{c})
				_ = http.NewResponseController(w).Flush()
				select {
				case <-time.After(300 * time.Millisecond):
				case <-r.Context().Done():
					return
				}
			}
		},
		"hangs up":                 hangsUp(""),
		"hangs up in the header":   hangsUp("HTTP/1.1 200 OK\r\nContent-"),
		"hangs up before the body": hangsUp("HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n"),
		"hangs up in the body":     hangsUp("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"result\": true}"),
		"hangs up in a chunk":      hangsUp("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{\"result\": true}\r\n"),
		"speaks something else":    hangsUp("220 smtp.example.test ESMTP\r\n"),
		"a header without end":     hangsUp("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20)),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newService(t)
				s.Script(script)
				for _, cache := range []time.Duration{0, time.Minute} {
					c := s.client(t, remembering(cache))
					start := time.Now()
					if got := asks(t, c, alice()); got != outage {
						t.Errorf("%s", got)
					}
					if took := time.Since(start); took > time.Second {
						t.Errorf("known after %s", took)
					}
				}
			})
		})
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, `{"result": true}`)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	for _, code := range []int{301, 302, 303, 307, 308} {
		s := newService(t)
		s.Script(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v1/data/app/authz" {
				_, _ = io.WriteString(w, `{"result": true}`)
				return
			}
			http.Redirect(w, r, "/elsewhere", code)
		})
		c := s.client(t, nil)
		if got := asks(t, c, alice()); got != outage || len(s.Asked()) != 1 {
			t.Errorf("%d: %s, after %d requests", code, got, len(s.Asked()))
		}
	}
}

// TestAServiceThatDiesAndComesBack: it is asked again at once, over new connections,
// and no outage is remembered.
func TestAServiceThatDiesAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t)
		core, logs := observer.New(zapcore.DebugLevel)
		c := s.client(t, func(o *authorizer.Options) { o.Log = zap.New(core) })
		s.Says(http.StatusOK, `{"result": true}`)
		says := func(want string) {
			t.Helper()
			if got := asks(t, c, alice()); got != want {
				t.Fatalf("%s, want %s", got, want)
			}
		}
		says("allow")
		s.network.setDown(true)
		s.Script(hangsUp("")) // the connection that is open
		for range 5 {
			says(outage)
		}
		s.network.setDown(false)
		s.Says(http.StatusOK, `{"result": true}`)
		says("allow")
		// One that wavers doesn't fill the log.
		for range 20 {
			s.Says(http.StatusServiceUnavailable, "")
			says(outage)
			s.Says(http.StatusOK, `{"result": true}`)
			says("allow")
		}
		var told []string
		for _, e := range logs.All() {
			told = append(told, e.Message)
		}
		if got := strings.Join(told, "; "); got != "an authorizer does not answer; an authorizer answers again" {
			t.Errorf("the log says: %s", got)
		}
		after(time.Minute)
		s.Says(http.StatusServiceUnavailable, "")
		says(outage)
		if logs.Len() != 3 {
			t.Errorf("a new outage is not in the log: %v", logs.All())
		}
	})
}

// TestAConnectionThatWasClosedMeanwhileIsNoOutage: services close idle connections
// just when a question goes out.
func TestAConnectionThatWasClosedMeanwhileIsNoOutage(t *testing.T) {
	s := newService(t)
	c := s.client(t, nil)
	var n atomic.Int64
	s.Script(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1)%2 == 0 { // the second on each connection
			hangsUp("")(w, r)
			return
		}
		_, _ = io.WriteString(w, `{"result": true}`)
	})
	for range 4 {
		if got := asks(t, c, alice()); got != "allow" {
			t.Fatal(got)
		}
	}
}

func TestTheTokenIsReadForEveryQuestion(t *testing.T) {
	s := newService(t)
	s.Says(http.StatusOK, `{"result": true}`)
	token, fault := "one", error(nil)
	c := s.client(t, func(o *authorizer.Options) { o.Token = func() (string, error) { return token, fault } })
	for _, token = range []string{"one", "two"} {
		asks(t, c, alice())
		all := s.Asked()
		if got := all[len(all)-1].Header.Get("Authorization"); got != "Bearer "+token {
			t.Errorf("sent %q, want %s", got, token)
		}
	}
	// Without a token nobody is asked, and one that no header can hold is not shown.
	fault = errors.New("secret file token: is empty")
	if got := asks(t, c, alice()); got != outage || len(s.Asked()) != 2 {
		t.Errorf("without a token: %s", got)
	}
	token, fault = "do-not\nprint-me", nil
	d, err := set(t, c).Evaluate(t.Context(), alice())
	if got := verdict(t, d, err); got != outage || strings.Contains(err.Error(), "print-me") {
		t.Errorf("%s: %v", got, err)
	}
}

func TestErrorsNameThePolicyAndTheServiceAndHoldNoSecret(t *testing.T) {
	s := newService(t)
	var log bytes.Buffer
	core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(&log), zapcore.DebugLevel)
	c := s.client(t, func(o *authorizer.Options) {
		o.URL += "?key=secret-of-the-url"
		o.Token = func() (string, error) { return "secret-own-token", nil }
		o.Headers, o.Log = []string{"X-Tenant"}, zap.New(core)
	})
	for name, script := range map[string]http.HandlerFunc{
		"an outage": status(http.StatusInternalServerError),
		"a hang-up": hangsUp(""),
		"no HTTP":   hangsUp("secret-of-the-answer"),
		"nonsense": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"result": "secret-of-the-answer"}`)
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/?secret-of-the-answer", http.StatusFound)
		},
		"a bad query": nil,
	} {
		s.Script(script)
		in := alice()
		if script == nil {
			in.Request.RawQuery = "token=secret;"
		}
		_, err := set(t, c).Evaluate(t.Context(), in)
		if err == nil || !strings.Contains(err.Error(), "http://opa.test/v1/data/app/authz for the policy app") {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, hidden := range []string{"secret-", "token=", "alice", "t1", "/reports"} {
			if strings.Contains(err.Error(), hidden) || strings.Contains(log.String(), hidden) {
				t.Errorf("%s: %q in %v, or in the log %s", name, hidden, err, log.String())
			}
		}
	}
	for _, url := range []string{"http://u:do-not-print-me@opa.test/", "unix:///do-not-print-me", "http://[do-not-print-me", "do-not-print-me"} {
		if c, err := authorizer.New(authorizer.Options{URL: url}); err == nil || c != nil || strings.Contains(err.Error(), "print-me") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestQuestionsUnderWayAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t)
		var now atomic.Int64
		s.Script(func(w http.ResponseWriter, r *http.Request) {
			now.Add(1)
			defer now.Add(-1)
			hangs(w, r)
		})
		for _, cache := range []time.Duration{0, time.Minute} {
			c := s.client(t, remembering(cache))
			start := time.Now()
			var all sync.WaitGroup
			for n := range 1000 {
				all.Go(func() {
					in := alice()
					in.Request.Path = fmt.Sprint("/", n)
					if got := asks(t, c, in); got != outage {
						t.Errorf("%s", got)
					}
				})
			}
			after(time.Second / 2)
			if n := now.Load(); n != authorizer.MaxAsking {
				t.Errorf("%d at once", n)
			}
			all.Wait()
			if took := time.Since(start); took != time.Second {
				t.Errorf("the last was answered after %s", took)
			}
			synctest.Wait() // until the service knows that they left
		}
	})
}

func TestAClientThatLeavesIsNoOutageOfTheService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t)
		s.Script(hangs)
		var heard []authorizer.Result
		core, logs := observer.New(zapcore.DebugLevel)
		c := s.client(t, func(o *authorizer.Options) {
			o.Log, o.Observe = zap.New(core), func(r authorizer.Result, _ time.Duration) { heard = append(heard, r) }
		})
		ctx, leave := context.WithCancel(t.Context())
		time.AfterFunc(100*time.Millisecond, leave)
		start := time.Now()
		_, err := set(t, c).Evaluate(ctx, alice())
		if !errors.Is(err, context.Canceled) || time.Since(start) != 100*time.Millisecond {
			t.Errorf("%v after %s", err, time.Since(start))
		}
		if len(heard) != 0 || logs.Len() != 0 {
			t.Errorf("counted as %v, logged as %v", heard, logs.All())
		}
	})
}

// TestInShadowAnOutageOnlyTakesTime: the policy that is not enforced is asked, too,
// and lets everybody pass whatever comes.
func TestInShadowAnOutageOnlyTakesTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t)
		engine, err := policy.NewEngine(policy.Options{})
		if err != nil {
			t.Fatal(err)
		}
		shadow, err := engine.Compile(policy.Policy{Name: "app", Mode: policy.Shadow, Authorizer: s.client(t, nil)})
		if err != nil {
			t.Fatal(err)
		}
		for name, tt := range map[string]struct {
			script http.HandlerFunc
			want   policy.Shadowed
			took   time.Duration
		}{
			"hangs":    {hangs, policy.Shadowed{Judged: true, Reason: policy.ReasonPolicyError}, time.Second},
			"is down":  {status(500), policy.Shadowed{Judged: true, Reason: policy.ReasonPolicyError}, 0},
			"nonsense": {func(http.ResponseWriter, *http.Request) {}, policy.Shadowed{Judged: true, Rule: "authorizer", Reason: policy.ReasonPolicyError}, 0},
			"no": {
				func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"result": false}`) },
				policy.Shadowed{Judged: true, Rule: "authorizer", Reason: policy.ReasonDeniedByAuthorizer},
				0,
			},
		} {
			s.Script(tt.script)
			start := time.Now()
			d, err := shadow.Evaluate(t.Context(), alice())
			if err != nil || d.Effect != policy.Allow || d.Shadow != tt.want || time.Since(start) != tt.took {
				t.Errorf("%s: %+v, %v after %s", name, d, err, time.Since(start))
			}
		}
	})
}
