package route_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/gateway/route"
	"github.com/sallyport/sallyport/policy"
)

func coverer(t interface{ Fatal(...any) }, s string) policy.Coverer {
	p, problem := route.ParsePath(s)
	if problem != "" {
		t.Fatal(s, problem)
	}
	c, ok := p.(policy.Coverer)
	if !ok {
		t.Fatal(s, "can't be compared")
	}
	return c
}

func TestPatternsAreCompared(t *testing.T) {
	for _, tt := range []struct {
		a, b             string
		covers, disjoint bool
	}{
		{"/", "/a", true, false},
		{"/a", "/", false, false},
		{"/a", "/a/b", true, false},
		{"/a", "/a/", true, false},
		{"/a", "/ab", false, true},
		{"/a", "=/a", true, false},
		{"=/a", "/a", false, false},
		{"=/a", "=/a", true, false},
		{"=/a", "=/a/", false, true},
		{"=/ab", "/a", false, true},
		{"/", "~/.*", true, false},
		{"/a", "~/a/[0-9]+", true, false},
		{"/a", "~/a[0-9]+", false, false}, // nothing is certain but that they begin alike
		{"/a", "~/b.*", false, true},
		{"/a/b", "~/a.*", false, false},
		{"/abc", "~/ab/.*", false, true},
		{"~/a/.*", "=/a/b", true, false},
		{"~/a/.*", "=/b", false, true},
		{"~/a/.*", "/a", false, false},
		{"~/a/.*", "~/a/.*", true, false},
		{"~/a/.*", "~/a/b.*", false, false},
		{"~/a.*", "~/b.*", false, true},
		{"~(?i)/a", "/b", false, false},
	} {
		a, b := coverer(t, tt.a), coverer(t, tt.b)
		if got := a.Covers(b); got != tt.covers {
			t.Errorf("%s covers %s: %v", tt.a, tt.b, got)
		}
		if got := a.Disjoint(b); got != tt.disjoint {
			t.Errorf("%s and %s are disjoint: %v", tt.a, tt.b, got)
		}
		if got := b.Disjoint(a); got != tt.disjoint {
			t.Errorf("%s and %s are disjoint: %v", tt.b, tt.a, got)
		}
	}
}

func drawPath(t *rapid.T) string {
	segment := rapid.SampledFrom([]string{"a", "b", "ab", "1"})
	path := "/" + strings.Join(rapid.SliceOfN(segment, 0, 3).Draw(t, "segments"), "/")
	if path != "/" && rapid.Bool().Draw(t, "slash") {
		path += "/"
	}
	return path
}

func drawPattern(t *rapid.T) string {
	switch path := drawPath(t); rapid.IntRange(0, 4).Draw(t, "kind") {
	case 0:
		return "=" + path
	case 1:
		return "~" + path + rapid.SampledFrom([]string{"", ".*", "/.*", "[0-9]", "b?", "|/b"}).Draw(t, "rest")
	default:
		return path
	}
}

// TestWhatIsSaidOfPatternsIsTrue tries paths on both.
func TestWhatIsSaidOfPatternsIsTrue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := coverer(t, drawPattern(t)), coverer(t, drawPattern(t))
		for range 30 {
			path := drawPath(t)
			if a.Covers(b) && b.Fits(path) && !a.Fits(path) {
				t.Fatalf("%s does not cover %s: %s", a, b, path)
			}
			if a.Disjoint(b) && a.Fits(path) && b.Fits(path) {
				t.Fatalf("%s and %s are not disjoint: %s", a, b, path)
			}
		}
	})
}

// TestWhatNoRouteGetsIsNotReached asks the table itself.
func TestWhatNoRouteGetsIsNotReached(t *testing.T) {
	unreached := 0
	rapid.Check(t, func(t *rapid.T) {
		var entries []route.Entry
		for range rapid.IntRange(1, 4).Draw(t, "routes") {
			entries = append(entries, route.Entry{
				Route: &route.Route{Name: string(rune('a' + len(entries)))}, Paths: []string{drawPattern(t), drawPattern(t)},
				Hosts:   rapid.SampledFrom([][]string{{"x.test"}, {"*.y.test"}, {"x.test", "*.y.test"}}).Draw(t, "hosts"),
				Methods: rapid.SampledFrom([][]string{nil, nil, {"GET"}, {"POST"}}).Draw(t, "methods"),
			})
		}
		table, err := route.NewTable(entries, nil)
		if err != nil {
			t.Skip("two routes clash")
		}
		p := coverer(t, drawPattern(t))
		for _, e := range entries {
			if table.Reaches(e.Route, p) {
				continue
			}
			unreached++
			for range 20 {
				path := drawPath(t)
				for _, host := range []string{"x.test", "w.y.test"} {
					for _, method := range []string{"GET", "POST"} {
						r := httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody)
						r.Host = host
						m, err := table.Match(r)
						if err == nil && m.Route == e.Route && p.Fits(path) {
							t.Fatalf("%s %s on %s finds %s by %s, of which it was said that none does by %s", method, path, host, e.Route.Name, m.Pattern, p)
						}
						if err != nil && !errors.Is(err, route.ErrHost) && !errors.Is(err, route.ErrNoRoute) && !errors.Is(err, route.ErrMethod) {
							t.Fatal(err)
						}
					}
				}
			}
		}
	})
	if unreached == 0 {
		t.Error("every route was reached by everything: nothing was put to the test")
	}
}

func TestReaches(t *testing.T) {
	app, admin, api := &route.Route{Name: "app"}, &route.Route{Name: "admin"}, &route.Route{Name: "api"}
	table, err := route.NewTable([]route.Entry{
		{Route: app, Paths: []string{"/"}},
		{Route: admin, Paths: []string{"/admin"}},
		{Route: api, Paths: []string{"/api"}, Hosts: []string{"api.example.com"}},
	}, []string{"app.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path string
		want []string
	}{
		{"/", []string{"app", "admin", "api"}},
		{"/admin", []string{"admin"}},
		{"/admin/x", []string{"admin"}},
		{"=/admin", []string{"admin"}},
		{"/x", []string{"app"}},
		{"/api/v1", []string{"app", "api"}}, // on one host each
		{"~/adm.*", []string{"app", "admin"}},
	} {
		var got []string
		for _, rt := range []*route.Route{app, admin, api} {
			if table.Reaches(rt, coverer(t, tt.path)) {
				got = append(got, rt.Name)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.path, got, tt.want)
		}
	}
}
