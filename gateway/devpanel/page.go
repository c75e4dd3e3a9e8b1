package devpanel

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the template, the style sheet and the script
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/palette"
)

//go:embed templates/panel.html
var pageHTML string

//go:embed templates/style.css
var pageCSS string

//go:embed templates/copy.js
var pageScript string

// view is what the template draws.
type view struct {
	CSS    template.CSS
	Script template.JS

	Prefix, Origin, FormToken, Provider string

	State
	Began, IdleAt, AbsoluteAt string
	StoreUntil                string
	Lives                     string // how long sessions live
	Identities                []Identity
	Acts                      map[string]bool

	Path    string
	Answer  Answer
	Problem string // why there is no answer

	Done      string
	Wish      wish
	WishFault string
	Token     *tokenView

	status int
}

type tokenView struct{ Token, Until, Curl string }

// askedPath is the path that the page is asked about.
func askedPath(r *http.Request) string {
	if path := r.URL.Query().Get("path"); strings.HasPrefix(path, "/") {
		return path
	}
	return "/"
}

func (p *Panel) view(w http.ResponseWriter, r *http.Request) *view {
	v := &view{
		Prefix: p.o.Prefix, Origin: p.o.Origin, Provider: p.o.Provider, Identities: p.o.Identities,
		State: p.o.State(r), Path: askedPath(r), Acts: map[string]bool{}, status: http.StatusOK,
		Lives: fmt.Sprintf("%s without activity, %s at most", short(p.o.Idle), short(p.o.Absolute)),
		Wish:  wish{Subject: "alice", Lifetime: "5m"},
	}
	for _, a := range p.o.Acts {
		v.Acts[a.Name] = true
	}
	if who := v.Who; who != nil {
		v.Began, v.IdleAt, v.AbsoluteAt = clock(who.Began), clock(who.Idle), clock(who.Absolute)
		v.Wish = wish{Subject: who.Subject, Email: who.Email, Groups: strings.Join(who.Groups, ", "), Lifetime: "5m"}
	}
	if !v.StoreDown.IsZero() {
		v.StoreUntil = clock(v.StoreDown)
	}
	v.FormToken = p.o.FormToken(w, r)
	var err error
	if v.Answer, _, err = p.o.Ask(r, v.Path); err != nil {
		v.Problem = "That is no address of this gateway."
	}
	return v
}

// clock is a time of today, to be compared with the clock on the wall.
func clock(at time.Time) string { return at.Local().Format("2006-01-02 15:04:05 MST") }

// short is a duration without the zeros that Go writes behind it.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// sheet is the page, which needs nothing but itself.
type sheet struct {
	tmpl   *template.Template
	css    template.CSS
	script template.JS
	policy string
}

func newSheet() *sheet {
	css, script := palette.CSS()+pageCSS, strings.TrimSpace(pageScript)
	return &sheet{
		// Must can't fail at run time: the template is part of the program.
		tmpl:   template.Must(template.New("panel").Parse(pageHTML)),
		css:    template.CSS(css),   //nolint:gosec // our own embedded file, not input
		script: template.JS(script), //nolint:gosec // our own embedded file, not input
		policy: "default-src 'none'; style-src " + hash(css) + "; script-src " + hash(script) + "; " +
			"img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'",
	}
}

func hash(source string) string {
	sum := sha256.Sum256([]byte(source))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func (s *sheet) write(w http.ResponseWriter, r *http.Request, v *view) error {
	v.CSS, v.Script = s.css, s.script
	var body bytes.Buffer
	if err := s.tmpl.Execute(&body, v); err != nil {
		return fmt.Errorf("devpanel: %w", err)
	}
	h := w.Header()
	h.Set("Content-Security-Policy", s.policy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	send(w, r, v.status, "text/html; charset=utf-8", body.Bytes())
	return nil
}

func writeJSON(w http.ResponseWriter, r *http.Request, v any) error {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("devpanel: %w", err)
	}
	send(w, r, http.StatusOK, "application/json", append(body, '\n'))
	return nil
}

func send(w http.ResponseWriter, r *http.Request, status int, kind string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	// Not no-referrer: with it browsers send Origin: null from forms, and the check
	// against other sites' pages would refuse our own.
	h.Set("Referrer-Policy", "same-origin")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client may be gone; the answer is given
	}
}
