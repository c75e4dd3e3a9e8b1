package login

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// maxAttempts bounds how many sign-ins one browser can have under way: as many
// tabs as somebody restores at once, in one cookie of about 200 bytes. The
// oldest goes first.
const maxAttempts = 16

// pending is what the login cookie holds: one cookie for all tabs, of at most
// 350 bytes. The browser can write what it likes into it: each nonce proves
// itself by a state or a form token, the marks only bear on its own sign-ins,
// and the form is a name that nobody can guess.
type pending struct {
	nonces []nonce // sign-ins under way and forms that are open, oldest first
	marks  []mark  // what happened within the last minute, oldest first
	form   nonce   // the form that is kept until its user has signed in; "" = none
}

// readAttempts returns the nonces of the login cookie, oldest first.
func (s *Service) readAttempts(h http.Header) []nonce { return s.readPending(h).nonces }

// readPending reads the login cookie. What is none of its parts is left out. Of
// several cookies of that name all are read.
func (s *Service) readPending(h http.Header) (p pending) {
	for value := range cookieValues(h, s.cookies.LoginName()) {
		p.parse(value, time.Now())
	}
	return p
}

// formPart begins the name of a kept form, so that it is no nonce.
const formPart = "f"

func (p *pending) parse(value string, now time.Time) {
	for part := range strings.SplitSeq(value, ".") {
		if n := nonce(part); n.valid() {
			if !slices.Contains(p.nonces, n) && len(p.nonces) < maxAttempts {
				p.nonces = append(p.nonces, n)
			}
			continue
		}
		if name, ok := strings.CutPrefix(part, formPart); ok && nonce(name).valid() {
			p.form = nonce(name)
			continue
		}
		if m, ok := parseMark(part); ok && m.recent(now) && len(p.marks) < maxMarks {
			p.marks = append(p.marks, m)
		}
	}
}

func (p *pending) String() string {
	if extra := len(p.nonces) - maxAttempts; extra > 0 {
		p.nonces = p.nonces[extra:]
	}
	if extra := len(p.marks) - maxMarks; extra > 0 {
		p.marks = p.marks[extra:]
	}
	parts := make([]string, 0, len(p.nonces)+len(p.marks)+1)
	for _, n := range p.nonces {
		parts = append(parts, string(n))
	}
	for _, m := range p.marks {
		parts = append(parts, m.String())
	}
	if p.form != "" {
		parts = append(parts, formPart+string(p.form))
	}
	return strings.Join(parts, ".")
}

// drop takes a nonce out, and reports whether it was there.
func (p *pending) drop(n nonce) bool {
	at := slices.Index(p.nonces, n)
	if at < 0 {
		return false
	}
	p.nonces = slices.Delete(p.nonces, at, at+1)
	return true
}

// keep sets the login cookie, in place of one that w sets already; it deletes
// the cookie where there is nothing to keep.
func (s *Service) keep(w http.ResponseWriter, p pending) {
	lifetime := attemptLifetime
	if len(p.nonces) == 0 && p.form == "" {
		lifetime = markLifetime
	}
	h, name := w.Header(), s.cookies.LoginName()
	h["Set-Cookie"] = slices.DeleteFunc(h["Set-Cookie"], func(line string) bool { return strings.HasPrefix(line, name+"=") })
	http.SetCookie(w, s.cookies.Login(p.String(), lifetime))
}

// formAttempt returns a nonce that a form token can hang on: the newest that
// the browser has, or a new one. Either way the cookie is set, so that it lasts
// as long as the token.
func (s *Service) formAttempt(w http.ResponseWriter, h http.Header) nonce {
	p := s.readPending(h)
	if len(p.nonces) == 0 {
		p.nonces = append(p.nonces, newNonce())
	}
	s.keep(w, p)
	return p.nonces[len(p.nonces)-1]
}
