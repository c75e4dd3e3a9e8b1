package login

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/session"
)

// StepUp is what a sign-in is to be like. It asks; whether what came of it is
// enough is for Options.Meets to say, and for the policy at the next request.
// The zero StepUp asks for nothing.
type StepUp struct {
	ACR    []string // one of these authentication context classes
	AMR    []string // all of these methods (RFC 8176)
	MaxAge time.Duration
}

// wish is a StepUp as it travels sealed in the state.
type wish struct {
	ACR    []string `json:"a,omitempty"`
	AMR    []string `json:"m,omitempty"`
	MaxAge int64    `json:"s,omitempty"` // seconds
}

// Bounds of a wish in a URL: it ends up in the state.
const (
	maxWishWords = 16
	maxWishBytes = 1 << 10
	maxWishAge   = 1 << 31 // seconds
)

// The parameters of Prefix/login that say what a sign-in is to be like. The
// first and the last are called as the provider's own (OpenID Connect Core,
// section 3.1.2.1).
const (
	paramACR    = "acr_values"
	paramAMR    = "amr_values"
	paramMaxAge = "max_age"
)

func (w *wish) empty() bool { return len(w.ACR) == 0 && len(w.AMR) == 0 && w.MaxAge == 0 }

func (w *wish) stepUp() StepUp {
	return StepUp{ACR: w.ACR, AMR: w.AMR, MaxAge: time.Duration(w.MaxAge) * time.Second}
}

// query says the wish in the parameters that readWish reads.
func (w *wish) query(q url.Values) {
	if len(w.ACR) > 0 {
		q.Set(paramACR, strings.Join(w.ACR, " "))
	}
	if len(w.AMR) > 0 {
		q.Set(paramAMR, strings.Join(w.AMR, " "))
	}
	if w.MaxAge > 0 {
		q.Set(paramMaxAge, strconv.FormatInt(w.MaxAge, 10))
	}
}

// fields are those of query, for the hidden fields of a form and for links.
func (w *wish) fields() [][2]string {
	q := url.Values{}
	w.query(q)
	var list [][2]string
	for _, name := range []string{paramACR, paramAMR, paramMaxAge} {
		if q.Has(name) {
			list = append(list, [2]string{name, q.Get(name)})
		}
	}
	return list
}

// readWish reads the wish of a query or form. Anybody can write one: it asks
// more of his own sign-in and proves nothing. One that can't be read is refused
// and never left out, or the route that asked would ask again without end.
func readWish(q url.Values) (w wish, err error) {
	bad := badRequest(ReasonMalformed, "What is asked of the sign-in can't be read.", nil)
	for name, list := range map[string]*[]string{paramACR: &w.ACR, paramAMR: &w.AMR} {
		values := q[name]
		if len(values) == 0 || len(values) == 1 && values[0] == "" {
			continue
		}
		if len(values) > 1 || len(values[0]) > maxWishBytes || strings.ContainsFunc(values[0], notWish) {
			return wish{}, bad
		}
		if *list = strings.Fields(values[0]); len(*list) > maxWishWords {
			return wish{}, bad
		}
	}
	if values := q[paramMaxAge]; len(values) > 0 && (len(values) > 1 || values[0] != "") {
		w.MaxAge, err = strconv.ParseInt(values[0], 10, 64)
		if err != nil || len(values) > 1 || w.MaxAge < 1 || w.MaxAge > maxWishAge {
			return wish{}, bad
		}
	}
	return w, nil
}

// notWish keeps to what RFC 6749, appendix A.4, calls NQCHAR, and the space.
func notWish(c rune) bool { return c < ' ' || c > '~' || c == '"' || c == '\\' }

// StepUpURL is LoginURL for a sign-in that is to be like want.
func (s *Service) StepUpURL(r *http.Request, want StepUp) string {
	return want.ask(s.LoginURL(r))
}

// AbsoluteStepUpURL is StepUpURL for somebody who would resolve a path against
// another address than the browser's. Where the hosts share a cookie, the sign-in is
// at that of public_url, so that the others need not lead there.
func (s *Service) AbsoluteStepUpURL(r *http.Request, want StepUp) string {
	origin := s.origin(r)
	if s.cookies.Clear().Domain != "" {
		origin = s.publicOrigin()
	}
	return want.ask(s.loginURL(origin, s.nameHost(r, s.ownAddress(r))))
}

// ask adds the requirement to the address of a sign-in.
func (want *StepUp) ask(address string) string {
	w := wish{ACR: want.ACR, AMR: want.AMR, MaxAge: int64(want.MaxAge / time.Second)}
	q := url.Values{}
	w.query(q)
	return appendQuery(address, q)
}

// meets reports whether a proof is what was wished for. Who binds no judge gets
// no step-up: what is not known to be met is not.
func (s *Service) meets(w *wish, id *identity.Identity) bool {
	return w.empty() || s.judge != nil && s.judge(w.stepUp(), id)
}

