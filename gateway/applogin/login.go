// Package applogin owns the credentials by which the gateway signs in to
// applications that have a login of their own: one for a route, or one for each
// user. It reads what the files of them hold and knows for whom each is. When the
// files are read again, and who gets which header, is for others.
package applogin

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/identity"
)

// Login is the gateway's login at one application. It has no credential before
// the first Take. It is safe for concurrent use.
type Login struct {
	read func(text []byte) (*credentials, error)
	now  atomic.Pointer[credentials]
}

// credentials are whole values of Authorization. They are not changed once made.
type credentials struct {
	everyone  config.Secret // of all users; empty = there is one for each
	bySubject map[subject]config.Secret
	byEmail   map[string]config.Secret // in lower case
}

// subject is a user at an issuer; an empty issuer stands for any.
type subject struct{ issuer, subject string }

// New makes the Login that c describes. It opens no file: what the file of c holds,
// Take is given. Where several issuers can name the same subject, a subject alone
// is not taken for a user.
func New(c config.UpstreamCredential, severalIssuers bool) *Login {
	l := &Login{}
	switch {
	case c.UsersFile != "":
		l.read = func(text []byte) (*credentials, error) { return readUsers(text, severalIssuers) }
	case c.TokenFile != "":
		l.read = func(text []byte) (*credentials, error) { return single(text, bearer) }
	default:
		l.read = func(text []byte) (*credentials, error) {
			return single(text, func(password string) (config.Secret, error) { return basic(c.Username, password) })
		}
	}
	return l
}

// Take puts what a file holds in the place of all credentials so far, and says for
// how many users it has one; 0 = it has one for all. With an error nothing
// changes. The error joins one for every fault and repeats no secret.
func (l *Login) Take(text []byte) (users int, err error) {
	fresh, err := l.read(text)
	if err != nil {
		return 0, err
	}
	l.now.Store(fresh)
	return len(fresh.bySubject) + len(fresh.byEmail), nil
}

// Authorization is a headers.Credential. An entry for the user's issuer and subject
// outranks one for the subject at any issuer, and that one for his address, which
// counts only if it was verified.
func (l *Login) Authorization(id *identity.Identity) (string, bool) {
	all := l.now.Load()
	if all == nil {
		return "", false
	}
	if all.everyone != "" {
		return all.everyone.Reveal(), true
	}
	for _, key := range [...]subject{{id.Issuer, id.Subject}, {"", id.Subject}} {
		if found, ok := all.bySubject[key]; ok {
			return found.Reveal(), true
		}
	}
	if !id.EmailVerified {
		return "", false
	}
	found, ok := all.byEmail[strings.ToLower(id.Email)]
	return found.Reveal(), ok
}

// single reads a file that holds one secret and nothing else.
func single(text []byte, authorization func(secret string) (config.Secret, error)) (*credentials, error) {
	secret := strings.TrimSuffix(string(text), "\n")
	secret = strings.TrimSuffix(secret, "\r")
	if strings.TrimSpace(secret) == "" {
		return nil, errors.New("it is empty")
	}
	value, err := authorization(secret)
	if err != nil {
		return nil, err
	}
	return &credentials{everyone: value}, nil
}

// basic is RFC 7617, section 2, in UTF-8.
func basic(username, password string) (config.Secret, error) {
	if problem := CheckUsername(username); problem != "" {
		return "", fmt.Errorf("the username %s", problem)
	}
	if !isText(password) {
		return "", errors.New("the password is more than one line, or no text")
	}
	return config.Secret("Basic " + base64.StdEncoding.EncodeToString([]byte(username+":"+password))), nil
}

// CheckUsername says what keeps a name from being that of a user in Basic; empty
// where nothing does.
func CheckUsername(username string) string {
	switch {
	case username == "":
		return "is missing"
	case strings.Contains(username, ":"):
		return "has a colon, which ends it"
	case !isText(username):
		return "is more than one line, or no text"
	}
	return ""
}

// bearer is RFC 6750, section 2.1; what applications take for a token is not always
// as the grammar there has it.
func bearer(token string) (config.Secret, error) {
	for _, c := range []byte(token) {
		if c <= ' ' || c > '~' {
			return "", errors.New("the token holds spaces, or characters that no header can carry")
		}
	}
	return config.Secret("Bearer " + token), nil
}

func isText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
