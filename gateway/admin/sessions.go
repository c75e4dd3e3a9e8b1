package admin

import (
	"context"
	"encoding/hex"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/session"
	"github.com/sallyport/sallyport/gateway/telemetry"
)

// Sessions are what operators can do with sessions; a *session.Manager.
type Sessions interface {
	List(ctx context.Context, q session.Query) (session.Page, error)
	Find(ctx context.Context, name string) (session.Listed, error)
	Ends(l *session.Listed) (idle, absolute time.Time)
	EndNamed(ctx context.Context, name string) (*session.Session, error)
	EndSubject(ctx context.Context, issuer, subject string) (int, error)
	EndProviderSession(ctx context.Context, issuer, sid string) (int, error)
	EndBefore(ctx context.Context, t time.Time) (int, error)
}

var _ Sessions = (*session.Manager)(nil)

// Session is what operators see of a session: whose it is and how it stands, never
// its id, its tokens or its cookie.
type Session struct {
	ID              string    `json:"id"` // the first 16 hex digits of the hash of its id
	Issuer          string    `json:"issuer"`
	Subject         string    `json:"subject"`
	Email           string    `json:"email,omitempty"`
	Name            string    `json:"name,omitempty"`
	Groups          []string  `json:"groups,omitempty"`
	Provider        string    `json:"provider"`
	ProviderSession string    `json:"provider_session,omitempty"`
	Route           string    `json:"route,omitempty"` // that the sign-in was for
	Created         time.Time `json:"created"`
	LastSeen        time.Time `json:"last_seen"`
	IdleEnd         time.Time `json:"idle_end"` // when it ends without further use
	End             time.Time `json:"end"`      // when it ends whatever happens
	AuthTime        time.Time `json:"auth_time,omitzero"`
	ACR             string    `json:"acr,omitempty"`
	AMR             []string  `json:"amr,omitempty"`

	Address netip.Addr `json:"address,omitzero"` // from where it began
	Browser string     `json:"browser,omitempty"`
	System  string     `json:"system,omitempty"`

	Tokens *SessionTokens `json:"tokens,omitempty"`
}

// SessionTokens is how the provider's tokens of a session stand.
type SessionTokens struct {
	Refreshes int       `json:"refreshes"` // how often they were refreshed
	Renewable bool      `json:"renewable"` // there is a refresh token
	Issued    time.Time `json:"issued"`
	Expires   time.Time `json:"expires,omitzero"` // of the access token; zero: not known
}

// SessionPage is one page of sessions. The parameter after of the next page is Next;
// there is none where it is empty. A page may have no session and yet a Next.
type SessionPage struct {
	Sessions []Session `json:"sessions"`
	Next     string    `json:"next,omitempty"`
}

// Revocation says which sessions to end: all of a user, all that began from one
// session at a provider, or all that began before a time.
type Revocation struct {
	Issuer          string    `json:"issuer,omitempty"`
	Subject         string    `json:"subject,omitempty"`
	ProviderSession string    `json:"provider_session,omitempty"`
	Before          time.Time `json:"before,omitzero"`
}

// Revoked says how many sessions were ended.
type Revoked struct {
	Revoked int `json:"revoked"`
}

const (
	defaultPage = 100
	// revokeTimeout bounds the ending of many sessions, which goes on when the
	// operator who asked for it has gone.
	revokeTimeout = 10 * time.Minute
)

