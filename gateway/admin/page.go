package admin

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/palette"
)

//go:embed templates
var files embed.FS

// Page is a page for operators. Showing it changes nothing.
type Page struct {
	Path string // as http.ServeMux writes it
	Name string // in the navigation; empty where it is reached from another page
	Show func(r *http.Request) (*View, error)
}

// Form is what a page can do. It is called for a form of such a page alone, with
// r.PostForm read, and returns where to go then: a path of this listener; or else a
// View, where there is something to put right.
type Form struct {
	Path string
	Do   func(r *http.Request) (next string, again *View, err error)
}

// View is what a page shows.
type View struct {
	Title string
	File  string // the template: it defines main, and live where Live is set
	Data  any
	Live  bool // the part called live is drawn anew every two seconds
}

// site draws the pages.
type site struct {
	gate   *gate
	edge   *httperr.Edge
	sheets map[string]func() *template.Template // each is parsed when it is first shown: most gateways show none
	pages  []Page
	css    template.CSS
	script template.JS
	quiet  string // Content-Security-Policy of a page without a script
	live   string // of one with it
}

type frame struct {
	CSS    template.CSS
	Script template.JS
	View   *View
	Nav    []navItem
	Form   string // the token of its forms; empty where nobody is signed in
	Leave  bool   // signing out makes sense
}

type navItem struct {
	Path, Name string
	Current    bool
}

type loginView struct {
	Next, Problem string
	status        int
	retry         string
}

func newSite(g *gate, pages []Page) *site {
	css := slices.Concat([]byte(palette.CSS()), embedded("style.css"))
	script := embedded("live.js")
	policy := "default-src 'none'; style-src " + sourceHash(css) + "; img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'"
	s := &site{
		gate: g, pages: pages, sheets: map[string]func() *template.Template{},
		css:    template.CSS(css),   //nolint:gosec // our own embedded files, not input
		script: template.JS(script), //nolint:gosec // our own embedded file, not input
		quiet:  policy,
		live:   policy + "; script-src " + sourceHash(script) + "; connect-src 'self'",
	}
	s.edge = &httperr.Edge{Page: s.failed}
	entries, err := files.ReadDir("templates")
	if err != nil {
		panic(err) // it is part of the program
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".html")
		if !ok || name == "layout" || name == "parts" {
			continue
		}
		s.sheets[name] = sync.OnceValue(func() *template.Template {
			return template.Must(template.New("layout.html").Funcs(functions()).ParseFS(files, "templates/layout.html", "templates/parts.html", "templates/"+e.Name()))
		})
	}
	return s
}

func embedded(name string) []byte {
	text, err := files.ReadFile("templates/" + name)
	if err != nil {
		panic(err) // it is part of the program
	}
	return text
}

func sourceHash(text []byte) string {
	sum := sha256.Sum256(text)
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// mount serves the pages, the forms on them, and the way in and out.
func (s *site) mount(mux *http.ServeMux, forms []Form) {
	for _, p := range s.pages {
		path := p.Path
		if path == "/" {
			path = "/{$}"
		}
		mux.Handle("GET "+path, s.edge.Handle(s.gate.page(func(w http.ResponseWriter, r *http.Request) error {
			v, err := p.Show(r)
			if err != nil {
				return err
			}
			return s.write(w, r, v, http.StatusOK)
		})))
	}
	for _, f := range forms {
		mux.Handle("POST "+f.Path, s.edge.Handle(s.gate.page(func(w http.ResponseWriter, r *http.Request) error {
			next, again, err := f.Do(r)
			if err != nil {
				return err
			}
			if again != nil {
				return s.write(w, r, again, http.StatusUnprocessableEntity)
			}
			http.Redirect(w, r, next, http.StatusSeeOther)
			return nil
		})))
	}
	mux.Handle("GET /login", s.edge.Handle(s.gate.form(s.login)))
	mux.Handle("POST /login", s.edge.Handle(s.gate.enter(s.login)))
	mux.Handle("POST /logout", s.edge.Handle(s.gate.page(s.gate.leave)))
}

func (s *site) login(w http.ResponseWriter, r *http.Request, v loginView) error {
	status := http.StatusOK
	if v.status != 0 {
		status = v.status
	}
	if v.retry != "" {
		w.Header().Set("Retry-After", v.retry)
	}
	return s.write(w, r, &View{Title: "Sign in", File: "login", Data: v}, status)
}

// failed is the page of an error. It is only called where a person reads.
func (s *site) failed(w http.ResponseWriter, r *http.Request, e *httperr.Error, _ string) error {
	public := e.Message
	if public == "" {
		public = e.Public
	}
	return s.write(w, r, &View{Title: http.StatusText(e.Code), File: "error", Data: struct{ Text, Reason string }{public, e.Reason}}, e.Code)
}

func (s *site) write(w http.ResponseWriter, r *http.Request, v *View, status int) error {
	sheet := s.sheets[v.File]
	if sheet == nil {
		return fmt.Errorf("admin: no page %q", v.File)
	}
	f := frame{CSS: s.css, View: v}
	h := w.Header()
	h.Set("Content-Security-Policy", s.quiet)
	if v.Live {
		f.Script = s.script
		h.Set("Content-Security-Policy", s.live)
	}
	if who := operatorOf(r); who.name != "" {
		f.Form = s.gate.formToken(r)
		f.Leave = r.Header.Get("Authorization") == "" && len(r.CookiesNamed(cookieName(r))) > 0
		f.Nav = s.nav(r.URL.Path)
	}
	part := "layout.html"
	if r.URL.Query().Get("part") == "live" {
		if !v.Live { // it has come to its end: the whole page is another one now
			h.Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusResetContent)
			return nil
		}
		part = "live"
	}
	var body bytes.Buffer
	if err := sheet().ExecuteTemplate(&body, part, &f); err != nil {
		return fmt.Errorf("admin: %w", err)
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body.Bytes()) // a client that went away is no error of ours
	}
	return nil
}

// nav is the way to the other pages. A page that is reached from another one
// belongs to that: the first part of its path is the same.
func (s *site) nav(path string) []navItem {
	first := func(path string) string { return strings.SplitN(path, "/", 3)[1] }
	var items []navItem
	for _, p := range s.pages {
		if p.Name != "" {
			items = append(items, navItem{p.Path, p.Name, first(p.Path) == first(path)})
		}
	}
	return items
}
