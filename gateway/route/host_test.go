package route_test

import (
	"net/http/httptest"
	"testing"

	"github.com/sallyport/sallyport/gateway/route"
)

func TestPoliciesSeeOneSpellingOfTheHost(t *testing.T) {
	table, err := route.NewTable([]route.Entry{{Route: &route.Route{Name: "app"}, Paths: []string{"/"}}}, []string{"app.example.test"})
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"app.example.test", "APP.Example.test", "app.example.test.", "app.example.test:8443", "App.example.test.:443"} {
		r := httptest.NewRequest("GET", "/x", nil)
		r.Host = host
		m, err := table.Match(r)
		if err != nil || m.Host != "app.example.test" {
			t.Errorf("%s: %q, %v", host, m.Host, err)
		}
	}
}
