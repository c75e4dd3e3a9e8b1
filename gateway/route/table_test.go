package route_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/route"
)

func TestNewTableReportsEveryFault(t *testing.T) {
	tests := map[string]struct {
		entries []route.Entry
		want    []string // the beginning of each fault
	}{
		"the same path twice": {
			[]route.Entry{entry("a", "", "/x"), entry("b", "", "/x/")},
			[]string{`route "b": paths: /x on app.example.test is also what route "a" is for`},
		},
		"the same expression twice": {
			[]route.Entry{entry("a", "h.test", "~/x.*"), entry("b", "H.test.", "~/x.*")},
			[]string{`route "b": paths: ~/x.* on h.test is also what route "a" is for`},
		},
		"overlapping methods": {
			[]route.Entry{entry("a", "", "/x", "GET", "POST"), entry("b", "", "/x", "PUT", "POST")},
			[]string{`route "b": paths: /x on app.example.test is also what route "a" is for`},
		},
		"every method against some": {
			[]route.Entry{entry("a", "", "/x", "GET"), entry("b", "", "/x", "PUT"), entry("c", "", "/x")},
			[]string{`route "c": paths: /x on app.example.test is also what route "a"`, `route "c": paths: /x on app.example.test is also what route "b"`},
		},
		"some methods against every": {
			[]route.Entry{entry("a", "", "/x"), entry("b", "", "/x", "GET", "PUT")},
			[]string{`route "b": paths: /x on app.example.test is also what route "a" is for`},
		},
		"one clash on several hosts is one fault": {
			[]route.Entry{
				{Route: &route.Route{Name: "a"}, Hosts: []string{"x.test", "y.test"}, Paths: []string{"/"}},
				{Route: &route.Route{Name: "b"}, Hosts: []string{"y.test", "x.test"}, Paths: []string{"/"}},
			},
			[]string{`route "b": paths: / on y.test is also what route "a"`},
		},
		"odd paths": {
			[]route.Entry{{Route: &route.Route{Name: "a"}, Paths: []string{
				"", "x", "=x", "/a/../b", "/a//b", "/a;b", "/%61", "/a/*", `/a\b`, "/a?b", "/a#b", "~(", "~" + `\Qx`, "/\xff",
			}}},
			[]string{
				`route "a": paths[0]: "" does not begin`, `route "a": paths[1]: "x" does not`, `route "a": paths[2]: "=x" does not`,
				`route "a": paths[3]: "/a/../b" can never`, `route "a": paths[4]: "/a//b" can never`, `route "a": paths[5]: "/a;b" can never`,
				`route "a": paths[6]: "/%61" has a percent sign`, `route "a": paths[7]: "/a/*" has a star`, `route "a": paths[8]: "/a\\b" can never`,
				`route "a": paths[9]: "/a?b" can never`, `route "a": paths[10]: "/a#b" can never`, `route "a": paths[11]: "~(" is no regular`,
				`route "a": paths[12]: "~\\Qx" is no regular`, `route "a": paths[13]: "/\xff" can never`,
			},
		},
		"odd hosts": {
			[]route.Entry{{Route: &route.Route{Name: "a"}, Paths: []string{"/"}, Hosts: []string{
				"https://x.test", "x.test:80", "*", "a.*.test", "*x.test", "*.1.1.1.1", "ä.test", "", "x.test/", "*.*.test", "[::1]:80",
			}}},
			[]string{
				`route "a": hosts[0]: "https://x.test" is a URL`, `route "a": hosts[1]: "x.test:80" has a port`, `route "a": hosts[2]: "*" has a star`,
				`route "a": hosts[3]: "a.*.test" has a star`, `route "a": hosts[4]: "*x.test" has a star`, `route "a": hosts[5]: "*.1.1.1.1" is no host pattern`,
				`route "a": hosts[6]: "ä.test" is no host name`, `route "a": hosts[7]: "" is no host name`, `route "a": hosts[8]: "x.test/" is a URL`,
				`route "a": hosts[9]: "*.*.test" is no host pattern`, `route "a": hosts[10]: "[::1]:80" has a port`,
			},
		},
		"odd methods": {
			[]route.Entry{entry("a", "", "/", "get", "G T", "TRACE", "")},
			[]string{
				`route "a": methods[0]: "get" is not GET`, `route "a": methods[1]: "G T" is no method`, `route "a": methods[2]: TRACE is never`,
				`route "a": methods[3]: "" is no method`,
			},
		},
		"nothing to match": {
			[]route.Entry{{Route: &route.Route{Name: "a"}}, {}},
			[]string{`route "a": paths: is empty`, "route: an entry without a route"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tab, err := route.NewTable(tt.entries, []string{"app.example.test"})
			if err == nil || tab != nil {
				t.Fatalf("got %v, %v", tab, err)
			}
			got := strings.Split(err.Error(), "\n")
			if len(got) != len(tt.want) {
				t.Fatalf("want %d faults, got:\n%v", len(tt.want), err)
			}
			for i, want := range tt.want {
				if !strings.HasPrefix(got[i], want) {
					t.Errorf("want %s, got %s", want, got[i])
				}
			}
		})
	}
	if _, err := route.NewTable([]route.Entry{entry("a", "", "/")}, nil); err == nil {
		t.Error("no host at all was accepted")
	}
}

