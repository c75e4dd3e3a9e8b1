package login_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/login"
	"github.com/sallyport/sallyport/gateway/session"
)

// formRecords keeps records in a map, and fails on demand.
type formRecords struct {
	mu   sync.Mutex
	all  map[string]session.Record
	down bool
}

var _ session.Records = (*formRecords)(nil)

func (f *formRecords) LoadRecord(_ context.Context, kind, name string) (session.Record, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return session.Record{}, errStoreDown
	}
	rec, ok := f.all[kind+"\x00"+name]
	if !ok {
		return session.Record{}, session.ErrNotFound
	}
	return rec, nil
}

func (f *formRecords) SaveRecord(_ context.Context, kind, name string, version uint64, value []byte, expires time.Time) (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return 0, errStoreDown
	}
	if f.all[kind+"\x00"+name].Version != version {
		return 0, session.ErrConflict
	}
	f.all[kind+"\x00"+name] = session.Record{Value: value, Version: version + 1, ExpiresAt: expires}
	return version + 1, nil
}

func (f *formRecords) RemoveRecord(_ context.Context, kind, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.all, kind+"\x00"+name)
	return nil
}

func (f *formRecords) setDown(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
}

// sendForm is what the gateway does with a form that came without a session.
func (g *gateway) sendForm(t *testing.T, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, g.URL+"/orders", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Origin", g.URL)
	w := httptest.NewRecorder()
	e := &httperr.Error{Code: http.StatusUnauthorized, Reason: login.ReasonNoSession, LoginURL: "/.auth/login"}
	written, err := g.Service.ErrorPage(w, r, e, "id")
	if !written || err != nil || w.Code != http.StatusUnauthorized {
		t.Fatalf("written: %v, %v, %d", written, err, w.Code)
	}
	return w
}

func TestKeptFormIsSealedAndShortLived(t *testing.T) {
	records := &formRecords{all: map[string]session.Record{}}
	g := newGatewayWith(t, options{providers: []config.Provider{devProvider()}, forms: records})
	w := g.sendForm(t, "account=12345678")
	if strings.Contains(w.Body.String(), "12345678") {
		t.Error("the page has it too")
	}
	if len(records.all) != 1 {
		t.Fatalf("%d records", len(records.all))
	}
	cookie := w.Header().Get("Set-Cookie")
	for name, rec := range records.all {
		if bytes.Contains(rec.Value, []byte("12345678")) || bytes.Contains(rec.Value, []byte("MTIzNDU2Nzg")) {
			t.Error("the record is not sealed")
		}
		if left := time.Until(rec.ExpiresAt); left > 10*time.Minute || left < 9*time.Minute {
			t.Errorf("it is kept for %v", left)
		}
		_, id, _ := strings.Cut(name, "\x00")
		if len(id) != 12 || !strings.Contains(cookie, "f"+id) {
			t.Errorf("record %q, cookie %q", name, cookie)
		}
	}
}

// TestKeptFormIsShownToOneOfManyTabs: of those that ask at once.
func TestKeptFormIsShownToOneOfManyTabs(t *testing.T) {
	records := &formRecords{all: map[string]session.Record{}}
	g := newGatewayWith(t, options{providers: []config.Provider{devProvider()}, forms: records})
	ck, err := http.ParseSetCookie(g.sendForm(t, "amount=100").Header().Get("Set-Cookie"))
	if err != nil {
		t.Fatal(err)
	}
	b := g.person(t)
	b.setCookie(ck.Name, ck.Value)
	b.post("/.auth/login", url.Values{"provider": {"dev"}, "username": {"alice"}})

	records.setDown(true)
	if got := b.get("/.auth/resend"); got.StatusCode != http.StatusServiceUnavailable || len(got.Cookies()) != 0 {
		t.Errorf("while the store is down: %d, cookies %v", got.StatusCode, got.Cookies())
	}
	records.setDown(false)

	cookies := "sp=" + b.session() + "; " + ck.Name + "=" + ck.Value
	var shown atomic.Int32
	var tabs sync.WaitGroup
	for range 8 {
		tabs.Go(func() {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, g.URL+"/.auth/resend", nil)
			r.Header.Set("Accept", "text/html")
			r.Header.Set("Cookie", cookies)
			w := httptest.NewRecorder()
			if err := g.Service.Resend(w, r); err != nil {
				t.Error(err)
			}
			if strings.Contains(w.Body.String(), `value="100"`) {
				shown.Add(1)
			}
		})
	}
	tabs.Wait()
	if n := shown.Load(); n != 1 {
		t.Errorf("%d tabs can send it", n)
	}
	for name, rec := range records.all {
		if len(rec.Value) != 0 {
			t.Errorf("%q is kept on", name)
		}
	}
}

// TestFormIsKeptInItsPageWhileTheStoreIsDown: nobody loses anything.
func TestFormIsKeptInItsPageWhileTheStoreIsDown(t *testing.T) {
	g := newGatewayWith(t, options{providers: []config.Provider{devProvider()}, forms: &formRecords{all: map[string]session.Record{}, down: true}})
	w := g.sendForm(t, "amount=100")
	if !strings.Contains(w.Body.String(), `name="amount" value="100"`) || w.Header().Get("Set-Cookie") != "" {
		t.Errorf("cookie %q: %s", w.Header().Get("Set-Cookie"), w.Body)
	}
}

// TestErrorsThatNoFormCausedAreLeftAlone: the usual page answers them.
func TestErrorsThatNoFormCausedAreLeftAlone(t *testing.T) {
	g := newGateway(t, devProvider())
	for name, c := range map[string]struct {
		method string
		e      httperr.Error
	}{
		"a page":                        {http.MethodGet, httperr.Error{Code: 401, LoginURL: "/.auth/login"}},
		"another method":                {http.MethodPut, httperr.Error{Code: 401, LoginURL: "/.auth/login"}},
		"a route that takes no session": {http.MethodPost, httperr.Error{Code: 401}},
		"not allowed":                   {http.MethodPost, httperr.Error{Code: 403, LoginURL: "/.auth/login"}},
		"an outage":                     {http.MethodPost, httperr.Error{Code: 503, LoginURL: "/.auth/login"}},
	} {
		body := strings.NewReader("a=1")
		r := httptest.NewRequestWithContext(t.Context(), c.method, g.URL+"/orders", body)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Accept", "text/html")
		r.Header.Set("Origin", g.URL)
		w := httptest.NewRecorder()
		if written, err := g.Service.ErrorPage(w, r, &c.e, ""); written || err != nil || w.Body.Len() > 0 || body.Len() != 3 {
			t.Errorf("%s: written: %v, %v, %d bytes left", name, written, err, body.Len())
		}
	}
}
