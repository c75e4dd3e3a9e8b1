package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/extauthz"
	"github.com/sallyport/sallyport/gateway/frontend"
	"github.com/sallyport/sallyport/gateway/guard"
	"github.com/sallyport/sallyport/gateway/headers"
	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/route"
	"github.com/sallyport/sallyport/policy"
)

// TestEnvoyPathTricks (CVE-2025-54576, CVE-2026-26205): a path that is read in two
// ways is decided as the proxy mode decides it.
func TestEnvoyPathTricks(t *testing.T) {
	e := newEnvoy(t, plan{})
	for _, target := range trickyTargets() {
		for _, user := range []string{"", "alice", "root"} {
			direct := e.as(t, user, target)
			e.upstream.take()
			got := e.got(t, about{user: user, target: target})
			if got.StatusCode != direct.StatusCode {
				t.Errorf("%s asks for %s: %d, and %d from the gateway itself", user, target, got.StatusCode, direct.StatusCode)
			}
		}
	}
	for _, target := range noPaths() {
		e.shut(t, target, e.asking(t, about{user: "root", target: target}), 400)
	}
}

// TestEnvoyMalformedValues (CVE-2021-32637): what can't be is refused, and comes back
// in no redirect.
func TestEnvoyMalformedValues(t *testing.T) {
	e := newEnvoy(t, plan{})
	for _, c := range malformed() {
		for _, user := range []string{"", "root"} {
			a := c
			a.user, a.lines = user, []string{"Accept: text/html"}
			what := strings.Join([]string{c.method, c.scheme, c.host, c.target}, " ")
			if got := e.shut(t, what, e.asking(t, a), 400, 414, 421); got.Header.Get("Location") != "" {
				t.Errorf("%.100q leads to %q", what, got.Header.Get("Location"))
			}
		}
	}
}

// TestEnvoySendsTooMuch: a message that no header needs is not read to its end.
func TestEnvoySendsTooMuch(t *testing.T) {
	e := newEnvoy(t, plan{})
	in := e.asking(t, about{user: "alice", lines: []string{"X-Big: " + strings.Repeat("a", 2<<20)}})
	if out, err := e.client.Check(t.Context(), in); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("the answer is %v, %v", out, err)
	}
}

// TestEnvoyIsAnsweredWhateverFails (CVE-2021-32637): keys that can't be fetched, an
// authorizer that can't be asked, and a policy that can't be evaluated.
func TestEnvoyIsAnsweredWhateverFails(t *testing.T) {
	p, keys := failing(t)
	e := newEnvoy(t, p)
	poll(t, "a first fetch", func() bool { return keys.fetches() > 0 })
	token := goodToken(t, newSigner(t, "k1"), keysIssuer)
	for _, line := range []string{"Accept: text/html", "Accept: application/json"} {
		for _, c := range []about{
			{target: "/api/x", lines: []string{"Authorization: Bearer " + token, line}},
			{target: "/judged/x", user: "alice", lines: []string{line}},
		} {
			if a := e.shut(t, c.target, e.asking(t, c), 503); a.Header.Get("Retry-After") == "" || a.text == "" {
				t.Errorf("%s: %v %s", c.target, a.Header, a.text)
			}
		}
		if a := e.shut(t, "broken", e.asking(t, about{target: "/broken/x", user: "alice", lines: []string{line}}), 403); a.Header.Get("Sallyport-Reason") != "policy_error" {
			t.Errorf("the reason is %q", a.Header.Get("Sallyport-Reason"))
		}
	}
	// Another policy of Envoy's asking fails as well.
	in := e.asking(t, about{target: "/app", user: "alice"})
	in.Attributes.ContextExtensions = map[string]string{"policy": "opa"}
	e.shut(t, "the policy besides", in, 503)
}

// troubled proves everybody, unless it is in trouble.
type troubled struct {
	authn.Authenticator
	trouble func() error
}

// Kind implements authn.Authenticator.
func (*troubled) Kind() authn.Kind { return authn.KindSession }

