package login

import (
	"net/http"
	"slices"
	"strings"
)

// maxAttempts bounds how many sign-ins one browser can have under way: as many
// tabs as somebody restores at once, in one cookie of about 200 bytes. The
// oldest goes first.
const maxAttempts = 16

// readAttempts returns the nonces of the login cookie, oldest first. What is no
// nonce is left out. Of several cookies of that name all are read: each nonce
// proves itself by a state or a form token anyway.
func (s *Service) readAttempts(h http.Header) []nonce {
	var found []nonce
	name := s.cookies.LoginName()
	for _, line := range h["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			value, ok := strings.CutPrefix(strings.Trim(pair, " \t"), name+"=")
			if !ok {
				continue
			}
			found = parseAttempts(found, value)
			if len(found) >= maxAttempts {
				return found[:maxAttempts]
			}
		}
	}
	return found
}

func parseAttempts(found []nonce, value string) []nonce {
	for part := range strings.SplitSeq(value, ".") {
		if n := nonce(part); n.valid() && !slices.Contains(found, n) && len(found) < maxAttempts {
			found = append(found, n)
		}
	}
	return found
}

// keepAttempts sets the login cookie to the newest of the nonces; with none
// left it deletes it.
func (s *Service) keepAttempts(w http.ResponseWriter, nonces []nonce) {
	if extra := len(nonces) - maxAttempts; extra > 0 {
		nonces = nonces[extra:]
	}
	var b strings.Builder
	for i, n := range nonces {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(string(n))
	}
	http.SetCookie(w, s.cookies.Login(b.String(), attemptLifetime))
}

// formAttempt returns a nonce that a form token can hang on: the newest that
// the browser has, or a new one. Either way the cookie is set, so that it lasts
// as long as the token.
func (s *Service) formAttempt(w http.ResponseWriter, h http.Header) nonce {
	nonces := s.readAttempts(h)
	if len(nonces) == 0 {
		nonces = append(nonces, newNonce())
	}
	s.keepAttempts(w, nonces)
	return nonces[len(nonces)-1]
}
