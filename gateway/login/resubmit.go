package login

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/pages"
)

const (
	// maxKeptForm bounds the body of a form that is offered again, in bytes.
	maxKeptForm = 64 << 10
	// maxFields bounds how large a page becomes of it.
	maxFields = 1000
	// formPatience is how long such a body is awaited: nobody has proven
	// anything yet, so a slow sender must not hold a connection.
	formPatience = 10 * time.Second
)

// ErrorPage writes the page for e instead of the usual one where it can do more:
// a form that a browser sent to an application without a session is not lost. It
// reports whether it has; if not, nothing was written and nothing read. An error
// means that nothing was written either.
func (s *Service) ErrorPage(w http.ResponseWriter, r *http.Request, e *httperr.Error, requestID string) (written bool, err error) {
	if e.Code != http.StatusUnauthorized || e.LoginURL == "" || r.Method != http.MethodPost || !httperr.WantsPage(r) {
		return false, nil
	}
	// Signing in happens in another tab, and must not end with a GET of where the
	// form goes: this tab still has the form, one step back.
	plain := *e
	plain.LoginURL, plain.Public = s.signInThen("/done"), "" // the page says it better

	uri, body, fields, ok := s.unsentForm(w, r)
	if !ok {
		return true, s.pages.Error(w, r, &plain, requestID, "")
	}
	page := pages.ResubmitPage{
		Action: uri, Fields: fields, SignInURL: plain.LoginURL, Reason: e.Reason, RequestID: requestID, Header: e.Header,
	}
	if s.keepForm(w, r, uri, body, fields) {
		page.Action, page.Fields, page.Kept, page.SignInURL = "", nil, true, s.signInThen("/resend")
	}
	return true, s.pages.Resubmit(w, r, page)
}

// signInThen is the login URL that ends at another endpoint here.
func (s *Service) signInThen(endpoint string) string {
	return s.prefix + "/login?return_to=" + url.QueryEscape(s.prefix+endpoint)
}

// unsentForm reads a form that can be sent again as it was, by the browser that
// sent it and to where it was sent. Only a page of this very origin can have
// made the browser send it: what another site made up is never offered to
// anybody for sending (CSRF).
func (s *Service) unsentForm(w http.ResponseWriter, r *http.Request) (uri string, body []byte, fields []pages.FormField, ok bool) {
	same, _ := s.sameOrigin(r)
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if !same || err != nil || media != "application/x-www-form-urlencoded" || r.ContentLength > maxKeptForm {
		return "", nil, nil, false
	}
	if uri, ok = s.ownURI(r); !ok {
		return "", nil, nil, false
	}
	// An error means a connection that knows no deadlines, as in a test.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(formPatience))
	body, err = io.ReadAll(io.LimitReader(r.Body, maxKeptForm+1))
	if err != nil || len(body) > maxKeptForm {
		return "", nil, nil, false
	}
	fields, ok = parseFields(string(body))
	return uri, body, fields, ok
}

// ownURI is ownAddress as a form's action, where it can be one.
func (s *Service) ownURI(r *http.Request) (string, bool) {
	uri := s.ownAddress(r)
	target, err := s.returnTo(uri)
	return uri, err == nil && target != ""
}

// parseFields reads a form in the order in which it was sent
// (application/x-www-form-urlencoded, WHATWG URL Standard, section 5). It refuses
// what hidden fields of a page in UTF-8 would not send in the same way.
func parseFields(body string) ([]pages.FormField, bool) {
	var fields []pages.FormField
	for pair := range strings.SplitSeq(body, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		f := pages.FormField{}
		var badName, badValue error
		f.Name, badName = url.QueryUnescape(name)
		f.Value, badValue = url.QueryUnescape(value)
		if badName != nil || badValue != nil || f.Name == "" || !staysText(f.Name) || !staysText(f.Value) || len(fields) == maxFields {
			return nil, false
		}
		fields = append(fields, f)
	}
	return fields, len(fields) > 0
}

// staysText: a form of an older page may be in another encoding than UTF-8, and
// HTML has no NUL.
func staysText(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

// Done is GET Prefix/done, the end of a sign-in in a tab of its own.
func (s *Service) Done(w http.ResponseWriter, r *http.Request) error {
	noStore(w)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return notAllowed(http.MethodGet, http.MethodHead)
	}
	live, _, err := s.live(r)
	if err != nil {
		return err
	}
	if live == nil {
		return s.signInFirst(w, r, "/done")
	}
	return s.pages.Done(w, r, who(live))
}

// signInFirst sends a person to the sign-in, and tells a program of it.
func (s *Service) signInFirst(w http.ResponseWriter, r *http.Request, endpoint string) error {
	if !httperr.IsNavigation(r) {
		e, ok := errors.AsType[*httperr.Error](s.signedOut(ReasonNoSession))
		if ok {
			e.LoginURL = s.signInThen(endpoint)
		}
		return e
	}
	redirect(w, http.StatusFound, s.signInThen(endpoint))
	return nil
}