// Extract implements authn.Authenticator.
func (*troubled) Extract(*http.Request) (authn.Credential, error) {
	return authn.Credential{Kind: authn.KindSession, Bytes: 1}, nil
}

// Strip implements authn.Authenticator.
func (*troubled) Strip(http.Header) {}

// Authenticate implements authn.Authenticator.
func (a *troubled) Authenticate(context.Context, authn.Credential) (*identity.Identity, error) {
	if err := a.trouble(); err != nil {
		return nil, err
	}
	return &identity.Identity{Subject: "alice"}, nil
}

// noCookies implements guard.Cookies.
type noCookies struct{}

func (noCookies) Owns(string) bool     { return false }
func (noCookies) Reserved(string) bool { return false }

// TestEnvoyAndAPanicInside (CVE-2026-41070): a store that is down, slow or broken is
// neither a yes nor a missing sign-in, and a panic costs nobody else anything.
func TestEnvoyAndAPanicInside(t *testing.T) {
	set, err := headers.Compile(nil, headers.Options{})
	if err != nil {
		t.Fatal(err)
	}
	store := &troubled{}
	rt := &route.Route{Name: "app", Headers: set, Policy: policy.Authenticated(), Auth: authn.Order([]authn.Authenticator{store})}
	table, err := route.NewTable([]route.Entry{{Route: rt, Paths: []string{"/"}}}, []string{"localhost"})
	if err != nil {
		t.Fatal(err)
	}
	o := extauthz.Options{
		Judge: &frontend.Judge{
			Guard:     guard.New(guard.Options{Routes: table, Cookies: noCookies{}, Scheme: "http"}),
			Challenge: func(*http.Request, *guard.Verdict) guard.Prompt { panic("the challenge") },
			Own:       func(string) bool { return false },
		},
		Passes:    frontend.NewPasses(set.Names()),
		OwnCookie: func(string) bool { return false }, Trusted: func(string) bool { return true },
		Watch: func(w http.ResponseWriter, r *http.Request, serve func(http.ResponseWriter, *http.Request)) {
			serve(w, r)
		},
		Edge: &httperr.Edge{}, Log: zap.NewNop(),
	}
	e := &envoy{site: &site{host: "localhost"}}
	in := e.asking(t, about{target: "/app", lines: []string{"Accept: text/html"}})
	service := extauthz.New(o)
	for what, c := range map[string]struct {
		trouble func() error
		status  int
	}{
		"nothing":                    {func() error { return nil }, 200},
		"down":                       {func() error { return errors.New("dial 10.1.2.3:6379: connection refused") }, 503},
		"slow":                       {func() error { return fmt.Errorf("get: %w", context.DeadlineExceeded) }, 503},
		"a panic":                    {func() error { panic("the store") }, 500},
		"a panic that net/http ends": {func() error { panic(http.ErrAbortHandler) }, 500},
		"a panic of the answer":      {func() error { return &authn.Refusal{Reason: "no_credential"} }, 500},
	} {
		store.trouble = c.trouble
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		out, err := service.Check(ctx, in)
		cancel()
		if err != nil {
			t.Errorf("%s: it is left to failure_mode_allow: %v", what, err)
		}
		got := answered(out)
		if got.StatusCode != c.status || (out.GetStatus().GetCode() == int32(codes.OK)) != (c.status == 200) || strings.Contains(got.text, "10.1.2.3") {
			t.Errorf("%s: %v", what, out)
		}
		if c.status == http.StatusServiceUnavailable && (got.Header.Get("Retry-After") == "" || got.text == "") {
			t.Errorf("%s: nobody is told to try again: %v", what, out)
		}
	}
	// What comes before the decision.
	o.Watch = nil
	if out, err := extauthz.New(o).Check(t.Context(), &authv3.CheckRequest{}); err != nil || answered(out).StatusCode != 500 {
		t.Errorf("%v, %v", out, err)
	}
}
