package echo

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the template and the style sheet
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"github.com/sallyport/sallyport/gateway/palette"
)

//go:embed templates/echo.html
var pageHTML string

//go:embed templates/style.css
var pageCSS string

// page shows a Reply to a person.
type page struct {
	tmpl   *template.Template
	css    template.CSS
	policy string
	prefix string // of the gateway's own endpoints
}

type pageView struct {
	CSS      template.CSS
	Prefix   string
	Request  Reply
	Identity [][2]string
	Other    [][2]string
}

func newPage(prefix string) *page {
	css := palette.CSS() + pageCSS
	sum := sha256.Sum256([]byte(css))
	return &page{
		css:    template.CSS(css), //nolint:gosec // our own embedded files, not input
		prefix: prefix,
		// Must cannot fail at run time: the template is part of the program.
		tmpl: template.Must(template.New("echo").Parse(pageHTML)),
		policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; " +
			"img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'",
	}
}

func (p *page) write(w http.ResponseWriter, r *http.Request, reply Reply) error {
	v := pageView{
		CSS:     p.css,
		Prefix:  p.prefix,
		Request: reply,
	}
	var own [][2]string
	for _, h := range reply.Headers {
		switch {
		case strings.HasPrefix(h[0], "Sallyport-"):
			own = append(own, h)
		case strings.HasPrefix(h[0], "X-Forwarded-"), strings.HasPrefix(h[0], "X-Auth-Request-"):
			v.Identity = append(v.Identity, h)
		default:
			v.Other = append(v.Other, h)
		}
	}
	v.Identity = append(v.Identity, own...) // last: an assertion is long and few read it
	var body bytes.Buffer
	if err := p.tmpl.Execute(&body, v); err != nil {
		return fmt.Errorf("echo: %w", err)
	}
	h := w.Header()
	h.Set("Content-Security-Policy", p.policy)
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	send(w, r, "text/html; charset=utf-8", body.Bytes())
	return nil
}