func TestRouteMayListOnePathTwice(t *testing.T) {
	e := entry("a", "", "/x")
	e.Paths, e.Hosts = append(e.Paths, "/x/", "/x"), []string{"h.test", "H.test"}
	e.Methods = []string{"GET", "GET"}
	if got := outcome(table(t, e), request("GET", "/x", "h.test")); got != "a" {
		t.Error(got)
	}
}

func TestRoutesAreListedInOrderOfPrecedence(t *testing.T) {
	var got []string
	for _, r := range bench(t).Routes() {
		got = append(got, r.Name)
	}
	want := []string{"admin-host", "exact", "public", "admin", "svc", "rw", "rw-admins", "versions", "rest", "wild"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// many makes n routes on one host, three segments deep.
func many(tb testing.TB, n int) *route.Table {
	tb.Helper()
	entries := make([]route.Entry, n)
	for i := range entries {
		entries[i] = entry(fmt.Sprint(i), "", fmt.Sprintf("/team%d/app%d/api", i%37, i))
	}
	return table(tb, entries...)
}

func TestMatchDoesNotAllocate(t *testing.T) {
	tab := bench(t)
	for _, target := range []string{"/", "/admin/x/y?q=1", "/public/exact", "/v1/x", "/rw/x"} {
		r := request("GET", target, "app.example.test:8443")
		if got := testing.AllocsPerRun(100, func() {
			if _, err := tab.Match(r); err != nil {
				t.Fatal(err)
			}
		}); got != 0 {
			t.Errorf("%s: %v allocations", target, got)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{10, 1000} {
		b.Run(fmt.Sprintf("routes=%d", n), func(b *testing.B) {
			tab := many(b, n)
			i := 0
			rs := make([]string, n)
			for j := range rs {
				rs[j] = fmt.Sprintf("/team%d/app%d/api/v1/things/42?page=2", j%37, j)
			}
			r := request("GET", "", "app.example.test")
			b.ReportAllocs()
			for b.Loop() {
				r.RequestURI = rs[i%n]
				i++
				if _, err := tab.Match(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A path of thousands of segments must not cost more than the configured depth.
func BenchmarkMatchDeepPath(b *testing.B) {
	tab := many(b, 1000)
	r := request("GET", "/team1/app1/api"+strings.Repeat("/x", 8000), "app.example.test")
	for b.Loop() {
		if _, err := tab.Match(r); err != nil {
			b.Fatal(err)
		}
	}
}
