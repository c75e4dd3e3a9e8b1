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
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

//go:embed templates
var files embed.FS

// Options say where the gateway's own endpoints are and what it is called.
type Options struct {
	Prefix string // path of the gateway's endpoints; default "/.auth"
	Name   string // product name shown; default "Sallyport"
}

// Renderer draws pages. It is safe for concurrent use.
//
// Each of its methods either writes one whole answer and returns nil, or writes
// nothing and returns an error. A client that goes away is not an error.
type Renderer struct {
	prefix string
	name   string
	text   *Text
	css    template.CSS
	policy string

	login, logout, signedOut, onward, failure *template.Template
	fragment, loop, resubmit, done            *template.Template

	passFragment, keepFragment, takeFragment script
}

// New parses the templates. It fails on a prefix that is no plain absolute path.
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
	// The value is typed as CSS so that the template copies it byte for byte:
	// a comment stripped on the way would break the hash.
	sum := sha256.Sum256(css)
	p := &Renderer{
		prefix: o.Prefix,
		name:   o.Name,
		text:   english(),
		css:    template.CSS(css), //nolint:gosec // our own embedded file, not input
		policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; " +
			"img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'",
	}
	layout, err := template.ParseFS(files, "templates/layout.html")
	if err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	if p.login, err = p.parse(layout, "login.html", loginView{}); err != nil {
		return nil, err
	}
	if p.logout, err = p.parse(layout, "logout.html", logoutView{}); err != nil {
		return nil, err
	}
	if p.signedOut, err = p.parse(layout, "signedout.html", nil); err != nil {
		return nil, err
	}
	if p.onward, err = p.parse(layout, "onward.html", onwardView{}); err != nil {
		return nil, err
	}
	if p.failure, err = p.parse(layout, "error.html", errorView{}); err != nil {
		return nil, err
	}
	if err := p.parseSignIn(layout); err != nil {
		return nil, err
	}
	return p, nil
}

// parse adds one page to a copy of the layout, and draws it once without data:
// html/template finds unsafe contexts only when it is first executed, and a
// fault must show at start, not in front of a user.
func (p *Renderer) parse(layout *template.Template, file string, zero any) (*template.Template, error) {
	t, err := layout.Clone()
	if err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	if t, err = t.ParseFS(files, "templates/"+file); err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	if err := t.ExecuteTemplate(io.Discard, "layout.html", p.frame("", zero)); err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	return t, nil
}

// frame is what the layout needs around every page.
type frame struct {
	T      *Text
	CSS    template.CSS
	Script template.JS
	Name   string
	Prefix string
	Title  string
	Page   any
}

func (p *Renderer) frame(title string, page any) frame {
	return frame{T: p.text, CSS: p.css, Name: p.name, Prefix: p.prefix, Title: title, Page: page}
}

// answer is one page to be written.
type answer struct {
	status int
	header http.Header // added to what w carries; a value that is there is not repeated
	tmpl   *template.Template
	title  string
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
	var body bytes.Buffer
	f := p.frame(a.title, a.page)
	f.Script = a.script.code
	if err := a.tmpl.ExecuteTemplate(&body, "layout.html", f); err != nil {
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
