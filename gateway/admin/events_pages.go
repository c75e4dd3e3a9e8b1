package admin

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/telemetry"
	"github.com/sallyport/sallyport/policy"
)

// shownEvents is how many events the page has.
const shownEvents = 100

type eventsView struct {
	Kind   string // the one that is shown; empty: all
	Kinds  []string
	Events []telemetry.HappenedEvent // newest first
}

// decisionView is what the page shows of an explanation.
type decisionView struct {
	Decision string    `json:"decision"`
	Time     time.Time `json:"time"`
	Method   string    `json:"method"`
	Host     string    `json:"host"`
	Path     string    `json:"path"`
	Client   string    `json:"client"`
	Route    string    `json:"route"`
	Identity *struct {
		Issuer, Subject, Email, Session string
		Groups                          []string
	} `json:"identity"`
	Policy  *policy.Explanation `json:"policy"`
	Verdict struct {
		Outcome, Reason, Rule, Message, Problem string
		StepUp                                  string `json:"step_up"`
	} `json:"verdict"`
	Notes []string `json:"notes"`
}

// EventPages are the feed of what happens, and the page that explains a denial.
func EventPages(events *telemetry.Events, explain Explainer) []Page {
	return []Page{
		{Path: "/events", Name: "Feed", Show: func(r *http.Request) (*View, error) {
			v := &eventsView{Kinds: telemetry.EventKinds()}
			var f telemetry.EventFilter
			if kind := r.URL.Query().Get("kind"); slices.Contains(v.Kinds, kind) {
				v.Kind, f.Kinds = kind, []string{kind}
			}
			v.Events, _, _ = events.Read(f, shownEvents)
			slices.Reverse(v.Events)
			return &View{Title: "What happens here", File: "events", Live: true, Data: v}, nil
		}},
		{Path: "/decisions/{name}", Show: func(r *http.Request) (*View, error) {
			name := strings.ToUpper(r.PathValue("name"))
			x, err := explain.Decision(name)
			if err != nil {
				return nil, &httperr.Error{Code: http.StatusNotFound, Reason: ReasonUnknownDecision, Public: noDecision}
			}
			text, err := json.Marshal(x)
			if err != nil {
				return nil, err
			}
			v := &decisionView{}
			if err := json.Unmarshal(text, v); err != nil {
				return nil, err
			}
			return &View{Title: "Decision " + name, File: "decision", Data: v}, nil
		}},
	}
}
