package authorizer_test

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/policy"
	"github.com/sallyport/sallyport/policy/authorizer"
)

func body(t *testing.T, s *service) string {
	t.Helper()
	asked := s.Asked()
	if len(asked) == 0 {
		t.Fatal("the service was not asked")
	}
	return asked[len(asked)-1].Body
}

func TestTheQuestionIsTheVocabularyInOneOrder(t *testing.T) {
	s := newService(t)
	c := s.client(t, func(o *authorizer.Options) { o.Headers = []string{"X-Tenant", "x-absent"} })
	s.Says(http.StatusOK, `{"result": true}`)
	for range 20 {
		if got := asks(t, c, alice()); got != "allow" {
			t.Fatal(got)
		}
		want := `{"input":{"client":{"address":"192.0.2.7"},` +
			`"identity":{"acr":"mfa","amr":["pwd","otp"],"auth_time":"2026-03-02T09:00:00Z",` +
			`"claims":{"a":{"b":null,"z":true},"level":3,"scope":"read write","tenant":"t1"},"credential":"session",` +
			`"email":"alice@example.test","groups":["staff","admin"],"issuer":"https://id.example.test","name":"Alice <A>",` +
			`"preferred_username":"al","provider":"corp","scopes":["read","write"],"subject":"alice"},"policy":"app",` +
			`"request":{"headers":{"x-tenant":"t1, t2"},"host":"app.example.test","method":"GET","path":"/reports/1",` +
			`"query":{"page":["2"],"sort":["name","date"]}},"route":{"name":"app"},"version":1}}`
		if diff := cmp.Diff(want, body(t, s)); diff != "" {
			t.Fatalf("the question (-want +got):\n%s", diff)
		}
	}
}

func TestWhatIsNotKnownIsEmptyAndNeverLeftOut(t *testing.T) {
	s := newService(t)
	c := s.client(t, nil)
	asks(t, c, &policy.Input{Identity: policy.Identity{Subject: "a", Email: "a@example.test"}})
	want := `{"input":{"client":{"address":""},"identity":{"acr":"","amr":[],"claims":{},"credential":"","email":"","groups":[],"issuer":"","name":"",` +
		`"preferred_username":"","provider":"","scopes":[],"subject":"a"},"policy":"app",` +
		`"request":{"headers":{},"host":"","method":"","path":"","query":{}},"route":{"name":""},"version":1}}`
	if diff := cmp.Diff(want, body(t, s)); diff != "" {
		t.Errorf("the question (-want +got):\n%s", diff)
	}
}

