//go:build e2e

package e2e_test

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// person is somebody at a browser without scripts, who follows redirects and
// sends the forms that are shown.
type person struct {
	t      *testing.T
	site   *site
	client *http.Client
	jar    *cookiejar.Jar
	hops   []hop // of everything so far
}

// hop is one answer on the way.
type hop struct {
	url       string
	status    int
	setCookie []*http.Cookie
	size      int // of the headers of the answer, in bytes
}

// page is where a person ends up.
type page struct {
	url    string
	status int
	header http.Header
	body   string
}

func (s *site) person(t *testing.T) *person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &person{t: t, site: s, jar: jar}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	p.client = &http.Client{Timeout: 20 * time.Second, Jar: jar, Transport: &recorder{p, transport}}
	return p
}

// recorder notes every answer.
type recorder struct {
	p    *person
	next http.RoundTripper
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := r.next.RoundTrip(req)
	if err == nil {
		if strings.HasPrefix(req.URL.String(), r.p.site.url) {
			env.Harvest(req.URL.String(), append(req.Cookies(), res.Cookies()...))
			env.Harvest(res.Header.Get("Location"), nil)
		}
		var b strings.Builder
		_ = res.Header.Write(&b)
		r.p.hops = append(r.p.hops, hop{req.URL.String(), res.StatusCode, res.Cookies(), b.Len()})
	}
	return res, err
}

// open navigates to a URL; one that begins with / is of the site.
func (p *person) open(to string) page {
	p.t.Helper()
	if strings.HasPrefix(to, "/") {
		to = p.site.url + to
	}
	return p.navigate(http.MethodGet, to, "")
}

// answer sends the form of a page, with one more field if it has a name.
func (p *person) answer(at page, name, value string) page {
	p.t.Helper()
	action, fields := at.form(p.t)
	if name != "" {
		fields.Set(name, value)
	}
	return p.navigate(http.MethodPost, action, fields.Encode())
}

// signIn opens a page and signs in on the way.
func (p *person) signIn(to, account string) page {
	p.t.Helper()
	at := p.open(to)
	p.wantProvider(at)
	return p.answer(at, "account", account)
}

func (p *person) navigate(method, to, form string) page {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, to, strings.NewReader(form))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	if form != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", req.URL.Scheme+"://"+req.URL.Host)
	}
	res, err := p.client.Do(req)
	if err != nil {
		p.t.Fatalf("%v\nafter %s", err, p.trail())
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return page{res.Request.URL.String(), res.StatusCode, res.Header, string(text)}
}

var (
	formTag   = regexp.MustCompile(`(?s)<form([^>]*)>`)
	inputTag  = regexp.MustCompile(`(?s)<(?:input|textarea)([^>]*)>`)
	attribute = regexp.MustCompile(`([a-z-]+)="([^"]*)"`)
)

// form reads the first form of a page, of which each is simple.
func (at page) form(t *testing.T) (action string, fields url.Values) {
	t.Helper()
	tag := formTag.FindStringSubmatch(at.body)
	if tag == nil {
		t.Fatalf("%s (%d) has no form:\n%s", at.url, at.status, at.body)
	}
	base, err := url.Parse(at.url)
	if err != nil {
		t.Fatal(err)
	}
	target, err := base.Parse(attributes(tag[1])["action"])
	if err != nil {
		t.Fatal(err)
	}
	fields = url.Values{}
	for _, input := range inputTag.FindAllStringSubmatch(at.body, -1) {
		if a := attributes(input[1]); a["name"] != "" {
			fields.Set(a["name"], a["value"])
		}
	}
	return target.String(), fields
}

func attributes(tag string) map[string]string {
	all := map[string]string{}
	for _, a := range attribute.FindAllStringSubmatch(tag, -1) {
		all[a[1]] = html.UnescapeString(a[2])
	}
	return all
}

// wantProvider fails unless the page is the provider's, where people sign in.
func (p *person) wantProvider(at page) {
	p.t.Helper()
	if !strings.HasPrefix(at.url, p.site.provider.Issuer+"/interaction/") || at.status != http.StatusOK {
		p.t.Fatalf("not at the provider's page, but at %s (%d):\n%s\nafter %s", at.url, at.status, at.body, p.trail())
	}
}

// wantAt fails unless the page is this one of the site, and nothing on the way
// to it was an error.
func (p *person) wantAt(at page, path string) {
	p.t.Helper()
	if at.url != p.site.url+path || at.status != http.StatusOK {
		p.t.Errorf("at %s (%d), want %s:\n%.600s\nafter %s", at.url, at.status, path, at.body, p.trail())
	}
	p.wantNoError()
}

// wantNoError fails if any answer so far was an error.
func (p *person) wantNoError() {
	p.t.Helper()
	for _, h := range p.hops {
		if h.status >= http.StatusBadRequest {
			p.t.Errorf("%d at %s", h.status, h.url)
		}
	}
}

func (p *person) trail() string {
	var b strings.Builder
	for _, h := range p.hops[max(0, len(p.hops)-12):] {
		b.WriteString("\n  " + http.StatusText(h.status) + " " + h.url)
	}
	return b.String()
}

// me is the status of /.auth/me and its body.
func (p *person) me() (status int, body string) {
	p.t.Helper()
	got := send(p.t, p.client, http.MethodGet, p.site.url+"/.auth/me")
	return got.status, got.body
}

// cookie is the value of a cookie of the site, or "".
func (p *person) cookie(name string) string {
	p.t.Helper()
	u, err := url.Parse(p.site.url)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, c := range p.jar.Cookies(u) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// forget removes a cookie of the site, as time does.
func (p *person) forget(name string) {
	p.t.Helper()
	u, err := url.Parse(p.site.url)
	if err != nil {
		p.t.Fatal(err)
	}
	p.jar.SetCookies(u, []*http.Cookie{{Name: name, Path: "/", MaxAge: -1}})
}

// sessions are the values of the session cookie that were ever set, oldest
// first.
func (p *person) sessions() (values []string) {
	for _, h := range p.hops {
		for _, c := range h.setCookie {
			if c.Name == "sp" && c.Value != "" {
				values = append(values, c.Value)
			}
		}
	}
	return values
}

// lastURL is the URL of the last answer that came from such an address.
func (p *person) lastURL(prefix string) string {
	p.t.Helper()
	for _, h := range slices.Backward(p.hops) {
		if strings.HasPrefix(h.url, prefix) {
			return h.url
		}
	}
	p.t.Fatalf("never at %s:%s", prefix, p.trail())
	return ""
}