// SessionEndpoints are the endpoints of sessions. audit gets a record of every one
// that is ended, or could not be.
func SessionEndpoints(sessions Sessions, audit *telemetry.Trail) []Endpoint {
	e := &sessionEndpoints{sessions: sessions, audit: audit}
	return []Endpoint{
		{
			Method: http.MethodGet, Path: "/sessions", Serve: e.list, Gives: SessionPage{},
			Summary: "Lists sessions that go on, in pages, ordered by id.",
			Query: []Parameter{
				{"issuer", "of users of this issuer"},
				{"subject", "of the user with this subject; quick with issuer alone"},
				{"email", "of the user with this address"},
				{"provider", "that began at this provider of the configuration"},
				{"provider_session", "that began from this session at the provider (sid); quick with issuer alone"},
				{"route", "whose sign-in was for this route"},
				{"older_than", "that began longer ago than this, such as 12h or 3d"},
				{"idle_longer_than", "that were not used for longer than this"},
				{"after", "the next of the page before"},
				{"limit", "how many, up to 1000; 100 without it"},
			},
		},
		{
			Method: http.MethodGet, Path: "/sessions/{id}", Serve: e.show, Gives: Session{},
			Summary: "Shows one session.",
		},
		{
			Method: http.MethodDelete, Path: "/sessions/{id}", Serve: e.end, Gives: Revoked{},
			Summary: "Ends one session on every gateway, and its open streams.",
		},
		{
			Method: http.MethodPost, Path: "/sessions/revoke", Serve: e.revoke, Takes: Revocation{}, Gives: Revoked{},
			Summary: "Ends all sessions of a user, of a session at a provider, or that began before a time, and says how many there were.",
		},
	}
}

type sessionEndpoints struct {
	sessions Sessions
	audit    *telemetry.Trail
}

func (e *sessionEndpoints) list(w http.ResponseWriter, r *http.Request) error {
	q, problem := readQuery(r.URL.Query(), time.Now())
	if problem != "" {
		return badRequest(problem)
	}
	page, err := e.sessions.List(r.Context(), q)
	if err != nil {
		return sessionsOutage(err)
	}
	out := SessionPage{Sessions: make([]Session, len(page.Sessions))}
	for i := range page.Sessions {
		out.Sessions[i] = e.view(&page.Sessions[i])
	}
	if page.Next != (session.Key{}) {
		out.Next = hex.EncodeToString(page.Next[:])
	}
	return writeJSON(w, http.StatusOK, out)
}

// readQuery takes no parameter that it does not know: one that is misspelt would
// list everybody's sessions.
func readQuery(values url.Values, now time.Time) (q session.Query, problem string) {
	q.Limit = defaultPage
	for name, given := range values {
		if len(given) != 1 || given[0] == "" {
			return q, "Give " + name + " once, and not empty."
		}
		value := given[0]
		switch name {
		case "issuer":
			q.Issuer = value
		case "subject":
			q.Subject = value
		case "email":
			q.Email = value
		case "provider":
			q.Provider = value
		case "provider_session":
			q.ProviderSession = value
		case "route":
			q.Route = value
		case "older_than", "idle_longer_than":
			ago, err := parseSpan(value)
			if err != nil || ago < 0 {
				return q, name + " is neither a number of days, such as 3d, nor a duration, such as 12h."
			}
			if name == "older_than" {
				q.CreatedBefore = now.Add(-ago)
			} else {
				q.UsedBefore = now.Add(-ago)
			}
		case "after":
			if n, err := hex.Decode(q.After[:], []byte(value)); len(value) != 2*len(q.After) || err != nil || n != len(q.After) {
				return q, "after is not the next of a page."
			}
		case "limit":
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 || n > session.MaxPage {
				return q, "limit is a number from 1 to " + strconv.Itoa(session.MaxPage) + "."
			}
			q.Limit = n
		default:
			return q, "Sessions can't be narrowed by " + strconv.Quote(name[:min(len(name), 40)]) + "."
		}
	}
	return q, ""
}

func (e *sessionEndpoints) show(w http.ResponseWriter, r *http.Request) error {
	l, err := e.sessions.Find(r.Context(), r.PathValue("id"))
	if err != nil {
		return noSuchSession(err)
	}
	return writeJSON(w, http.StatusOK, e.view(&l))
}

func (e *sessionEndpoints) end(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), revokeTimeout)
	defer cancel()
	n, err := e.endOne(ctx, r, r.PathValue("id"))
	if err != nil {
		return noSuchSession(err)
	}
	return writeJSON(w, http.StatusOK, Revoked{n})
}

