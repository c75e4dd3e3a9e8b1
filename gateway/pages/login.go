package pages

import (
	"fmt"
	"net/http"
)

// The kinds of ProviderChoice.
const (
	KindRedirect = "redirect" // a link to the provider
	KindPassword = "password" // a form for user name and password
	KindPick     = "pick"     // one button an identity, for development
)

// LoginPage is what the sign-in page offers.
type LoginPage struct {
	Providers []ProviderChoice
	ReturnTo  string // sent back unjudged in links and hidden fields
	FormToken string // hidden field "csrf"
	Failed    bool   // the last attempt was refused; the page does not say which part was wrong
	Username  string // refills the user name
	Switch    bool   // somebody is signed in and wants to be another: links say so
}

// ProviderChoice is one way to sign in.
type ProviderChoice struct {
	Name, Title string // Title is what people read; default: Name
	Kind        string
	Identities  []IdentityChoice // for KindPick
}

// IdentityChoice is somebody to pick on a development sign-in page.
type IdentityChoice struct {
	Subject, Name, Email string
	Groups               []string
}

type loginView struct {
	Host      string
	Choices   []choiceView
	ReturnTo  string
	FormToken string
	Failed    bool
	Username  string
	Only      bool // one choice: no headings to tell choices apart
}

type choiceView struct {
	ProviderChoice
	ID   int    // makes element ids unique
	URL  string // of a redirect
	Also bool   // divided from the choice above

	Focus bool // its first empty field has the focus
}

// Login writes the sign-in page with status, which is 200 or, after a refused
// attempt, 401. It fails on a provider of an unknown kind.
//
// Forms go to Prefix/login with the fields provider, username, password,
// return_to and csrf; an identity is picked by posting its subject as username.
func (p *Renderer) Login(w http.ResponseWriter, r *http.Request, status int, page LoginPage) error {
	v := loginView{
		Host: r.Host, ReturnTo: page.ReturnTo, FormToken: page.FormToken,
		Failed: page.Failed, Username: page.Username, Only: len(page.Providers) == 1,
	}
	for i, c := range page.Providers {
		if c.Title == "" {
			c.Title = c.Name
		}
		cv := choiceView{ProviderChoice: c, ID: i}
		switch c.Kind {
		case KindRedirect:
			switching := ""
			if page.Switch {
				switching = "1"
			}
			cv.URL = p.loginURL([2]string{"provider", c.Name}, [2]string{"return_to", page.ReturnTo}, [2]string{"switch", switching})
			cv.Also = i > 0 && page.Providers[i-1].Kind != KindRedirect
		case KindPassword, KindPick:
			cv.Also = i > 0
		default:
			return fmt.Errorf("pages: provider %q: unknown kind %q", c.Name, c.Kind)
		}
		v.Choices = append(v.Choices, cv)
	}
	v.focus()
	title := "login.title"
	if page.Failed {
		title = "login.failed_title" // read first by a screen reader
	}
	return p.write(w, r, answer{status: status, tmpl: p.login, title: title, page: v})
}

// focus puts the cursor where typing goes on: into the only form for a password,
// where nothing else is offered, or where it was refused. Anywhere else it would
// take a screen reader past the choices above.
func (v *loginView) focus() {
	only := -1
	for i, c := range v.Choices {
		if c.Kind == KindPassword {
			if only >= 0 {
				return
			}
			only = i
		}
	}
	if only >= 0 {
		v.Choices[only].Focus = v.Only || v.Failed
	}
}
