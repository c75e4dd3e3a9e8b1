package admin

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strconv"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/palette"
)

//go:embed templates
var files embed.FS

// Page is a page for operators. It is drawn for requests with the admin token
// alone, and changes nothing: browsers send a token that they were given to this
// address by themselves, whoever's page asks them to.
type Page struct {
	Path  string
	Serve httperr.HandlerFunc
}

func mountPages(mux *http.ServeMux, o Options) {
	for _, p := range o.Pages {
		mux.Handle("GET "+p.Path, o.Edge.Handle(func(w http.ResponseWriter, r *http.Request) error {
			if err := authorizePage(r, o.Token); err != nil {
				return err
			}
			return p.Serve(w, r)
		}))
	}
}

// authorizePage takes the token as a password as well, which is how a browser can
// give it (RFC 7617). The API does not: another site's page could use it then.
func authorizePage(r *http.Request, token func() (config.Secret, error)) error {
	if _, password, ok := r.BasicAuth(); ok {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+password)
	}
	err := authorize(r, token)
	if e, ok := errors.AsType[*httperr.Error](err); ok && e.Code == http.StatusUnauthorized {
		e.Public = "The password is the token of admin.token_file; the user name does not matter."
		e.Header = http.Header{"Www-Authenticate": {`Basic realm="sallyport admin", charset="UTF-8"`}}
	}
	return err
}

// sheet is one page, which needs nothing but itself.
type sheet struct {
	tmpl   *template.Template
	css    template.CSS
	policy string
}

func newSheet(file string) *sheet {
	own, err := files.ReadFile("templates/style.css")
	if err != nil {
		panic(err) // it is part of the program
	}
	css := slices.Concat([]byte(palette.CSS()), own)
	sum := sha256.Sum256(css)
	return &sheet{
		tmpl: template.Must(template.ParseFS(files, "templates/"+file)),
		css:  template.CSS(css), //nolint:gosec // our own embedded file, not input
		policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; " +
			"img-src data:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'",
	}
}

func (s *sheet) write(w http.ResponseWriter, r *http.Request, view any) error {
	var body bytes.Buffer
	if err := s.tmpl.Execute(&body, struct {
		CSS  template.CSS
		View any
	}{s.css, view}); err != nil {
		return fmt.Errorf("admin: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", s.policy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	if r.Method != http.MethodHead {
		_, _ = w.Write(body.Bytes()) // a client that went away is no error of ours
	}
	return nil
}