// TestTheServiceGetsTheNamesOfTheLanguage: what expressions can name is what a service
// is sent, but for the time.
func TestTheServiceGetsTheNamesOfTheLanguage(t *testing.T) {
	s := newService(t)
	asks(t, s.client(t, nil), alice())
	var question struct{ Input map[string]any }
	if err := json.Unmarshal([]byte(body(t, s)), &question); err != nil {
		t.Fatal(err)
	}
	engine, err := policy.NewEngine(policy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for section, members := range question.Input {
		object, ok := members.(map[string]any)
		if !ok {
			continue // policy and version, which no rule needs
		}
		for member := range object {
			name := section + "." + member
			if _, err := engine.Compile(policy.Policy{Name: "p", Rules: []policy.Rule{{Allow: &policy.Match{When: name + " == " + name}}}}); err != nil {
				t.Errorf("%s means nothing to the language: %v", name, err)
			}
		}
	}
}

// TestAQueryWithTwoReadingsIsNeverSentWithOneOfThem (CVE-2022-2880, CVE-2022-34296):
// the application may read the other.
func TestAQueryWithTwoReadingsIsNeverSentWithOneOfThem(t *testing.T) {
	const refused = "refused"
	s := newService(t)
	c := s.client(t, nil)
	s.Rule("app/authz", func(map[string]any) (any, error) { return true, nil })
	for query, want := range map[string]string{
		"":                                    `{}`,
		"role=user":                           `{"role":["user"]}`,
		"a&b=&=c&&d=%20+":                     `{"":["c"],"a":[""],"b":[""],"d":["  "]}`,
		"role=user&role=admin":                `{"role":["user","admin"]}`,
		"role=user&ROLE=admin":                `{"ROLE":["user","admin"],"role":["user","admin"]}`,
		"role=user&r%6Fle=admin":              `{"role":["user","admin"]}`,
		"ROLE=a&role=b&Role=c&x=d":            `{"ROLE":["a","b","c"],"Role":["a","b","c"],"role":["a","b","c"],"x":["d"]}`,
		"role=user;role=admin":                refused,
		"role=user&%zz=1":                     refused,
		"role=%f":                             refused,
		"role=%ff":                            refused,
		"%ff=role":                            refused,
		strings.Repeat("a=1&", 1000) + "role": refused,
	} {
		before := len(s.Asked())
		in := alice()
		in.Request.RawQuery = query
		d, err := set(t, c).Evaluate(t.Context(), in)
		switch got := verdict(t, d, err); {
		case want == refused:
			if got != policy.ReasonPolicyError || len(s.Asked()) != before {
				t.Errorf("%.60q: %s, and %d questions", query, got, len(s.Asked())-before)
			}
		case got != "allow" || !strings.Contains(body(t, s), `"query":`+want+`}`):
			t.Errorf("%.60q: %s, by the question %s", query, got, body(t, s))
		}
	}
}

func TestTextThatJSONWouldChangeIsNotSent(t *testing.T) {
	const bad = "a\xffb"
	s := newService(t)
	c := s.client(t, func(o *authorizer.Options) { o.Headers = []string{"x-tenant"} })
	for name, change := range map[string]func(*policy.Input){
		"method":         func(in *policy.Input) { in.Request.Method = bad },
		"host":           func(in *policy.Input) { in.Request.Host = bad },
		"path":           func(in *policy.Input) { in.Request.Path = bad },
		"header":         func(in *policy.Input) { in.Request.Header = map[string][]string{"X-Tenant": {bad}} },
		"subject":        func(in *policy.Input) { in.Identity.Subject = bad },
		"group":          func(in *policy.Input) { in.Identity.Groups = []string{"a", bad} },
		"scope":          func(in *policy.Input) { in.Identity.Claims = claims{"scope": bad} },
		"claim":          func(in *policy.Input) { in.Identity.Claims = claims{"x": []any{map[string]any{"y": bad}}} },
		"name of claim":  func(in *policy.Input) { in.Identity.Claims = claims{"x": map[string]any{bad: 1.0}} },
		"list of claims": func(in *policy.Input) { in.Identity.Claims = claims{"x": []string{bad}} },
		"no JSON at all": func(in *policy.Input) { in.Identity.Claims = claims{"x": func() {}} },
	} {
		in := alice()
		change(in)
		if got := asks(t, c, in); got != policy.ReasonPolicyError {
			t.Errorf("%s: %s", name, got)
		}
	}
	if n := len(s.Asked()); n != 0 {
		t.Errorf("%d questions were sent", n)
	}
}

func TestCredentialsOfTheClientAreNeverSent(t *testing.T) {
	s := newService(t)
	c := s.client(t, func(o *authorizer.Options) {
		o.Headers = []string{"user-agent"}
		o.Token = func() (string, error) { return "own-token", nil }
	})
	asks(t, c, alice())
	q := s.Asked()[0]
	if !strings.Contains(q.Body, `"headers":{"user-agent":"x"}`) || strings.Contains(q.Body, "secret-of") || q.Header.Get("Cookie") != "" {
		t.Errorf("sent %s with %v", q.Body, q.Header)
	}
	if got := q.Header.Get("Authorization"); got != "Bearer own-token" {
		t.Errorf("the service got %q", got)
	}
	for _, name := range []string{"Cookie", "authorization", "Proxy-Authorization", "Proxy_Authorization", "X-API-Key", "x_api_key"} {
		if c, err := authorizer.New(authorizer.Options{Policy: "app", URL: serviceURL, Timeout: time.Second, Headers: []string{name}}); err == nil || c != nil {
			t.Errorf("%s can be sent", name)
		}
	}
}

// TestEveryPartOfTheQuestionCounts: whoever differs in anything that is sent gets an
// answer of his own.
func TestEveryPartOfTheQuestionCounts(t *testing.T) {
	changes := map[string]func(*policy.Input){
		"route":      func(in *policy.Input) { in.Route = "b" },
		"method":     func(in *policy.Input) { in.Request.Method = "POST" },
		"host":       func(in *policy.Input) { in.Request.Host = "b.example.test" },
		"path":       func(in *policy.Input) { in.Request.Path = "/b" },
		"query":      func(in *policy.Input) { in.Request.RawQuery = "page=3" },
		"header":     func(in *policy.Input) { in.Request.Header = map[string][]string{"X-Tenant": {"t2"}} },
		"address":    func(in *policy.Input) { in.Client.Address = netip.MustParseAddr("192.0.2.8") },
		"issuer":     func(in *policy.Input) { in.Identity.Issuer = "https://b.example.test" },
		"subject":    func(in *policy.Input) { in.Identity.Subject = "bob" },
		"email":      func(in *policy.Input) { in.Identity.Email = "b@example.test" },
		"unverified": func(in *policy.Input) { in.Identity.EmailVerified = false },
		"name":       func(in *policy.Input) { in.Identity.Name = "B" },
		"username":   func(in *policy.Input) { in.Identity.PreferredUsername = "b" },
		"groups":     func(in *policy.Input) { in.Identity.Groups = []string{"staff"} },
		"one group":  func(in *policy.Input) { in.Identity.Groups = []string{"staff,admin"} },
		"acr":        func(in *policy.Input) { in.Identity.ACR = "" },
		"amr":        func(in *policy.Input) { in.Identity.AMR = nil },
		"auth_time":  func(in *policy.Input) { in.Identity.AuthTime = time.Time{} },
		"provider":   func(in *policy.Input) { in.Identity.Provider = "b" },
		"credential": func(in *policy.Input) { in.Identity.Credential = "bearer" },
		"claims":     func(in *policy.Input) { in.Identity.Claims = claims{"tenant": "t2"} },
		"no claims":  func(in *policy.Input) { in.Identity.Claims = nil },
	}
	s := newService(t)
	c := s.client(t, func(o *authorizer.Options) { o.Cache, o.Headers = time.Minute, []string{"x-tenant"} })
	s.Says(http.StatusOK, `{"result": true}`)
	asks(t, c, alice())
	// From here on it says no, to everybody but who is known already.
	s.Says(http.StatusOK, `{"result": false}`)
	for name, change := range changes {
		in := alice()
		change(in)
		if got := asks(t, c, in); got != "deny" {
			t.Errorf("another %s: %s", name, got)
		}
	}
	if got := asks(t, c, alice()); got != "allow" {
		t.Errorf("the same: %s", got)
	}
	later := alice()
	later.Now = later.Now.Add(time.Second)
	if got := asks(t, c, later); got != "allow" {
		t.Errorf("the time is no part of the question: %s", got)
	}
}

// TestAHeaderInSeveralSpellingsIsOneField, as it is to applications (CVE-2025-64484).
func TestAHeaderInSeveralSpellingsIsOneField(t *testing.T) {
	s := newService(t)
	c := s.client(t, func(o *authorizer.Options) { o.Headers = []string{"x-tenant", "X_TENANT"} })
	for range 20 {
		in := alice()
		in.Request.Header = map[string][]string{"X_tenant": {"d"}, "X-Tenant": {"a", "b"}, "X.tenant": {"c"}, "X-Tenants": {"e"}}
		asks(t, c, in)
		if got := body(t, s); !strings.Contains(got, `"headers":{"x-tenant":"a, b, c, d"}`) {
			t.Fatalf("the question is %s", got)
		}
	}
}

// TestTheDocumentationShowsTheQuestionAndAnAnswer.
func TestTheDocumentationShowsTheQuestionAndAnAnswer(t *testing.T) {
	page, err := os.ReadFile("../../docs/authorizer.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) != 2 {
		t.Fatalf("the page has %d blocks of JSON", len(blocks))
	}
	s := newService(t)
	s.Says(http.StatusOK, blocks[1][1])
	d, err := set(t, s.client(t, func(o *authorizer.Options) { o.Headers = []string{"x-tenant"} })).Evaluate(t.Context(), alice())
	if got := verdict(t, d, err); got != "step_up" || d.Rule != "authorizer:not_owner" {
		t.Errorf("the answer of the page is %s by %s", got, d.Rule)
	}
	if diff := cmp.Diff(names(t, body(t, s)), names(t, blocks[0][1])); diff != "" {
		t.Errorf("members (-sent +on the page):\n%s", diff)
	}
}

// names are the members of a question, but those that are different each time.
func names(t *testing.T, text string) (all []string) {
	t.Helper()
	var document map[string]any
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	var walk func(at string, v any)
	walk = func(at string, v any) {
		all = append(all, at)
		if object, ok := v.(map[string]any); ok && at != ".input.identity.claims" && at != ".input.request.query" {
			for name, one := range object {
				walk(at+"."+name, one)
			}
		}
	}
	walk("", document)
	slices.Sort(all)
	return all
}
