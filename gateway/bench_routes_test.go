package gateway_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/sallyport/sallyport/gateway/authn"
	"github.com/sallyport/sallyport/gateway/guard"
	"github.com/sallyport/sallyport/gateway/route"
	"github.com/sallyport/sallyport/policy"
)

// BenchmarkManyRoutes shows what a decision costs among many routes with a policy
// of ten rules each, every request to another one of them: it must stay within
// twice the time that it takes where there is one.
func BenchmarkManyRoutes(b *testing.B) {
	for _, n := range []int{1, 500} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			g, requests := manyRoutes(b, n)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				allow(b, g, requests[i])
				if i++; i == len(requests) {
					i = 0
				}
			}
		})
	}
}

// manyRoutes makes a guard with n routes, and a request to each.
func manyRoutes(tb testing.TB, n int) (*guard.Guard, []*http.Request) {
	tb.Helper()
	j := newJudge(tb)
	var entries []route.Entry
	var requests []*http.Request
	headers := defaultHeaders(tb)
	for i := range n {
		name := fmt.Sprintf("app%03d", i)
		entries = append(entries, route.Entry{Paths: []string{"/teams/" + name}, Route: &route.Route{
			Name: name, Auth: authn.Order(authn.Chain{authn.NewSession(j.manager)}),
			Policy: tenRules(tb, i), Headers: headers,
		}})
		r := j.sessionRequest(tb)
		r.URL.Path, r.RequestURI = "/teams/"+name+"/issues", "/teams/"+name+"/issues?page=2"
		requests = append(requests, r)
	}
	table, err := route.NewTable(entries, []string{"app.example.test"})
	if err != nil {
		tb.Fatal(err)
	}
	return guard.New(guard.Options{Routes: table, Cookies: j.manager.Cookies(), Scheme: "https"}), requests
}

// tenRules let the user in by the last one.
func tenRules(tb testing.TB, i int) *policy.Set {
	tb.Helper()
	engine, err := policy.NewEngine(policy.Options{Paths: route.ParsePath})
	if err != nil {
		tb.Fatal(err)
	}
	rules := []policy.Rule{
		{Deny: &policy.Match{Groups: []string{"contractors"}}},
		{Deny: &policy.Match{Subjects: []string{fmt.Sprint("leaver", i), "eve"}}},
		{Deny: &policy.Match{Claims: []policy.Claim{{Name: "status", Values: []string{"suspended"}}}}},
	}
	for team := range 6 {
		rules = append(rules, policy.Rule{Allow: &policy.Match{Groups: []string{fmt.Sprintf("team%d-%d", i, team)}, Methods: []string{"GET", "POST"}}})
	}
	rules = append(rules, policy.Rule{Allow: &policy.Match{Groups: []string{"staff"}, Methods: []string{"GET"}}})
	set, err := engine.Compile(policy.Policy{Name: fmt.Sprint("team", i), Rules: rules})
	if err != nil {
		tb.Fatal(err)
	}
	return set
}
