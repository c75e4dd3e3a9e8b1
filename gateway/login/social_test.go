package login_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport/sallyport/gateway/config"
)

// social is a scripted OAuth 2.0 service: it consents at once, checks the client,
// the redirect URI and the code verifier, and has an API.
type social struct {
	t      *testing.T
	URL    string
	secret string
	post   bool // the secret must come in the form

	wantsState bool // the exchange must repeat the state

	mu          sync.Mutex
	api         map[string]http.HandlerFunc // by path; the access token was checked
	tokenStatus int
	tokenAnswer func(map[string]any)
	tokenBody   string
	answer      func(url.Values)
	grants      map[string]url.Values // the request, by code
	access      map[string]bool
	requests    []url.Values
	calls       map[string]int
}

// newSocial starts a service whose API has this to say of the user.
func newSocial(t *testing.T, user string) *social {
	t.Helper()
	s := &social{
		t: t, secret: "a secret", api: map[string]http.HandlerFunc{}, grants: map[string]url.Values{}, access: map[string]bool{}, calls: map[string]int{},
	}
	if user == "" {
		user = `{"sub":"alice"}`
	}
	s.says("/user", user)
	srv := httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(srv.Close)
	s.URL = srv.URL
	return s
}

// says sets what the API answers at a path.
func (s *social) says(path, body string) {
	s.does(path, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = w.Write([]byte(body))
	})
}

func (s *social) does(path string, h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.api[path] = h
}

// script changes how the service behaves.
func (s *social) script(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *social) called(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[path]
}

func (s *social) request(i int) url.Values {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests[i]
}

func (s *social) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.calls[r.URL.Path]++
	api := s.api[r.URL.Path]
	allowed := s.access[r.Header.Get("Authorization")]
	s.mu.Unlock()
	switch {
	case r.URL.Path == "/authorize":
		s.serveAuthorize(w, r)
	case r.URL.Path == "/token":
		s.serveToken(w, r)
	case api == nil:
		w.WriteHeader(http.StatusNotFound)
	case !allowed:
		w.WriteHeader(http.StatusUnauthorized)
	default:
		api(w, r)
	}
}

func (s *social) serveAuthorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	code := rand.Text()
	answer := url.Values{"code": {code}, "state": {q.Get("state")}}
	s.mu.Lock()
	s.requests = append(s.requests, q)
	s.grants[code] = q
	if s.answer != nil {
		s.answer(answer)
	}
	s.mu.Unlock()
	if q.Get("response_type") != "code" || q.Get("client_id") != "app" || q.Get("code_challenge_method") != "S256" || q.Get("state") == "" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.Header().Set("Location", q.Get("redirect_uri")+"?"+answer.Encode())
	w.WriteHeader(http.StatusFound)
}

func (s *social) serveToken(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	form := r.PostForm
	s.mu.Lock()
	defer s.mu.Unlock()
	grant := s.grants[form.Get("code")]
	delete(s.grants, form.Get("code"))
	id, secret := form.Get("client_id"), form.Get("client_secret")
	if user, password, ok := r.BasicAuth(); ok {
		id, _ = url.QueryUnescape(user)
		secret, _ = url.QueryUnescape(password)
		if s.post {
			id = ""
		}
	}
	sum := sha256.Sum256([]byte(form.Get("code_verifier")))
	w.Header().Set("Content-Type", "application/json")
	switch {
	case s.tokenBody != "":
		_, _ = w.Write([]byte(s.tokenBody))
		return
	case s.tokenStatus != 0:
		w.WriteHeader(s.tokenStatus)
		return
	case id != "app" || secret != s.secret:
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"error":"invalid_client"}`))
		return
	case grant == nil || grant.Get("redirect_uri") != form.Get("redirect_uri") || form.Get("grant_type") != "authorization_code" ||
		s.wantsState && grant.Get("state") != form.Get("state") || grant.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]):
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))
		return
	}
	access := rand.Text()
	s.access["Bearer "+access] = true
	answer := map[string]any{"access_token": access, "token_type": "bearer", "expires_in": "3600", "refresh_token": rand.Text()}
	if s.tokenAnswer != nil {
		s.tokenAnswer(answer)
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// provider is an entry of the configuration as it comes out of a file, with
// the URLs of the service and more lines of YAML.
func (s *social) provider(kind string, more ...string) config.Provider {
	s.t.Helper()
	return parseProvider(s.t, kind, append(more,
		"authorization_url: "+s.URL+"/authorize", "token_url: "+s.URL+"/token", "userinfo_url: "+s.URL+"/user", `client_secret: "a secret"`)...)
}

// parseProvider reads an entry of the configuration, with its defaults.
func parseProvider(t *testing.T, kind string, lines ...string) config.Provider {
	t.Helper()
	text := fmt.Sprintf("login: {providers: [{name: %s, type: %s, client_id: app, %s}]}\n", kind, kind, strings.Join(lines, ", ")) +
		"routes: [{name: app, upstream: 'http://127.0.0.1:3000', policy: authenticated}]\n"
	cfg, err := config.Parse("test", []byte(text), nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return cfg.Login.Providers[0]
}

// whoSignsIn signs in and returns what the gateway takes the user for.
func (g *gateway) whoSignsIn(t *testing.T) map[string]any {
	t.Helper()
	b := g.browser(t)
	b.signIn("/")
	who, status := b.me()
	if status != http.StatusOK {
		t.Fatalf("/.auth/me answers %d", status)
	}
	maps.DeleteFunc(who, func(name string, _ any) bool { return strings.HasSuffix(name, "_at") || name == "auth_time" })
	return who
}
