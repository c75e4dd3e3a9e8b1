package login_test

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/login"
)

func TestAnswersAreSharedWithTheListedOriginsAlone(t *testing.T) {
	g := newGatewayWith(t, options{providers: []config.Provider{devProvider()}, change: func(o *login.Options) {
		o.CORSOrigins = []string{"https://app.example.com", "http://localhost:5173"}
	}})
	serve := (&httperr.Edge{}).Handle(g.Service.CORS(func(w http.ResponseWriter, r *http.Request) error {
		if r.Method != http.MethodGet {
			return &httperr.Error{Code: http.StatusMethodNotAllowed, Reason: "method_not_allowed"}
		}
		_, _ = io.WriteString(w, "alice")
		return nil
	}, http.MethodGet))
	type h = map[string][]string
	for name, c := range map[string]struct {
		method string
		header h
		status int
		shared string
	}{
		"a listed origin":             {"GET", h{"Origin": {"https://app.example.com"}}, 200, "https://app.example.com"},
		"another listed one":          {"GET", h{"Origin": {"http://localhost:5173"}}, 200, "http://localhost:5173"},
		"a refusal is readable":       {"POST", h{"Origin": {"https://app.example.com"}}, 405, "https://app.example.com"},
		"no origin":                   {"GET", nil, 200, ""},
		"another site":                {"GET", h{"Origin": {"https://evil.test"}}, 200, ""},
		"null":                        {"GET", h{"Origin": {"null"}}, 200, ""},
		"plain http":                  {"GET", h{"Origin": {"http://app.example.com"}}, 200, ""},
		"another port":                {"GET", h{"Origin": {"https://app.example.com:8443"}}, 200, ""},
		"a longer name":               {"GET", h{"Origin": {"https://app.example.com.evil.test"}}, 200, ""},
		"a name that ends so":         {"GET", h{"Origin": {"https://evilapp.example.com"}}, 200, ""},
		"in capitals":                 {"GET", h{"Origin": {"https://APP.example.com"}}, 200, ""},
		"two origins":                 {"GET", h{"Origin": {"https://app.example.com", "https://evil.test"}}, 200, ""},
		"a list of origins":           {"GET", h{"Origin": {"https://app.example.com https://evil.test"}}, 200, ""},
		"a preflight":                 {"OPTIONS", h{"Origin": {"https://app.example.com"}, "Access-Control-Request-Method": {"GET"}, "Access-Control-Request-Headers": {"x-requested-with,content-type"}}, 204, "https://app.example.com"},
		"a preflight of another site": {"OPTIONS", h{"Origin": {"https://evil.test"}, "Access-Control-Request-Method": {"GET"}}, 405, ""},
		"OPTIONS that is none":        {"OPTIONS", h{"Origin": {"https://app.example.com"}}, 405, "https://app.example.com"},
		"a method that is not needed": {"OPTIONS", h{"Origin": {"https://app.example.com"}, "Access-Control-Request-Method": {"DELETE"}}, 405, "https://app.example.com"},
		"a header that is not needed": {"OPTIONS", h{"Origin": {"https://app.example.com"}, "Access-Control-Request-Method": {"GET"}, "Access-Control-Request-Headers": {"authorization"}}, 405, "https://app.example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(c.method, "/.auth/me", nil)
			maps.Copy(r.Header, c.header)
			w := httptest.NewRecorder()
			serve.ServeHTTP(w, r)
			got := w.Header()
			if w.Code != c.status || got.Get("Access-Control-Allow-Origin") != c.shared || !slices.Contains(got["Vary"], "Origin") {
				t.Errorf("%d with %v", w.Code, got)
			}
			if want := map[bool]string{true: "true"}[c.shared != ""]; got.Get("Access-Control-Allow-Credentials") != want {
				t.Errorf("credentials: %q", got.Get("Access-Control-Allow-Credentials"))
			}
			for name := range got {
				if c.shared == "" && strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("%s: %q", name, got[name])
				}
			}
			if methods := got.Get("Access-Control-Allow-Methods"); (methods == "GET") != (c.status == http.StatusNoContent) {
				t.Errorf("methods %q", methods)
			}
		})
	}
}
