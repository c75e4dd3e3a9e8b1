package login

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/pages"
	"github.com/sallyport/sallyport/gateway/session"
)

// formKind is the kind of the records of kept forms.
const formKind = "kept form"

const (
	formLifetime = 10 * time.Minute
	// maxKeptForms bounds how many forms one gateway takes in within
	// formLifetime: this is the one thing that somebody without a session can
	// have written to the store, and it stays under 100 MB. Beyond it, forms are
	// kept in their page, as they are without the option.
	maxKeptForms = 1000
)

// keptForms keeps forms until their users have signed in: the option
// login.keep_forms. The zero value keeps none.
type keptForms struct {
	records session.Records // nil = the option is off
	ring    *session.Keyring

	mu    sync.Mutex
	since time.Time // when the count began
	taken int
}

// keptForm is the sealed content of a record.
type keptForm struct {
	Origin string `json:"o"`
	URI    string `json:"u"`
	Body   []byte `json:"b"`
}

// allow counts one more form.
func (k *keptForms) allow(now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now.Sub(k.since) >= formLifetime {
		k.since, k.taken = now, 0
	}
	k.taken++
	return k.taken <= maxKeptForms
}

// save keeps a form under the name, in place of the one that was there.
func (k *keptForms) save(ctx context.Context, name nonce, f keptForm) error {
	plain, err := json.Marshal(f)
	if err != nil {
		return err
	}
	old, err := k.records.LoadRecord(ctx, formKind, string(name))
	if err != nil && !errors.Is(err, session.ErrNotFound) {
		return err
	}
	_, err = k.records.SaveRecord(ctx, formKind, string(name), old.Version, k.ring.Seal(session.PurposeKept, plain, []byte(name)), time.Now().Add(formLifetime))
	return err
}

// take returns a form and forgets it: of several that ask for one at a time,
// one gets it. session.ErrNotFound means that there is none; any other error is
// an outage.
func (k *keptForms) take(ctx context.Context, name nonce) (*keptForm, error) {
	rec, err := k.records.LoadRecord(ctx, formKind, string(name))
	if err != nil {
		return nil, err
	}
	// The version decides who was first; what is saved is worth nothing.
	_, err = k.records.SaveRecord(ctx, formKind, string(name), rec.Version, nil, time.Now().Add(time.Minute))
	if errors.Is(err, session.ErrConflict) {
		return nil, session.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	plain, err := k.ring.Open(session.PurposeKept, rec.Value, []byte(name))
	if err != nil {
		return nil, session.ErrNotFound
	}
	f := new(keptForm)
	if err := json.Unmarshal(plain, f); err != nil {
		return nil, session.ErrNotFound
	}
	return f, nil
}

// keepForm keeps a form in the store, under a random name that only the login
// cookie of its browser knows, and reports whether it did. One cookie has one
// form. Passwords are not for keeping.
func (s *Service) keepForm(w http.ResponseWriter, r *http.Request, uri string, body []byte, fields []pages.FormField) bool {
	if s.forms.records == nil || holdsPassword(fields) || !s.forms.allow(time.Now()) {
		return false
	}
	under := s.readPending(r.Header)
	if under.form == "" {
		under.form = newNonce()
	}
	if err := s.forms.save(r.Context(), under.form, keptForm{Origin: s.origin(r), URI: uri, Body: body}); err != nil {
		return false // the page keeps it
	}
	s.keep(w, under)
	return true
}

// holdsPassword goes by the names that forms use.
func holdsPassword(fields []pages.FormField) bool {
	for _, f := range fields {
		name := strings.ToLower(f.Name)
		for _, word := range []string{"pass", "pwd", "secret", "otp", "cvv", "cvc", "kennwort", "비밀번호"} {
			if strings.Contains(name, word) {
				return true
			}
		}
	}
	return false
}

// Resend is GET Prefix/resend: the page with which somebody who has signed in
// again sends the form that was kept for him. It is shown once.
func (s *Service) Resend(w http.ResponseWriter, r *http.Request) error {
	noStore(w)
	if r.Method != http.MethodGet {
		return notAllowed(http.MethodGet)
	}
	live, _, err := s.live(r)
	if err != nil {
		return err
	}
	if live == nil {
		return s.signInFirst(w, r, "/resend")
	}
	if !httperr.IsNavigation(r) { // it would use the form up, and nobody would see it
		return badRequest(ReasonMalformed, "Open this address in a browser.", nil)
	}
	under := s.readPending(r.Header)
	if s.forms.records == nil || under.form == "" {
		return s.pages.Done(w, r, who(live))
	}
	f, err := s.forms.take(r.Context(), under.form)
	if err != nil && !errors.Is(err, session.ErrNotFound) {
		return storeOutage(err)
	}
	under.form = ""
	s.keep(w, under)
	if err != nil || f.Origin != s.origin(r) {
		return s.pages.Done(w, r, who(live))
	}
	fields, ok := parseFields(string(f.Body))
	if !ok {
		return s.pages.Done(w, r, who(live))
	}
	return s.pages.Resubmit(w, r, pages.ResubmitPage{Action: f.URI, Fields: fields, SignedIn: true})
}
