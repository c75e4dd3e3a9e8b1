package pages

import (
	"html/template"
	"net/http"
)

// FormField is one field of a form that somebody sent.
type FormField struct{ Name, Value string }

// ResubmitPage is a form that has not been delivered.
type ResubmitPage struct {
	Action            string      // the URL that it was sent to; "" where the page cannot send it
	Fields            []FormField // in the order in which they came
	SignInURL         string
	Kept              bool // the gateway keeps the form until its user has signed in
	SignedIn          bool // he has: one click sends it
	Reason, RequestID string
	Header            http.Header // of the refusal
}

type resubmitView struct {
	Lead, Advice      string
	SignInURL         string
	Kept, SignedIn    bool
	Action            template.HTMLAttr
	Fields            []template.HTMLAttr
	Reason, RequestID string
}

// Resubmit writes the page: with 401 before the user has signed in, with 200
// after it. The fields are in the page and nowhere else, and the page is kept in
// no cache. It fails on an Action that is neither a path here nor an http or
// https URL.
func (p *Renderer) Resubmit(w http.ResponseWriter, r *http.Request, page ResubmitPage) error {
	words := p.words(r)
	v := resubmitView{
		Lead: words.first("resubmit.lead"), Advice: words.first("resubmit.advice"), SignInURL: page.SignInURL, Kept: page.Kept, SignedIn: page.SignedIn,
		Reason: page.Reason, RequestID: page.RequestID,
	}
	status, title := http.StatusUnauthorized, "resubmit.title"
	switch {
	case page.SignedIn:
		status, title = http.StatusOK, "resubmit.ready_title"
		v.Lead, v.Advice = words.first("resubmit.ready_lead"), ""
	case page.Kept:
		v.Lead, v.Advice = words.first("resubmit.kept_lead"), words.first("resubmit.kept_advice")
	}
	if page.Action != "" {
		var err error
		if v.Action, _, err = exactLink("action", page.Action); err != nil {
			return err
		}
		v.Fields = make([]template.HTMLAttr, len(page.Fields))
		for i, f := range page.Fields {
			v.Fields[i] = template.HTMLAttr(`name="` + exactValue(f.Name) + `" value="` + exactValue(f.Value) + `"`) //nolint:gosec // escaped just here
		}
	}
	return p.write(w, r, answer{status: status, header: page.Header, tmpl: p.resubmit, title: title, page: v})
}
