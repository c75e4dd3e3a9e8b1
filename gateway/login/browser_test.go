package login_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"
)

// browser keeps cookies and follows no redirect by itself.
type browser struct {
	t      *testing.T
	g      *gateway
	client *http.Client
	header http.Header // sent with every request
}

// answer is a response with its body read.
type answer struct {
	*http.Response
	body string
}

func (a *answer) location() string { return a.Header.Get("Location") }

// reason is that of a problem document.
func (a *answer) reason() string {
	var doc struct{ Reason string }
	_ = json.Unmarshal([]byte(a.body), &doc)
	return doc.Reason
}

// setCookie returns the last Set-Cookie of a name.
func (a *answer) setCookie(name string) *http.Cookie {
	var last *http.Cookie
	for _, ck := range a.Cookies() {
		if ck.Name == name {
			last = ck
		}
	}
	return last
}

func (g *gateway) browser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig.InsecureSkipVerify = true // the test server's own certificate
	t.Cleanup(transport.CloseIdleConnections)
	return &browser{t: t, g: g, header: http.Header{}, client: &http.Client{
		Jar: jar, Transport: transport, Timeout: 20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// program is a client that is no browser and keeps cookies.
func (g *gateway) program(t *testing.T) *browser { t.Helper(); return g.browser(t) }

func (b *browser) do(method, target string, form url.Values, header ...string) *answer {
	b.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	if strings.HasPrefix(target, "/") {
		target = b.g.URL + target
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, target, body)
	if err != nil {
		b.t.Fatal(err)
	}
	maps.Copy(req.Header, b.header)
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
			continue
		}
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	if strings.HasPrefix(target, b.g.URL+"/.auth/") {
		checkGatewayAnswer(b.t, resp)
	}
	return &answer{resp, string(data)}
}

// checkGatewayAnswer asserts what holds for every answer of every endpoint.
func checkGatewayAnswer(t *testing.T, resp *http.Response) {
	t.Helper()
	if got := resp.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("%s %s: Cache-Control is %q, so a cache may keep the answer", resp.Request.Method, resp.Request.URL.Path, got)
	}
	if resp.StatusCode == http.StatusMovedPermanently || resp.StatusCode == http.StatusPermanentRedirect {
		t.Errorf("%s: %d is remembered by browsers", resp.Request.URL.Path, resp.StatusCode)
	}
	for name := range resp.Header {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("%s: %s lets other sites read the answer", resp.Request.URL.Path, name)
		}
	}
	if len(resp.Header["Cache-Control"]) != 1 {
		t.Errorf("%s: several Cache-Control headers", resp.Request.URL.Path)
	}
	total := 0
	for _, line := range resp.Header["Set-Cookie"] {
		total += len(line)
	}
	if total > 4096 {
		t.Errorf("%s sets %d bytes of cookies", resp.Request.URL.Path, total)
	}
}

func (b *browser) get(target string, header ...string) *answer {
	b.t.Helper()
	return b.do(http.MethodGet, target, nil, header...)
}

func (b *browser) post(target string, form url.Values, header ...string) *answer {
	b.t.Helper()
	return b.do(http.MethodPost, target, form, header...)
}

func (b *browser) cookie(name string) string {
	u, err := url.Parse(b.g.URL)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, ck := range b.client.Jar.Cookies(u) {
		if ck.Name == name {
			return ck.Value
		}
	}
	return ""
}

func (b *browser) setCookie(name, value string) {
	u, err := url.Parse(b.g.URL)
	if err != nil {
		b.t.Fatal(err)
	}
	b.client.Jar.SetCookies(u, []*http.Cookie{{Name: name, Value: value, Path: "/"}})
}

// session is the value of the session cookie; "" without one.
func (b *browser) session() string { return b.cookie(b.g.Manager.Cookies().Name()) }

// beginLogin goes to the provider and returns the callback URL to which it
// would send the browser.
func (b *browser) beginLogin(returnTo string) (callback string) {
	b.t.Helper()
	target := "/.auth/login"
	if returnTo != "" {
		target += "?return_to=" + url.QueryEscape(returnTo)
	}
	start := b.get(target)
	if start.StatusCode != http.StatusFound {
		b.t.Fatalf("the sign-in answered %d instead of a redirect: %s", start.StatusCode, start.body)
	}
	consent := b.get(start.location())
	if consent.StatusCode != http.StatusFound {
		b.t.Fatalf("the provider answered %d: %s", consent.StatusCode, consent.body)
	}
	return consent.location()
}

// signIn goes all the way, and returns the callback's answer.
func (b *browser) signIn(returnTo string) *answer {
	b.t.Helper()
	back := b.get(b.beginLogin(returnTo))
	if back.StatusCode != http.StatusFound {
		b.t.Fatalf("the callback answered %d: %s\n%s", back.StatusCode, back.body, b.g.everythingLogged())
	}
	return back
}

func (b *browser) me() (who map[string]any, status int) {
	b.t.Helper()
	resp := b.get("/.auth/me")
	who = map[string]any{}
	if err := json.Unmarshal([]byte(resp.body), &who); err != nil {
		b.t.Fatalf("/.auth/me is no JSON: %s", resp.body)
	}
	return who, resp.StatusCode
}
