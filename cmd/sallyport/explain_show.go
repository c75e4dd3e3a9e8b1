package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/policy"
)

// showExplanation prints an explanation for people. What comes from requests and
// tokens is printed so that it can't move the cursor of a terminal.
func showExplanation(to io.Writer, x *gateway.Explanation) error {
	w := &printer{w: to}
	if x.Decision != "" {
		w.line("Decision %s of %s", x.Decision, x.Time.Format(time.RFC3339))
	}
	w.line("%s %s%s", x.Method, x.Host, x.Path)
	if x.Client != "" {
		w.line("from %s", x.Client)
	}
	w.routes(x)
	w.credentials(x)
	w.person(x)
	w.crossSite(x)
	w.lock(x)
	if x.Policy != nil {
		w.policy(x.Policy)
	}
	if l := x.Listener; l != nil && l.Policy != nil {
		w.line("\nListener %s", l.Name)
		w.policy(l.Policy)
	}
	w.verdict(x)
	w.headers(x)
	for _, note := range x.Notes {
		w.line("\n%s", note)
	}
	return atRunTime(w.err)
}

// printer remembers the first error of a writer.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	for i, arg := range args {
		if s, ok := arg.(string); ok {
			args[i] = printable(s)
		}
	}
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

// table prints rows in columns, each behind a mark.
func (p *printer) table(rows [][]string) {
	if p.err != nil {
		return
	}
	t := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i := range row {
			row[i] = printable(row[i])
		}
		fmt.Fprintln(t, strings.TrimRight(strings.Join(row, "\t"), "\t"))
	}
	p.err = t.Flush()
}

func mark(is bool) string {
	if is {
		return "  ->"
	}
	return "    "
}

func (p *printer) routes(x *gateway.Explanation) {
	if len(x.Routes) == 0 {
		return
	}
	p.line("\nRoutes")
	rows := make([][]string, len(x.Routes))
	for i, c := range x.Routes {
		rows[i] = []string{mark(c.Matches) + " " + c.Route, c.Why}
	}
	p.table(rows)
}

func (p *printer) credentials(x *gateway.Explanation) {
	if len(x.Credentials) == 0 {
		return
	}
	p.line("\nCredentials")
	rows := make([][]string, len(x.Credentials))
	for i, c := range x.Credentials {
		rows[i] = []string{mark(c.Used) + " " + c.Kind, c.Finding}
	}
	p.table(rows)
}

func (p *printer) person(x *gateway.Explanation) {
	id := x.Identity
	if id == nil {
		return
	}
	email := id.Email
	if email != "" && !id.EmailVerified {
		email += " (not verified)"
	}
	signedIn := ""
	if !id.AuthTime.IsZero() {
		signedIn = fmt.Sprintf("%s (%s before)", id.AuthTime.Format(time.RFC3339), x.Time.Sub(id.AuthTime).Round(time.Second))
	}
	p.line("\nIdentity")
	var rows [][]string
	for _, row := range [][2]string{
		{"subject", id.Subject},
		{"issuer", id.Issuer},
		{"email", email},
		{"groups", strings.Join(id.Groups, ", ")},
		{"acr", id.ACR},
		{"amr", strings.Join(id.AMR, ", ")},
		{"signed in", signedIn},
		{"provider", id.Provider},
		{"session", id.Session},
	} {
		if row[1] != "" {
			rows = append(rows, []string{"     " + row[0], row[1]})
		}
	}
	p.table(rows)
}

func (p *printer) lock(x *gateway.Explanation) {
	l := x.Lock
	if l == nil {
		return
	}
	until := "until it is lifted"
	if !l.Until.IsZero() {
		until = "until " + l.Until.Format(time.RFC3339)
	}
	p.line("\nLock %s", l.ID)
	p.table([][]string{{"     locked", l.On}, {"     reason", l.Reason}, {"     since", l.Since.Format(time.RFC3339)}, {"     ends", until}})
}

func (p *printer) crossSite(x *gateway.Explanation) {
	if x.CrossSite == nil {
		return
	}
	what, then := "request", "is refused"
	if x.CrossSite.Kind == "websocket" {
		what = "WebSocket handshake"
	}
	if x.CrossSite.Mode == "report" {
		then = "is reported alone"
	}
	p.line("\nOther sites")
	p.line("  -> the %s comes from a page of another site, and %s", what, then)
}

func (p *printer) policy(x *policy.Explanation) {
	shadow := ""
	if x.Mode == "shadow" {
		shadow = " (shadow: not enforced, any signed-in user may pass)"
	}
	p.line("\nPolicy %s%s", x.Policy, shadow)
	showRules(p, x.Rules)
	switch {
	case x.Authorizer:
		p.line("     What the rules allow is also asked of an external authorizer.")
	case len(x.Rules) == 0:
		p.line("     It has no rules: any signed-in user may pass.")
	}
}

// showRules prints every rule with its conditions.
func showRules(p *printer, rules []policy.RuleExplanation) {
	for i := range rules {
		r := &rules[i]
		says := "does not fit"
		switch {
		case r.Err != "":
			says = "can't be evaluated: " + r.Err
		case r.Fits && !r.Met:
			says = "fits, and wants another sign-in"
		case r.Fits:
			says = "fits"
		}
		if r.Mode == "shadow" {
			says += " (shadow: not enforced)"
		}
		p.line("%s %s %s: %s", mark(r.Fits), r.Effect, r.Name, says)
		var rows [][]string
		for _, c := range r.Checks() {
			rows = append(rows, []string{"          " + c.Answer(), c.Field, orNone(c.Wants), "has: " + orNone(c.Has)})
		}
		p.table(rows)
	}
}

func orNone(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (p *printer) verdict(x *gateway.Explanation) {
	v := &x.Verdict
	p.line("\nVerdict: %s", strings.TrimSuffix(v.Outcome+statusOf(v.Outcome)+", "+v.Reason, ", "))
	var rows [][]string
	for _, row := range [][2]string{{"rule", v.Rule}, {"wanted", v.StepUp}, {"message", v.Message}, {"problem", v.Problem}} {
		if row[1] != "" {
			rows = append(rows, []string{"     " + row[0], row[1]})
		}
	}
	if s := v.Shadow; s != nil {
		rows = append(rows, []string{"     shadow", strings.TrimSpace(s.Effect + ", " + s.Reason + " " + s.Rule)})
	}
	p.table(rows)
}

// statusOf is the answer that programs get.
func statusOf(outcome string) string {
	status, ok := map[string]string{
		"forbid": "403", "challenge": "401, or a sign-in for a browser", "no_route": "404", "bad_method": "405", "bad_host": "421",
		"malformed": "400", "step_up": "401, or another sign-in for a browser", "too_many": "429", "unknown": "503",
	}[outcome]
	if !ok {
		return ""
	}
	return " (" + status + ")"
}

func (p *printer) headers(x *gateway.Explanation) {
	if len(x.Headers) == 0 && len(x.Removed) == 0 {
		return
	}
	p.line("\nHeaders of the upstream request (+ set by the gateway, - removed)")
	for _, h := range x.Headers {
		sign := " "
		if h.Set {
			sign = "+"
		}
		p.line("   %s %s: %s", sign, h.Name, h.Value)
	}
	for _, name := range x.Removed {
		p.line("   - %s", name)
	}
}
