package admin

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// maxCounted is how many sessions are counted before an operator ends them. Beyond it
// he is told that there are more.
const maxCounted = 20_000

// SessionPages are the sessions to look at, and to end. What takes long is worked on
// beside, and shown while it goes on.
func SessionPages(sessions Sessions, audit *telemetry.Trail, jobs *Jobs) ([]Page, []Form) {
	p := &sessionPages{e: &sessionEndpoints{sessions: sessions, audit: audit}, jobs: jobs}
	pages := []Page{
		{Path: "/sessions", Name: "Sessions", Show: p.list},
		{Path: "/sessions/{id}", Show: p.show},
		{Path: "/sessions/revoke", Show: p.confirm},
		jobs.page("/sessions"),
	}
	return pages, []Form{{Path: "/sessions/revoke", Do: p.revoke}}
}

type sessionPages struct {
	e    *sessionEndpoints
	jobs *Jobs
}

type sessionsView struct {
	Sessions []Session
	Query    map[string]string
	Next     string // the address of the next page
	Problem  string
	Narrowed bool
	User     *Revocation // whose sessions these are, where it is one user
}

// sessionFields are what the form of the list narrows by.
func sessionFields() []string {
	return []string{"subject", "issuer", "email", "provider", "provider_session", "route", "older_than", "idle_longer_than"}
}

func (p *sessionPages) list(r *http.Request) (*View, error) {
	v := &sessionsView{Query: map[string]string{}}
	values, given := url.Values{}, r.URL.Query()
	for _, name := range sessionFields() {
		if value := given.Get(name); value != "" { // an empty field is one that was left alone
			values.Set(name, value)
			v.Query[name], v.Narrowed = value, true
		}
	}
	if after := given.Get("after"); after != "" {
		values.Set("after", after)
	}
	values.Set("limit", "50")
	view := &View{Title: "Sessions", File: "sessions", Data: v}
	q, problem := readQuery(values, time.Now())
	if problem != "" {
		v.Problem = problem
		return view, nil
	}
	page, err := p.e.sessions.List(r.Context(), q)
	if err != nil {
		return nil, sessionsOutage(err)
	}
	for i := range page.Sessions {
		v.Sessions = append(v.Sessions, p.e.view(&page.Sessions[i]))
	}
	if page.Next != (session.Key{}) {
		values.Set("after", hex.EncodeToString(page.Next[:]))
		values.Del("limit")
		v.Next = "/sessions?" + values.Encode()
	}
	if q.Issuer != "" && q.Subject != "" {
		v.User = &Revocation{Issuer: q.Issuer, Subject: q.Subject}
	}
	return view, nil
}

func (p *sessionPages) show(r *http.Request) (*View, error) {
	l, err := p.e.sessions.Find(r.Context(), r.PathValue("id"))
	if err != nil {
		return nil, noSuchSession(err)
	}
	return &View{Title: "Session", File: "session", Data: p.e.view(&l)}, nil
}

// ending is what is to be ended, as a form asks for it, and how much that is.
type ending struct {
	ID, Issuer, Subject, ProviderSession, Before string

	Count   int
	More    bool // than Count
	Problem string
}

// readEnding reads it from a query or a form. Of a time, hours and minutes are
// enough, in UTC.
func (p *sessionPages) readEnding(given url.Values, now time.Time) (*ending, *Revocation) {
	e := &ending{
		ID: given.Get("id"), Issuer: given.Get("issuer"), Subject: given.Get("subject"),
		ProviderSession: given.Get("provider_session"), Before: given.Get("before"),
	}
	if e.ID != "" {
		return e, nil
	}
	v := &Revocation{Issuer: e.Issuer, Subject: e.Subject, ProviderSession: e.ProviderSession}
	if e.Before != "" {
		for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", "2006-01-02T15:04:05"} {
			if t, err := time.Parse(layout, e.Before); err == nil {
				v.Before = t
				break
			}
		}
		if v.Before.IsZero() {
			e.Problem = "This is no time: write it as 2026-03-01T12:00, in UTC."
			return e, v
		}
		e.Before = v.Before.UTC().Format(time.RFC3339)
	}
	_, e.Problem = p.e.judge(v, now)
	return e, v
}

// confirm says what would be ended, and how many sessions that is.
func (p *sessionPages) confirm(r *http.Request) (*View, error) {
	e, v := p.readEnding(r.URL.Query(), time.Now())
	view := &View{Title: "End sessions", File: "revoke", Data: e}
	switch {
	case e.Problem != "":
		return view, nil
	case v == nil:
		l, err := p.e.sessions.Find(r.Context(), e.ID)
		if err != nil {
			return nil, noSuchSession(err)
		}
		e.Issuer, e.Subject, e.Count = l.Identity.Issuer, l.Identity.Subject, 1
		return view, nil
	}
	q := session.Query{Issuer: v.Issuer, Subject: v.Subject, ProviderSession: v.ProviderSession, CreatedBefore: v.Before, Limit: session.MaxPage}
	var err error
	if e.Count, e.More, err = p.count(r.Context(), q); err != nil {
		return nil, sessionsOutage(err)
	}
	return view, nil
}

func (p *sessionPages) count(ctx context.Context, q session.Query) (n int, more bool, err error) {
	for n < maxCounted {
		page, err := p.e.sessions.List(ctx, q)
		if err != nil {
			return 0, false, err
		}
		n += len(page.Sessions)
		if page.Next == (session.Key{}) {
			return n, false, nil
		}
		q.After = page.Next
	}
	return n, true, nil
}

// revoke ends what was confirmed.
func (p *sessionPages) revoke(r *http.Request) (string, *View, error) {
	e, v := p.readEnding(r.PostForm, time.Now())
	if e.Problem != "" {
		return "", nil, badRequest(e.Problem)
	}
	what, work := "One session", func(ctx context.Context) (int, error) {
		n, err := p.e.endOne(ctx, r, e.ID)
		if err != nil {
			err = noSuchSession(err)
		}
		return n, err
	}
	if v != nil {
		what = "Sessions of " + v.Subject
		switch {
		case v.ProviderSession != "":
			what = "Sessions of the provider's session " + v.ProviderSession
		case e.Before != "":
			what = "Sessions that began before " + e.Before
		}
		work = func(ctx context.Context) (int, error) { return p.e.endMany(ctx, r, v) }
	}
	return p.jobs.start(r.Context(), task{title: "End sessions", what: what, home: "/sessions", work: func(ctx context.Context) ([]string, error) {
		n, err := work(ctx)
		were := "were"
		if n == 1 {
			were = "was"
		}
		return []string{fmt.Sprintf("%s: %d %s ended.", what, n, were)}, err
	}}), nil, nil
}
