package route_test

import (
	"strings"
	"testing"
)

func TestEveryRouteSaysWhyItIsNotTheOne(t *testing.T) {
	tab := table(t,
		entry("app", "", "/"), entry("read", "", "/files", "GET"), entry("write", "", "/files", "PUT"),
		entry("deep", "", "/files/deep"), entry("expression", "", "~/files/[0-9]+"),
		entry("wild", "*.example.test", "/"), entry("other", "other.example.test", "/"),
	)
	tests := map[string]struct {
		method, target, host string
		why                  map[string]string
	}{
		"the path": {"GET", "/files/deep/1", "app.example.test", map[string]string{
			"deep": "/files/deep on app.example.test", "read": "covers the path too, but /files/deep is more specific",
			"expression": "no path of it covers /files/deep/1", "app": "/ covers the path too",
		}},
		"the method": {"DELETE", "/files/x", "app.example.test", map[string]string{"read": "does not list DELETE: GET", "write": "does not list DELETE: PUT"}},
		"the host": {"GET", "/x", "other.example.test", map[string]string{
			"other": "/ on other.example.test", "wild": "other routes list other.example.test exactly", "app": "is for app.example.test, not for other.example.test",
		}},
		"a wildcard":    {"GET", "/x", "any.example.test", map[string]string{"wild": "/ on *.example.test"}},
		"no such host":  {"GET", "/x", "else.test", map[string]string{"wild": "is for *.example.test, not for else.test"}},
		"bad path":      {"GET", "/a/../b", "app.example.test", map[string]string{"app": "no route is looked for"}},
		"bad host":      {"GET", "/a", "a b", map[string]string{"app": "the Host header is missing or malformed"}},
		"encoded slash": {"GET", "/a%2fb", "app.example.test", map[string]string{"app": "the request is refused before"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, candidates, _ := tab.Explain(request(tt.method, tt.target, tt.host))
			found := 0
			for _, c := range candidates {
				if want, ok := tt.why[c.Route]; ok {
					found++
					if !strings.Contains(c.Why, want) {
						t.Errorf("%s: %q, want %q", c.Route, c.Why, want)
					}
				}
			}
			if found != len(tt.why) {
				t.Errorf("only %d of the routes are explained: %+v", found, candidates)
			}
		})
	}
}
