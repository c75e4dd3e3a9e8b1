package pages

import "net/http"

// LoopCause is why a cookie may not have come back.
type LoopCause uint8

// The causes. Each is one sentence.
const (
	CauseDomain LoopCause = iota
	CausePlainHTTP
	CauseFrame
	CauseBlocked
	CauseClock
	CauseUnknownSession // it did come back, and the gateway does not know it
	CauseProvider       // no cookie is at fault: the provider sends browsers back too early
)

func (c LoopCause) text() string {
	switch c {
	case CauseDomain:
		return "loop.cause_domain"
	case CausePlainHTTP:
		return "loop.cause_plain_http"
	case CauseFrame:
		return "loop.cause_frame"
	case CauseBlocked:
		return "loop.cause_blocked"
	case CauseClock:
		return "loop.cause_clock"
	case CauseUnknownSession:
		return "loop.cause_unknown_session"
	case CauseProvider:
		return "loop.cause_provider"
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
	words := p.words(r)
	v := loopView{LoopPage: page, Lead: words.first("loop.lost"), Host: r.Host}
	switch {
	case page.Cookie == "":
		v.Lead = words.first("loop.bounced")
	case page.Returned:
		v.Lead = words.first("loop.unknown")
	}
	for _, c := range page.Causes {
		v.Why = append(v.Why, words.first(c.text()))
	}
	return p.write(w, r, answer{status: http.StatusBadRequest, tmpl: p.loop, title: "loop.title", page: v})
}

// Done says in a tab of its own that the user is signed in.
func (p *Renderer) Done(w http.ResponseWriter, r *http.Request, who string) error {
	return p.write(w, r, answer{status: http.StatusOK, tmpl: p.done, title: "done.title", page: doneView{Who: who}})
}

type doneView struct{ Who string }
