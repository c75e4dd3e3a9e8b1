package gateway_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway"
)

// kindsSite is a site with a route for each further credential kind, and one
// that takes them all.
type kindsSite struct {
	*site
	oauth *oauthServer
}

// oauthServer is an authorization server that knows the token "good".
type oauthServer struct {
	*httptest.Server

	mu    sync.Mutex
	down  bool
	asked []string
}

func (o *oauthServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	token := r.PostFormValue("token")
	o.mu.Lock()
	o.asked = append(o.asked, token)
	down := o.down
	o.mu.Unlock()
	switch {
	case down:
		w.WriteHeader(http.StatusBadGateway)
	case id != "gateway" || secret != "introspect-me":
		w.WriteHeader(http.StatusUnauthorized)
	case token == "good":
		fmt.Fprintf(w, `{"active":true,"sub":"opaque-user","sid":"sid-of-opaque","groups":["users"],"exp":%d}`, time.Now().Add(time.Hour).Unix())
	default:
		fmt.Fprint(w, `{"active":false}`)
	}
}

func (o *oauthServer) fail(down bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.down = down
}

func (o *oauthServer) tokens() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.asked)
}

const (
	peoplesPassword = "correct:horse battery"
	operatorsToken  = "the operators' token"
)

func newKindsSite(t *testing.T) *kindsSite {
	t.Helper()
	o := &oauthServer{}
	o.Server = httptest.NewServer(o)
	t.Cleanup(o.Close)
	hash, err := gateway.HashPassword(peoplesPassword)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	users := file("users.yaml", fmt.Sprintf("users: [{username: paula, password_hash: '%s', email: paula@example.test, groups: [users]}]", hash))
	iss := `, policy: users, headers: [{name: X-Forwarded-Issuer, claim: iss}]}`
	s := newSite(t, plan{
		providers:  "- {name: local, type: users, file: " + users + "}",
		adminToken: file("admin", operatorsToken),
		tokens: fmt.Sprintf("introspection: [{name: corp, endpoint: %q, client_id: gateway, client_secret_file: %s, timeout: 1s}]",
			o.URL+"/introspect", file("client", "introspect-me")),
		routes: `
  - {name: opaque, paths: [/opaque/], upstream: "$UP", auth: [introspection]` + iss + `
  - {name: basic, paths: [/basic/], upstream: "$UP", auth: [basic]` + iss + `
  - {name: keys, paths: [/keys/], upstream: "$UP", auth: [api_key]` + iss + `
  - {name: all, paths: [/all/], upstream: "$UP", auth: [session, bearer, introspection, basic, api_key]` + iss,
	})
	return &kindsSite{s, o}
}

// admin asks the operators' API.
func (s *site) admin(t *testing.T, method, path string, body any) *httptest.ResponseRecorder {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, "/api/v1"+path, strings.NewReader(string(text)))
	r.Header.Set("Authorization", "Bearer "+operatorsToken)
	w := httptest.NewRecorder()
	s.gw.AdminHandler().ServeHTTP(w, r)
	return w
}

// apiKey makes a key, with more members of the wish.
func (s *site) apiKey(t *testing.T, more map[string]any) (key, id string) {
	t.Helper()
	wish := map[string]any{"name": "n", "subject": "robot", "groups": []string{"users"}}
	maps.Copy(wish, more)
	w := s.admin(t, http.MethodPost, "/apikeys", wish)
	var made struct{ Key, ID string }
	if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil || w.Code != http.StatusCreated {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return made.Key, made.ID
}

func basicLine(pair string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(pair))
}

// reason returns the word of a refusal.
func (a answer) reason(t *testing.T) string {
	t.Helper()
	var problem struct{ Reason string }
	if err := json.Unmarshal([]byte(a.text), &problem); err != nil {
		t.Fatalf("no problem document: %.200s", a.text)
	}
	return problem.Reason
}

// noCredential asserts that the application got none of what the gateway took.
func (r received) noCredential(t *testing.T) {
	t.Helper()
	for _, name := range []string{"Authorization", "X-API-Key", "DPoP"} {
		if got := r.header(name); len(got) != 0 {
			t.Errorf("%s reached the application", name)
		}
	}
}
