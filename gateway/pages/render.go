// Package pages draws the HTML that people see: sign-in, sign-out and errors.
// It owns the templates, the styles, the wording and the response headers that
// keep a page harmless. It decides nothing: who may come in, which return URL is
// allowed and whether a form token is right are for the callers to judge.
//
// A page needs nothing but itself. Its one style sheet is inside it, allowed in
// the Content-Security-Policy by hash, so pages work at any host, behind any path
// and with the application down. Where there is a script, it is a few lines
// allowed in the same way, which keep the fragment of an address; every page
// works without it.
package pages

import (
	"bytes"
	"cmp"
	"embed"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/language"

	"github.com/sallyport/sallyport/gateway/palette"
)

//go:embed templates
var files embed.FS

// Options say where the gateway's own endpoints are and what it is called.
type Options struct {
	Prefix string // path of the gateway's endpoints; default "/.auth"
	Name   string // product name shown; default "Sallyport"
	Logo   []byte // a picture for the head of every page, of at most MaxLogo bytes; default: our own
	Colour string // of buttons, as #rrggbb; default: our own
}

// Renderer draws pages. It is safe for concurrent use.
//
// Each of its methods either writes one whole answer and returns nil, or writes
// nothing and returns an error. A client that goes away is not an error.
type Renderer struct {
	prefix    string
	name      string
	languages []*wording
	matcher   language.Matcher // its results are indices of languages
	css       template.CSS
	logo      template.URL
	policy    string

	login, logout, signedOut, onward, failure sheet
	sessions, tooMany, signedOutHere          sheet
	fragment, loop, resubmit, done            sheet

	passFragment, keepFragment, takeFragment script
}

// sheet is one page in every language, in the order of Renderer.languages.
type sheet []*template.Template