// endOne ends the session of a name, for the request r.
func (e *sessionEndpoints) endOne(ctx context.Context, r *http.Request, name string) (int, error) {
	s, err := e.sessions.EndNamed(ctx, name)
	if errors.Is(err, session.ErrNotFound) {
		return 0, err
	}
	line := ActOf(r, "revoke_session", err)
	if s != nil {
		line.Session, line.Provider, line.Issuer, line.Subject = name, s.Provider, s.Identity.Issuer, s.Identity.Subject
	}
	e.audit.Record(line)
	if err != nil {
		return 0, err
	}
	return 1, nil
}

func (e *sessionEndpoints) revoke(w http.ResponseWriter, r *http.Request) error {
	var v Revocation
	if err := readJSON(r, &v); err != nil {
		return err
	}
	if _, problem := e.judge(&v, time.Now()); problem != "" {
		return badRequest(problem)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), revokeTimeout)
	defer cancel()
	n, err := e.endMany(ctx, r, &v)
	if err != nil {
		return sessionsOutage(err)
	}
	return writeJSON(w, http.StatusOK, Revoked{n})
}

// endMany ends what a revocation that was judged asks for, for the request r.
func (e *sessionEndpoints) endMany(ctx context.Context, r *http.Request, v *Revocation) (int, error) {
	end, _ := e.judge(v, time.Now())
	n, err := end(ctx)
	line := ActOf(r, "revoke_sessions", err)
	line.Issuer, line.Subject, line.Count = v.Issuer, v.Subject, n
	e.audit.Record(line)
	return n, err
}

// judge returns what a revocation asks for, or says what is wrong with it.
func (e *sessionEndpoints) judge(v *Revocation, now time.Time) (end func(context.Context) (int, error), problem string) {
	ways := 0
	for _, given := range []bool{v.Subject != "", v.ProviderSession != "", !v.Before.IsZero()} {
		if given {
			ways++
		}
	}
	switch {
	case ways != 1:
		return nil, "Send one of subject, provider_session and before."
	case v.Before.IsZero() && v.Issuer == "":
		return nil, "A subject and a provider_session need their issuer: other issuers may have the same."
	case !v.Before.IsZero() && v.Issuer != "":
		return nil, "before ends sessions of all issuers: send it alone."
	case v.Before.After(now):
		return nil, "before is in the future."
	}
	return func(ctx context.Context) (int, error) {
		switch {
		case v.Subject != "":
			return e.sessions.EndSubject(ctx, v.Issuer, v.Subject)
		case v.ProviderSession != "":
			return e.sessions.EndProviderSession(ctx, v.Issuer, v.ProviderSession)
		}
		return e.sessions.EndBefore(ctx, v.Before)
	}, ""
}

func (e *sessionEndpoints) view(l *session.Listed) Session {
	id := l.Identity
	idle, end := e.sessions.Ends(l)
	v := Session{
		ID: l.Key().String(), Issuer: id.Issuer, Subject: id.Subject, Email: id.Email, Name: id.Name, Groups: id.Groups,
		Provider: l.Provider, ProviderSession: l.Identity.ProviderSession, Route: l.Route,
		Created: l.CreatedAt(), LastSeen: l.LastSeen.UTC(), IdleEnd: idle.UTC(), End: end.UTC(),
		AuthTime: id.AuthTime, ACR: id.ACR, AMR: id.AMR,
		Address: l.Client.Address(), Browser: l.Client.Browser(), System: l.Client.System(),
	}
	if g := l.Grant; g != (session.Grant{}) {
		v.Tokens = &SessionTokens{Refreshes: int(g.Generation), Renewable: g.Renewable, Issued: time.Unix(0, g.Issued).UTC()}
		if g.Expires != 0 {
			v.Tokens.Expires = time.Unix(0, g.Expires).UTC()
		}
	}
	return v
}

func noSuchSession(err error) error {
	if !errors.Is(err, session.ErrNotFound) {
		return sessionsOutage(err)
	}
	return &httperr.Error{Code: http.StatusNotFound, Reason: ReasonUnknownSession, Public: "No session of that id goes on."}
}

func sessionsOutage(err error) error {
	return &httperr.Error{
		Code: http.StatusServiceUnavailable, Reason: "store_unavailable",
		Public: "The store does not answer, so it is not known which sessions there are. Try again.", Err: err,
		Header: http.Header{"Retry-After": {"5"}},
	}
}
