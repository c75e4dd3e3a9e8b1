package pages

import "net/http"

// LoopCause is why a cookie may not have come back.
type LoopCause uint8

// The causes. Each is one sentence of LoopText.
const (
	CauseDomain LoopCause = iota
	CausePlainHTTP
	CauseFrame
	CauseBlocked
	CauseClock
	CauseUnknownSession // it did come back, and the gateway does not know it
	CauseProvider       // no cookie is at fault: the provider sends browsers back too early
)

func (t *LoopText) cause(c LoopCause) string {
	switch c {
	case CauseDomain:
		return t.Domain
	case CausePlainHTTP:
		return t.PlainHTTP
	case CauseFrame:
		return t.Frame
	case CauseBlocked:
		return t.Blocked
	case CauseClock:
		return t.Clock
	case CauseUnknownSession:
		return t.UnknownSession
	case CauseProvider:
		return t.Provider
	}
	return ""
}

// LoopPage is what the page shows that stops a sign-in going round in circles.
type LoopPage struct {
	Cookie            string // which cookie is at fault; "" = none
	Returned          bool   // it came back, and nobody knows what is in it
	Causes            []LoopCause
	AgainURL          string
	Reason, RequestID string
}

type loopView struct {
	LoopPage

	Lead, Host string
	Why        []string
}

// Loop writes the page, with 400: it ends a chain of redirects.
func (p *Renderer) Loop(w http.ResponseWriter, r *http.Request, page LoopPage) error {
	t := &p.text.Loop
	v := loopView{LoopPage: page, Lead: t.Lost, Host: r.Host}
	switch {
	case page.Cookie == "":
		v.Lead = t.Bounced
	case page.Returned:
		v.Lead = t.Unknown
	}
	for _, c := range page.Causes {
		v.Why = append(v.Why, t.cause(c))
	}
	return p.write(w, r, answer{status: http.StatusBadRequest, tmpl: p.loop, title: t.Title, page: v})
}

// Done says in a tab of its own that the user is signed in.
func (p *Renderer) Done(w http.ResponseWriter, r *http.Request, who string) error {
	return p.write(w, r, answer{status: http.StatusOK, tmpl: p.done, title: p.text.Done.Title, page: doneView{Who: who}})
}

type doneView struct{ Who string }