// New parses the templates. It fails on a prefix that is no plain absolute path,
// a logo that is no picture, and a colour that is none.
func New(o Options) (*Renderer, error) {
	if o.Prefix == "" {
		o.Prefix = "/.auth"
	}
	if o.Name == "" {
		o.Name = "Sallyport"
	}
	if !isLocal(o.Prefix) || strings.HasSuffix(o.Prefix, "/") || strings.ContainsAny(o.Prefix, "?#") {
		return nil, fmt.Errorf("pages: prefix %q: want a path such as /.auth", o.Prefix)
	}
	css, err := files.ReadFile("templates/style.css")
	if err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	brand, err := brandCSS(o.Colour)
	if err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	logo, err := logoURL(o.Logo)
	if err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	css = slices.Concat([]byte(palette.CSS()), css, []byte(brand))
	// The value is typed as CSS so that the template copies it byte for byte:
	// a comment stripped on the way would break the hash.
	p := &Renderer{
		prefix: o.Prefix,
		name:   o.Name,
		logo:   logo,
		css:    template.CSS(css), //nolint:gosec // our own embedded file, not input
		policy: "default-src 'none'; style-src " + sourceHash(css) + "; " +
			"img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'",
	}
	if p.languages, err = readLanguages(); err != nil {
		return nil, err
	}
	var layout sheet
	tags := make([]language.Tag, len(p.languages))
	for i, words := range p.languages {
		t, err := template.New("").Funcs(template.FuncMap{"t": words.t, "around": words.around}).ParseFS(files, "templates/layout.html")
		if err != nil {
			return nil, fmt.Errorf("pages: %w", err)
		}
		layout, tags[i] = append(layout, t), words.tag
	}
	p.matcher = language.NewMatcher(tags)
	for _, t := range []struct {
		into *sheet
		file string
		zero any
	}{
		{&p.login, "login.html", loginView{}},
		{&p.logout, "logout.html", logoutView{}},
		{&p.signedOut, "signedout.html", nil},
		{&p.onward, "onward.html", onwardView{}},
		{&p.sessions, "sessions.html", sessionsView{}},
		{&p.tooMany, "toomany.html", TooManyPage{}},
		{&p.signedOutHere, "signedouthere.html", SignedOutPage{}},
		{&p.failure, "error.html", errorView{}},
		{&p.fragment, "fragment.html", fragmentView{}},
		{&p.loop, "loop.html", loopView{}},
		{&p.resubmit, "resubmit.html", resubmitView{}},
		{&p.done, "done.html", doneView{}},
	} {
		if *t.into, err = p.parse(layout, t.file, t.zero); err != nil {
			return nil, err
		}
	}
	for file, into := range map[string]*script{
		"login.js": &p.passFragment, "fragment.js": &p.keepFragment, "landed.js": &p.takeFragment,
	} {
		if *into, err = readScript(file); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// parse adds one page to a copy of the layout, in every language, and draws it
// once without data: html/template finds unsafe contexts only when it is first
// executed, and a fault must show at start, not in front of a user.
func (p *Renderer) parse(layout sheet, file string, zero any) (sheet, error) {
	page := make(sheet, len(layout))
	for i := range layout {
		t, err := layout[i].Clone()
		if err != nil {
			return nil, fmt.Errorf("pages: %w", err)
		}
		if t, err = t.ParseFS(files, "templates/"+file); err != nil {
			return nil, fmt.Errorf("pages: %w", err)
		}
		if err := t.ExecuteTemplate(io.Discard, "layout.html", p.frame(i, "", zero)); err != nil {
			return nil, fmt.Errorf("pages: %w", err)
		}
		page[i] = t
	}
	return page, nil
}

// frame is what the layout needs around every page.
type frame struct {
	Lang   string
	CSS    template.CSS
	Script template.JS
	Name   string
	Logo   template.URL // "" for our own
	Prefix string
	Title  string
	Page   any
}

func (p *Renderer) frame(lang int, title string, page any) frame {
	return frame{Lang: p.languages[lang].lang, CSS: p.css, Name: p.name, Logo: p.logo, Prefix: p.prefix, Title: title, Page: page}
}

// answer is one page to be written.
type answer struct {
	status int
	header http.Header // added to what w carries; a value that is there is not repeated
	tmpl   sheet
	title  string // the id of a text
	page   any

	script   script // nothing without code
	referrer string // default: same-origin
}

// write draws the page into memory before it touches w, so that a template
// error never leaves half a page behind. The headers that keep the page
// harmless come last and replace any other value.
func (p *Renderer) write(w http.ResponseWriter, r *http.Request, a answer) error {
	if a.status < 200 || a.status > 599 {
		return fmt.Errorf("pages: %d is not a status", a.status)
	}
	lang := p.language(r)
	title, err := p.languages[lang].t(a.title)
	if err != nil {
		return fmt.Errorf("pages: %w", err)
	}
	var body bytes.Buffer
	f := p.frame(lang, title, a.page)
	f.Script = a.script.code
	if err := a.tmpl[lang].ExecuteTemplate(&body, "layout.html", f); err != nil {
		return fmt.Errorf("pages: %w", err)
	}
	h := w.Header()
	for name, values := range a.header {
		for _, v := range values {
			if !slices.Contains(h[name], v) {
				h[name] = append(h[name], v)
			}
		}
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", p.languages[lang].lang)
	vary(h, "Accept-Language")
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	// Not no-referrer: with it browsers send Origin: null from forms, and the
	// check against cross-site requests would refuse our own pages.
	h.Set("Referrer-Policy", cmp.Or(a.referrer, "same-origin"))
	h.Set("Content-Security-Policy", p.policy+a.script.policy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	w.WriteHeader(a.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body.Bytes()) // the client may be gone; the answer is given
	}
	return nil
}

// vary adds a field to Vary, which another layer may have begun already.
func vary(h http.Header, field string) {
	for _, v := range h.Values("Vary") {
		for name := range strings.SplitSeq(v, ",") {
			if name = strings.TrimSpace(name); name == "*" || strings.EqualFold(name, field) {
				return
			}
		}
	}
	h.Add("Vary", field)
}
