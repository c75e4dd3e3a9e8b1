package gateway_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	"golang.org/x/tools/txtar"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/policy"
	"github.com/sallyport/sallyport/policy/policytest"
)

// decided is what can be seen of a decision from outside.
type decided struct {
	effect  policy.Effect
	reason  string // where it denies
	message string // likewise
	shadow  string // what would have been decided; "" = nothing is in shadow
}

// TestEveryWayInDecidesAlike runs one table of decisions through the policies
// themselves, through explain, and through every front end.
func TestEveryWayInDecidesAlike(t *testing.T) {
	text, err := os.ReadFile("testdata/decisions.txtar")
	if err != nil {
		t.Fatal(err)
	}
	file, err := policytest.Parse("testdata/decisions.txtar", text, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	compiled, err := gateway.CasePolicies(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	report := policytest.Run(t.Context(), file, compiled.Find)
	if report.Failed() > 0 {
		var table bytes.Buffer
		_ = report.WriteTable(&table, false)
		t.Errorf("asked directly:\n%s", &table)
	}

	s := newDecisionSite(t, file, compiled)
	ways := map[string]func(*testing.T, *policytest.Case) decided{
		"explain":   s.explained,
		"proxy":     s.proxied,
		"ext_authz": s.askedByEnvoy,
	}
	for _, dialect := range everyDialect() {
		ways[dialect] = func(t *testing.T, c *policytest.Case) decided { return s.checkedCase(t, dialect, c) }
	}
	decideAll := func(t *testing.T, refused []string) {
		for _, way := range slices.Sorted(maps.Keys(ways)) {
			t.Run(way, func(t *testing.T) {
				for i := range file.Cases {
					c := &file.Cases[i]
					got, want := ways[way](t, c), expected(c)
					if slices.Contains(refused, c.Name) {
						want = decided{effect: policy.Deny, reason: "locked", message: "Call the desk."}
					} else {
						got = got.asFarAs(c)
					}
					if way == "nginx" || way == "oauth2_proxy" { // passes no bodies on, and so no message
						got.message, want.message = "", ""
					}
					if s.round > 0 {
						got.shadow, want.shadow = "", ""
					}
					if got != want {
						t.Errorf("%s: decided %+v, want %+v", c.Name, got, want)
					}
				}
			})
		}
	}
	decideAll(t, nil)
	for _, one := range tableLocks(t, text) {
		for _, name := range one.Refuses {
			if !slices.ContainsFunc(file.Cases, func(c policytest.Case) bool { return c.Name == name }) {
				t.Fatalf("no case is called %q", name)
			}
		}
		t.Run(fmt.Sprint("while locked is ", one.Lock), func(t *testing.T) {
			lift := s.lock(t, one.Lock)
			decideAll(t, one.Refuses)
			lift()
		})
	}
}

// lock makes a lock as an operator, and returns what lifts it. Requests have ids of
// their own from then on.
func (s *decisionSite) lock(t *testing.T, on map[string]any) (lift func()) {
	t.Helper()
	s.round++
	wish := map[string]any{"reason": "a test", "message": "Call the desk.", "confirm": true}
	maps.Copy(wish, on)
	var made struct{ ID string }
	if status, text := s.ask(t, "POST", "/locks", wish, nil); status != http.StatusCreated || json.Unmarshal([]byte(text), &made) != nil {
		t.Fatalf("locking %v: %d %s", on, status, text)
	}
	return func() {
		t.Helper()
		if status, text := s.ask(t, "DELETE", "/locks/"+made.ID, nil, nil); status != http.StatusOK {
			t.Fatalf("unlocking: %d %s", status, text)
		}
	}
}

// requestID is that of a case which comes in one way.
func (s *decisionSite) requestID(way string, c *policytest.Case) string {
	return fmt.Sprintf("%s-%d-%s", way, s.round, strings.ReplaceAll(c.Name, " ", "-"))
}

// tableLock is a lock of the table, and the cases that it refuses.
type tableLock struct {
	Lock    map[string]any
	Refuses []string
}

func tableLocks(t *testing.T, table []byte) (locks []tableLock) {
	t.Helper()
	for _, f := range txtar.Parse(table).Files {
		if f.Name != "locks.yaml" {
			continue
		}
		if err := yaml.Unmarshal(f.Data, &locks); err != nil {
			t.Fatal(err)
		}
	}
	if len(locks) == 0 {
		t.Fatal("the table has no locks")
	}
	return locks
}

// asFarAs leaves out what the case does not ask for.
func (d decided) asFarAs(c *policytest.Case) decided {
	if c.Expect.Reason == nil {
		d.reason = ""
	}
	if c.Expect.Message == nil {
		d.message = ""
	}
	if c.Expect.Shadow == nil {
		d.shadow = ""
	}
	return d
}

func expected(c *policytest.Case) decided {
	d := decided{effect: c.Expect.Effect}
	if c.Expect.Reason != nil && c.Expect.Effect == policy.Deny {
		d.reason = *c.Expect.Reason
	}
	if c.Expect.Message != nil {
		d.message = *c.Expect.Message
	}
	if s := c.Expect.Shadow; s != nil {
		d.shadow = s.Effect.String()
	}
	return d
}

// decisionSite is a gateway with a route for each policy of the table.
type decisionSite struct {
	*site
	compiled *gateway.Policies
	envoy    *envoy
	round    int // of the locks
}

func newDecisionSite(t *testing.T, file *policytest.File, compiled *gateway.Policies) *decisionSite {
	t.Helper()
	_, policies, ok := strings.Cut(string(file.Archive.Config), "policies:\n")
	if !ok {
		t.Fatal("the table has no policies")
	}
	var routes strings.Builder
	for _, set := range compiled.All() {
		fmt.Fprintf(&routes, "  - {name: %s, paths: [/%[1]s/], upstream: \"$UP\", policy: %[1]s, auth: [session, bearer], headers: [{name: X-Forwarded-Issuer, claim: iss}]}\n", set.Name())
	}
	asked := envoyOf(t, asking(t, plan{
		adminToken: adminToken(t), policies: strings.TrimPrefix(policies, "  "), routes: strings.TrimPrefix(routes.String(), "  "), top: asksByGRPC,
	}))
	return &decisionSite{compiled: compiled, site: asked.site, envoy: asked}
}

// credential makes the token of the case's user.
func (s *decisionSite) credential(t *testing.T, id *policy.Identity) string {
	t.Helper()
	claims := map[string]any{"sub": id.Subject, "email": id.Email, "email_verified": id.EmailVerified, "groups": id.Groups}
	if id.ACR != "" {
		claims["acr"] = id.ACR
	}
	if !id.AuthTime.IsZero() {
		claims["auth_time"] = id.AuthTime.Unix()
	}
	if id.Claims != nil {
		maps.Copy(claims, id.Claims.All())
	}
	return s.token(t, claims)
}

func target(c *policytest.Case) string {
	if c.Input.Request.RawQuery == "" {
		return c.Input.Request.Path
	}
	return c.Input.Request.Path + "?" + c.Input.Request.RawQuery
}

// lines are the header of the case's request.
func (s *decisionSite) lines(t *testing.T, c *policytest.Case, id string) []string {
	t.Helper()
	lines := []string{"Authorization: Bearer " + s.credential(t, &c.Input.Identity), "Connection: close", "X-Request-Id: " + id}
	if c.Input.Client.Address.IsValid() {
		lines = append(lines, "X-Forwarded-For: "+c.Input.Client.Address.String())
	}
	for name, values := range c.Input.Request.Header {
		lines = append(lines, name+": "+values[0])
	}
	return lines
}

func (s *decisionSite) proxied(t *testing.T, c *policytest.Case) decided {
	t.Helper()
	id := s.requestID("case", c)
	answer := s.raw(t, s.request(c.Input.Request.Method, target(c), s.lines(t, c, id)...))
	if answer.StatusCode == http.StatusOK {
		s.passed(t, answer)
	} else {
		s.denied(t, answer)
	}
	return s.decided(t, c, answer, id)
}

// checkedCase asks as a proxy would that had received the case's request.
func (s *decisionSite) checkedCase(t *testing.T, dialect string, c *policytest.Case) decided {
	t.Helper()
	id := s.requestID(dialect, c)
	answer := s.checked(t, dialect, about{method: c.Input.Request.Method, target: target(c), lines: s.lines(t, c, id)})
	if answer.StatusCode/100 == 2 {
		open(t, dialect, answer)
	} else {
		closed(t, dialect, answer, 401, 403)
	}
	return s.decided(t, c, answer, id)
}

// decided reads an answer, and the log line of the request with that id.
func (s *decisionSite) decided(t *testing.T, c *policytest.Case, answer answer, id string) decided {
	t.Helper()
	d := decided{effect: policy.Deny}
	switch answer.StatusCode {
	case http.StatusOK, http.StatusAccepted:
		d.effect = policy.Allow
	case http.StatusUnauthorized:
		d.effect = policy.NeedStepUp
		if challenge := answer.Header.Get("WWW-Authenticate"); !strings.Contains(challenge, `error="insufficient_user_authentication"`) {
			t.Errorf("%s: the challenge is %q", c.Name, challenge)
		}
	case http.StatusForbidden:
		if d.reason = answer.Header.Get("Sallyport-Reason"); answer.text == "" {
			break // nginx
		}
		var problem struct{ Reason, Detail string }
		if err := json.Unmarshal([]byte(answer.text), &problem); err != nil || d.reason != "" && d.reason != problem.Reason {
			t.Errorf("%s: %v, %q and %+v", c.Name, err, d.reason, problem)
		}
		d.reason, d.message = problem.Reason, problem.Detail
	default:
		t.Errorf("%s: %d %s", c.Name, answer.StatusCode, answer.text)
	}
	if s.round == 0 { // the log is long by then
		d.shadow = s.shadow(t, id)
	}
	return d
}

// shadow is what the log line of a request has of policies in shadow.
func (s *site) shadow(t *testing.T, requestID string) (effect string) {
	t.Helper()
	poll(t, "the log of "+requestID, func() bool {
		for _, line := range slices.Backward(s.log.All()) { // it is among the last
			if line.Message != "request" {
				continue
			}
			if f := line.ContextMap(); f["request_id"] == requestID {
				effect, _ = f["shadow"].(string)
				return true
			}
		}
		return false
	})
	return effect
}

func (s *decisionSite) explained(t *testing.T, c *policytest.Case) decided {
	t.Helper()
	header := http.Header{"Authorization": {"Bearer " + s.credential(t, &c.Input.Identity)}}
	maps.Copy(header, c.Input.Request.Header)
	in := map[string]any{"method": c.Input.Request.Method, "url": target(c), "headers": header}
	if c.Input.Client.Address.IsValid() {
		in["client"] = c.Input.Client.Address
	}
	var x gateway.Explanation
	if status, text := s.ask(t, "POST", "/explain", in, &x); status != http.StatusOK {
		t.Fatalf("%s: %d %s", c.Name, status, text)
	}
	d := decided{effect: map[string]policy.Effect{"allow": policy.Allow, "step_up": policy.NeedStepUp}[x.Verdict.Outcome]}
	if d.effect == policy.Deny {
		d.reason, d.message = x.Verdict.Reason, x.Verdict.Message
		if x.Verdict.Outcome != "forbid" {
			t.Errorf("%s: %+v", c.Name, x.Verdict)
		}
	}
	if x.Verdict.Shadow != nil {
		d.shadow = x.Verdict.Shadow.Effect
	}
	return d
}
