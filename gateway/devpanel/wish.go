package devpanel

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"time"
)

// wish is the form of a token as it was filled in.
type wish struct{ Subject, Email, Groups, Claims, Lifetime string }

func wishOf(form url.Values) wish {
	return wish{
		Subject: strings.TrimSpace(form.Get("subject")), Email: strings.TrimSpace(form.Get("email")),
		Groups: form.Get("groups"), Claims: form.Get("claims"), Lifetime: strings.TrimSpace(form.Get("lifetime")),
	}
}

var (
	errSubject  = errors.New("A token needs a subject.")                                           //nolint:revive,staticcheck // a sentence for the page
	errLifetime = errors.New("The lifetime must be a duration between 1s and 1h, such as 5m.")     //nolint:revive,staticcheck // a sentence for the page
	errClaims   = errors.New(`The claims must be one object of JSON, such as {"tenant": "acme"}.`) //nolint:revive,staticcheck // a sentence for the page
)

// mint reads the wish. Its errors are sentences for the page.
func (f *wish) mint() (*Mint, error) {
	m := &Mint{Subject: f.Subject, Email: f.Email, Lifetime: 5 * time.Minute}
	if m.Subject == "" {
		return nil, errSubject
	}
	for group := range strings.SplitSeq(f.Groups, ",") {
		if group = strings.TrimSpace(group); group != "" {
			m.Groups = append(m.Groups, group)
		}
	}
	if f.Lifetime != "" {
		var err error
		if m.Lifetime, err = time.ParseDuration(f.Lifetime); err != nil || m.Lifetime < time.Second || m.Lifetime > time.Hour {
			return nil, errLifetime
		}
	}
	if strings.TrimSpace(f.Claims) != "" {
		if json.Unmarshal([]byte(f.Claims), &m.Claims) != nil || m.Claims == nil {
			return nil, errClaims
		}
	}
	return m, nil
}