// parameters are what an authorization request says about the sign-in that is
// wanted (OpenID Connect Core, section 3.1.2.1). max_age makes auth_time
// required in the ID token. A user who is signed in and asked again is shown the
// provider's sign-in, since many a provider ignores max_age; a class alone may
// be reached with less than that.
func (o authorizeOptions) parameters() [][2]string {
	var list [][2]string
	prompt := ""
	switch {
	case o.selectUser:
		prompt = "select_account"
	case o.reauth && (o.wish.MaxAge > 0 || len(o.wish.AMR) > 0):
		prompt = "login"
	}
	if prompt != "" {
		list = append(list, [2]string{"prompt", prompt})
	}
	if len(o.wish.ACR) > 0 {
		list = append(list, [2]string{paramACR, strings.Join(o.wish.ACR, " ")})
	}
	if o.wish.MaxAge > 0 {
		list = append(list, [2]string{paramMaxAge, strconv.FormatInt(o.wish.MaxAge, 10)})
	}
	return list
}

// begin starts the session of a sign-in. A user who was asked to sign in again
// keeps his session: it goes on under a new id, with the new proof, and ends
// when it would have ended.
//
// With an error of the reason step_up_not_met there may be a session as well:
// who was signed in as nobody, or as another, is signed in now, while the proof
// of a session that goes on is not exchanged for one that is no better.
func (s *Service) begin(r *http.Request, in session.SignIn, w *wish, target string) (*session.Session, *http.Cookie, error) {
	if err := s.checkLocked(r, in.Identity); err != nil {
		return nil, nil, err
	}
	met := s.meets(w, in.Identity)
	if !w.empty() {
		live, _, err := s.live(r)
		if err != nil {
			return nil, nil, err
		}
		if live != nil && live.Identity.Issuer == in.Identity.Issuer && live.Identity.Subject == in.Identity.Subject {
			if !met {
				return nil, nil, s.stepUpNotMet(w, in.Identity, target)
			}
			in.Continues = live
		}
	}
	in.Route = s.routeOf(target)
	started, cookie, err := s.startSession(r, in)
	if err != nil {
		return nil, nil, err
	}
	if !met {
		return started, cookie, s.stepUpNotMet(w, in.Identity, target)
	}
	return started, cookie, nil
}

// stepUpNotMet is the end of a sign-in that was not as it should be: the route
// would ask for another, and the provider would answer as it did. So a person
// decides.
func (s *Service) stepUpNotMet(w *wish, id *identity.Identity, target string) error {
	e := refuse(http.StatusForbidden, ReasonStepUpNotMet,
		fmt.Sprintf("This page needs a sign-in %s. The sign-in service made one %s.", wanted(w), came(w, id)), nil)
	e.Who = cmp.Or(id.Email, id.Subject)
	e.Facts = facts(w, id)
	q := url.Values{"switch": {"1"}}
	if target != "" {
		q.Set("return_to", target)
	}
	w.query(q)
	e.LoginURL = s.prefix + "/login?" + q.Encode()
	return e
}

func wanted(w *wish) string {
	var parts []string
	if len(w.ACR) > 0 {
		parts = append(parts, "of the class "+strings.Join(w.ACR, " or "))
	}
	if len(w.AMR) > 0 {
		parts = append(parts, "by "+strings.Join(w.AMR, " and "))
	}
	if w.MaxAge > 0 {
		parts = append(parts, "within the last "+span(time.Duration(w.MaxAge)*time.Second))
	}
	return strings.Join(parts, ", ")
}

// came answers wanted, point by point. What the provider wrote is shortened.
func came(w *wish, id *identity.Identity) string {
	var parts []string
	if len(w.ACR) > 0 {
		class := "of no class that it tells of"
		if id.ACR != "" {
			class = "of the class " + shorten(id.ACR)
		}
		parts = append(parts, class)
	}
	if len(w.AMR) > 0 {
		how := "by no means that it tells of"
		if len(id.AMR) > 0 {
			how = "by " + shorten(strings.Join(id.AMR, " and "))
		}
		parts = append(parts, how)
	}
	if w.MaxAge > 0 {
		when := "at a time that it does not tell"
		switch {
		case id.AuthTime.IsZero():
		case id.AuthTime.After(time.Now()):
			when = "by a clock that is ahead of this one"
		default:
			when = span(time.Since(id.AuthTime)) + " ago"
		}
		parts = append(parts, when)
	}
	return strings.Join(parts, ", ")
}

// facts are wanted and came in the words of OpenID Connect.
func facts(w *wish, id *identity.Identity) [][2]string {
	list := w.fields()
	answer := func(name, value string, asked bool) {
		if !asked {
			return
		}
		if value == "" {
			value = "-"
		}
		list = append(list, [2]string{name, shorten(value)})
	}
	authTime := ""
	if !id.AuthTime.IsZero() {
		authTime = id.AuthTime.UTC().Format(time.RFC3339)
	}
	answer("acr", id.ACR, len(w.ACR) > 0)
	answer("amr", strings.Join(id.AMR, " "), len(w.AMR) > 0)
	answer("auth_time", authTime, w.MaxAge > 0)
	return list
}

// span is how long something is, in one unit for people to read.
func span(d time.Duration) string {
	unit, word := time.Second, "second"
	switch {
	case d >= 2*time.Hour:
		unit, word = time.Hour, "hour"
	case d >= 2*time.Minute:
		unit, word = time.Minute, "minute"
	}
	n := int64(d / unit)
	if n != 1 {
		word += "s"
	}
	return strconv.FormatInt(n, 10) + " " + word
}

// shorten cuts text of others to what a page can show.
func shorten(text string) string {
	const most = 120
	short := []rune(strings.ToValidUTF8(text, "?"))
	if len(short) > most {
		return string(short[:most]) + "..."
	}
	return string(short)
}
