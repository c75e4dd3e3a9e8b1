package admin

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/shield"
)

// ShieldEndpoints are the endpoints about the shields of the routes.
func ShieldEndpoints(report func() shield.Report) []Endpoint {
	return []Endpoint{{Method: http.MethodGet, Path: "/shield", Gives: shield.Report{}, Summary: "Reports weak cookies and missing security headers in the answers of applications.", Serve: func(w http.ResponseWriter, _ *http.Request) error {
		return writeJSON(w, http.StatusOK, report())
	}}}
}

// ShieldPages are the same to look at.
func ShieldPages(report func() shield.Report) []Page {
	return []Page{{Path: "/shield", Name: "Shield", Show: func(*http.Request) (*View, error) {
		return &View{Title: "What your applications leave open", File: "shield", Data: newShieldView(report(), time.Now())}, nil
	}}}
}

type shieldView struct {
	Since     string
	Summary   []shieldSummary
	Routes    []shieldRoute
	Unwatched []string // routes whose mode is off
}

// shieldSummary is one weakness, and the routes that have it.
type shieldSummary struct {
	Text   string
	Routes []shieldSummaryRoute
}

type shieldSummaryRoute struct {
	Name     string
	Hardened bool // what browsers get is not weak
}

type shieldRoute struct {
	Name, Mode, Does string
	Rows             []shieldRow
}

// shieldRow is a cookie, a header field, or the answers as a whole.
type shieldRow struct {
	Name  string
	Quiet bool // the name is ours, not that of a cookie
	Tags  []string
	Seen  string
}

// findingTexts are the findings in the order in which they are read: what is
// found, and what is said of one cookie.
func findingTexts() [][3]string {
	return [][3]string{
		{"cookie_without_secure", "Cookies without Secure", "no Secure"},
		{"cookie_without_samesite", "Cookies without SameSite", "no SameSite"},
		{"cookie_samesite_none_insecure", "Cookies with SameSite=None and without Secure", "SameSite=None without Secure"},
		{"cookie_without_httponly", "Cookies that scripts can read", "no HttpOnly"},
		{"cookie_wide_domain", "Cookies that other hosts get", "has a Domain"},
		{"cookie_not_renamed", "Cookies that can't be __Host-", "can't be __Host-"},
		{"missing_hsts", "No Strict-Transport-Security", "no Strict-Transport-Security"},
		{"missing_frame_ancestors", "Pages that any site may frame", "no frame-ancestors"},
		{"missing_nosniff", "No X-Content-Type-Options", "no X-Content-Type-Options"},
		{"missing_referrer_policy", "No Referrer-Policy", "no Referrer-Policy"},
		{"leaked_header", "Header fields that leak", "leaks"},
	}
}

func newShieldView(report shield.Report, now time.Time) shieldView {
	v := shieldView{Since: report.Since.UTC().Format("2006-01-02 15:04 UTC")}
	for _, text := range findingTexts() {
		one := shieldSummary{Text: text[1]}
		for _, r := range report.Routes {
			if slices.ContainsFunc(r.Findings, func(f shield.FindingReport) bool { return f.Finding == text[0] }) {
				one.Routes = append(one.Routes, shieldSummaryRoute{r.Route, r.Mode == config.ModeEnforce && text[0] != shield.CookieNotRenamed.String()})
			}
		}
		if len(one.Routes) > 0 {
			v.Summary = append(v.Summary, one)
		}
	}
	for _, r := range report.Routes {
		one := shieldRoute{Name: r.Route, Mode: r.Mode}
		switch r.Mode {
		case config.ModeOff:
			v.Unwatched = append(v.Unwatched, r.Route)
			continue
		case config.ModeReport:
			one.Does = "These answers pass as they are."
		case config.ModeEnforce:
			one.Does = "These answers are hardened on their way to the browser."
		}
		one.Rows = shieldRows(r.Findings, now)
		v.Routes = append(v.Routes, one)
	}
	return v
}

// shieldRows gathers the findings of each cookie, which come in order.
func shieldRows(findings []shield.FindingReport, now time.Time) []shieldRow {
	var rows []shieldRow
	for first := 0; first < len(findings); {
		f := findings[first]
		end := first + 1
		for end < len(findings) && subject(findings[end]) == subject(f) {
			end++
		}
		row := shieldRow{Name: subject(f), Quiet: f.Cookie == "" && f.Header == ""}
		var most uint64
		var last time.Time
		for _, text := range findingTexts() {
			for _, f := range findings[first:end] {
				if f.Finding == text[0] {
					row.Tags = append(row.Tags, text[2])
				}
			}
		}
		for _, f := range findings[first:end] {
			most = max(most, f.Count)
			if f.Last.After(last) {
				last = f.Last
			}
		}
		row.Seen = seen(most, now.Sub(last))
		rows = append(rows, row)
		first = end
	}
	slices.SortStableFunc(rows, func(a, b shieldRow) int { // cookies first
		switch {
		case a.Quiet == b.Quiet:
			return 0
		case a.Quiet:
			return 1
		}
		return -1
	})
	return rows
}

// subject is what a finding is about.
func subject(f shield.FindingReport) string {
	switch {
	case f.Cookie != "":
		return f.Cookie
	case f.Header != "":
		return f.Header
	case f.Others:
		return "others, whose names were too many to keep"
	case strings.HasPrefix(f.Finding, "cookie_"):
		return "a cookie without a name"
	}
	return "answers"
}

func seen(times uint64, ago time.Duration) string {
	word := fmt.Sprintf("%d times", times)
	if times == 1 {
		word = "once"
	}
	switch {
	case ago < time.Minute:
		return word + ", just now"
	case ago < time.Hour:
		return fmt.Sprintf("%s, last %d min ago", word, int(ago.Minutes()))
	case ago < 48*time.Hour:
		return fmt.Sprintf("%s, last %d h ago", word, int(ago.Hours()))
	}
	return fmt.Sprintf("%s, last %d days ago", word, int(ago.Hours()/24))
}
