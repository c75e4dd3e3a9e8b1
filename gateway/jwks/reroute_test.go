package jwks_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/jwks"
)

// Only what is at the issuer's own scheme, host and port goes by the other
// address: not what the same host has at another port, nor what is merely alike.
func TestRerouteMovesOneOriginAlone(t *testing.T) {
	var asked string
	inside := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked = "inside " + r.Host + r.URL.RequestURI() }))
	t.Cleanup(inside.Close)
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked = "other " + r.URL.RequestURI() }))
	t.Cleanup(other.Close)
	insideHost := strings.TrimPrefix(inside.URL, "http://")
	for target, want := range map[string]string{
		"https://id.example.test/token?x=%2F": "inside " + insideHost + "/token?x=%2F",
		"https://ID.example.test:443/keys":    "inside " + insideHost + "/keys",
		other.URL + "/elsewhere":              "other /elsewhere",
	} {
		client, err := jwks.NewClient("")
		if err != nil {
			t.Fatal(err)
		}
		if err := jwks.Reroute(client, "https://id.example.test/realms/a", inside.URL); err != nil {
			t.Fatal(err)
		}
		asked = ""
		res, err := client.Get(target)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if asked != want {
			t.Errorf("%s asked %q, want %q", target, asked, want)
		}
	}
	if err := jwks.Reroute(&http.Client{}, "https://id.example.test", inside.URL); err == nil {
		t.Error("a client that could not be moved was taken")
	}
}
