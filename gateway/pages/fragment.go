package pages

import (
	"fmt"
	"html"
	"html/template"
	"net/http"
	"net/url"
	"strings"
)

// Fragment leads to the provider, next, and keeps the fragment of the browser's
// address on the way: in the tab's own storage, under back, which is where the
// sign-in returns to. Where there is a fragment the page adds ".h" to the state
// in next. It works without script, only without the fragment then.
//
// The caller has judged next; still, Fragment fails on anything but an absolute
// http or https URL, or one of this host.
func (p *Renderer) Fragment(w http.ResponseWriter, r *http.Request, next, back string) error {
	link, host, err := exactLink("href", next)
	if err != nil {
		return err
	}
	return p.write(w, r, answer{
		status: http.StatusOK, tmpl: p.fragment, script: p.keepFragment,
		title: "onward.title", page: fragmentView{URL: next, Host: host, Link: link, Back: back},
	})
}

// Landed is the end of a sign-in that Fragment began: it leads to the return
// URL, with the fragment that was kept for it. It is shown at a URL that holds
// the code, so no page hears of that.
func (p *Renderer) Landed(w http.ResponseWriter, r *http.Request, back string) error {
	link, host, err := exactLink("href", back)
	if err != nil {
		return err
	}
	if host == "" {
		host = r.Host
	}
	return p.write(w, r, answer{
		status: http.StatusOK, tmpl: p.fragment, script: p.takeFragment, referrer: "no-referrer",
		title: "onward.title", page: fragmentView{URL: back, Host: host, Link: link, Back: back},
	})
}

type fragmentView struct {
	URL, Host string
	Link      template.HTMLAttr
	Back      string
}

// exactLink is an attribute with a URL, to the byte: html/template would spell
// some characters in another way, and an application might see another address.
func exactLink(name, to string) (attr template.HTMLAttr, host string, err error) {
	u, err := url.Parse(to)
	switch {
	case err != nil:
		return "", "", fmt.Errorf("pages: %s: not a URL", name)
	case u.Scheme == "" && u.Host == "" && isLocal(to):
	case (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil:
	default:
		return "", "", fmt.Errorf("pages: %s: neither a path here nor an http or https URL", name)
	}
	return template.HTMLAttr(name + `="` + exactValue(to) + `"`), u.Host, nil //nolint:gosec // escaped just here
}

// exactValue escapes an attribute value so that a browser reads the very same
// text: line ends would become one line feed each, NUL a replacement character.
func exactValue(s string) string {
	return strings.NewReplacer("\r", "&#13;", "\n", "&#10;", "\t", "&#9;").Replace(html.EscapeString(s))
}
